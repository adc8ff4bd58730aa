"""What is compiled when mmlist is installed, where there is a C compiler; all else stands in pyproject.toml.

The modules that every event goes through are compiled by mypyc, from the very sources that run without it: the same
results, in less time (docs/bench.md). All or nothing: where it fails (no compiler, MMLIST_PURE=1, an editable install,
which runs the sources as they are edited) the sources run, and nobody has to do anything.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
COMPILED = (
    *("replay/model/*.py", "replay/bind/*.py"),
    *("replay/history.py", "replay/judge.py", "replay/order.py", "replay/payload.py"),
)
"""Where an event passes. Invariants hear of changes only, which are few: compiled they gain nothing."""
OPT = os.environ.get("MM_OPT", "1")
STRUCTS = frozenset({"replay/model/carries.py", "replay/model/changes.py", "replay/model/profile.py"})
"""Structs with options (frozen, gc): mypyc would leave the options out."""


class BuildExt(build_ext):
    """Makes C of the sources only when it is really asked for extensions, and does without where that fails."""

    def run(self) -> None:
        """As setuptools, with the extensions that mypyc answers with, or none."""
        outputs: list[str] = []
        self.extensions: list[Any] = []
        if self.inplace or os.environ.get("MMLIST_PURE"):
            return
        try:
            self.distribution.ext_modules = _extensions(Path(self.build_temp))
            self.initialize_options()  # from the beginning, with these
            self.finalize_options()
            outputs = self.get_outputs()
            super().run()
        except (Exception, SystemExit) as error:  # mypyc exits where it finds fault
            for output in outputs:
                Path(output).unlink(missing_ok=True)
            self.extensions = []
            logging.warning("mmlist: not compiled, so it runs slower: %s", error)


def _extensions(work: Path) -> list[Any]:
    """C from a copy of the package as it installs: mypyc names modules by their folders. Raises what mypyc does."""
    from mypyc.build import mypycify

    tree = work.resolve() / "sources" / "mmlist"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "mmlist", tree, ignore=lambda *_: {"replay", "grammars", "db"})
    for folder in ("replay", "grammars", "db"):
        shutil.copytree(ROOT / folder, tree / folder)
    sources = [path for pattern in COMPILED for path in sorted(ROOT.glob(pattern))]
    names = [str(path.relative_to(ROOT)) for path in sources]
    files = [str(tree / name) for name in names if name not in STRUCTS]
    before = Path.cwd()
    os.chdir(tree.parent)
    os.environ["MYPYPATH"] = str(tree.parent)
    try:
        options = ["--config-file=", "--ignore-missing-imports", "--no-incremental"]
        return list(
            mypycify([*options, *files], debug_level="0", opt_level=OPT, multi_file=True, target_dir=str(work.resolve() / "c"), group_name="mmlist")
        )
    finally:
        os.chdir(before)


setup(ext_modules=[Extension("mmlist.replay.compiled", [])], cmdclass={"build_ext": BuildExt})
