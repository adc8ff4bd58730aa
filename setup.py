"""Builds what is made of the sources: expressions and a scanner of the grammars, and the compiled path of an event.

All else stands in pyproject.toml. What is compiled is optional: without a C compiler the package installs, and is slower.
The modules that every event goes through are compiled by mypyc, from the very sources that run without it: the same
results in less time (docs/bench.md), all or nothing. In a checkout they go into a folder apart, by `setup.py compiled`
(replay/built.py).
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SCANNER = "mmlist.grammars._scanner"
NOT_COMPILED = frozenset(
    {"replay/model/carries.py", "replay/model/changes.py", "replay/model/profile.py", "replay/bind/reads.py"}
)
"""Structs with options (frozen, gc), which mypyc would leave out; and a dict of its own making, which it would pass by."""
HEADERS = '#include "__native_internal_mmlist.h"\n'
"""Of mypyc's: the last that its modules include."""

# The grammars under their full name, before anything is installed: the package `mmlist` of the tree's own folders.
sys.modules["mmlist"] = package = ModuleType("mmlist")
package.__path__ = [str(ROOT)]

from mmlist.grammars import made  # noqa: E402
from mmlist.replay import built  # noqa: E402


class Extensions(build_ext):
    """Writes the C that is made of the grammars before it is compiled, and has mypyc write that of the modules."""

    def run(self) -> None:
        """As setuptools; what mypyc cannot make, or no compiler compiles, is done without."""
        scanner = list(self.extensions)
        if not self.inplace and not os.environ.get("MMLIST_PURE"):
            outputs: list[str] = []
            try:
                self._take([*scanner, *_compiled(Path(self.build_temp).resolve())])
                outputs = self.get_outputs()
                super().run()
                return
            except (Exception, SystemExit) as error:  # mypyc exits where it finds fault
                for output in outputs:
                    Path(output).unlink(missing_ok=True)
                logging.warning("mmlist: not compiled, so it runs slower: %s", error)
                self._take(scanner)
        super().run()

    def _take(self, extensions: Iterable[Any]) -> None:
        """Begin again, with these, in the same folders."""
        folders = self.build_lib, self.build_temp
        self.distribution.ext_modules = list(extensions)
        self.initialize_options()
        self.build_lib, self.build_temp = folders
        self.finalize_options()

    def build_extension(self, ext: Extension) -> None:
        """Where no compiler is, setuptools passes over what is optional, with a warning."""
        if ext.name == SCANNER:
            folder = Path(self.build_temp)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "dialects.inc").write_text(made.dialects(), encoding="ascii")
            ext.include_dirs.append(str(folder))
            self.force = True  # setuptools looks at the sources' dates, and the grammars are none of them to it
        super().build_extension(ext)


def _compiled(work: Path) -> list[Any]:
    """C from a copy of the package as it installs: mypyc names modules by their folders. Raises what mypyc does."""
    from mypyc.build import mypycify

    tree = work / "sources" / "mmlist"
    shutil.rmtree(tree.parent, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "mmlist", tree, ignore=lambda *_: {"replay", "grammars", "db"})
    for folder in ("replay", "grammars", "db"):
        shutil.copytree(ROOT / folder, tree / folder)
    sources = [path.relative_to(ROOT) for pattern in built.COMPILED for path in sorted(ROOT.glob(pattern))]
    files = [str(Path("mmlist", path)) for path in sources if path.as_posix() not in NOT_COMPILED]
    options = ["--config-file=", "--ignore-missing-imports", "--no-incremental"]
    before = Path.cwd()
    os.chdir(tree.parent)
    os.environ["MYPYPATH"] = str(tree.parent)
    try:
        # -O1: a third less to wait than for -O2, and as fast.
        extensions = list(
            mypycify(
                [*options, *files],
                opt_level="1",
                debug_level="0",
                multi_file=True,
                target_dir=str(work / "c"),
                group_name="mmlist",
            )
        )
    finally:
        os.chdir(before)
    _read_attributes_at_once(work / "c")
    return extensions


def _read_attributes_at_once(folder: Path) -> None:
    """Put replay/attributes.h behind the headers of what mypyc wrote into `folder`."""
    shutil.copyfile(ROOT / "replay" / "attributes.h", folder / "attributes.h")
    for path in folder.glob("__native_mmlist___*.c"):
        head, found, rest = path.read_text(encoding="utf-8").partition(HEADERS)
        if found:
            path.write_text(f'{head}{HEADERS}#include "attributes.h"\n{rest}', encoding="utf-8")


class Modules(build_py):
    """Adds the module of the expressions: beside the others, wherever they are."""

    def run(self) -> None:
        """In an editable install, that is the tree."""
        super().run()
        folder = ROOT / "grammars" if self.editable_mode else Path(self.build_lib, "mmlist", "grammars")
        if folder.is_dir():
            (folder / "_expressions.py").write_text(made.expressions(), encoding="ascii")


class Compiled(Command):
    """Compiles the modules of a checkout into the folder where replay/built.py looks for them."""

    user_options: ClassVar[list[Any]] = []

    def initialize_options(self) -> None:
        """None there are."""

    def finalize_options(self) -> None:
        """None there are."""

    def run(self) -> None:
        """Anew; the packages whole, since what is not compiled is looked for where the rest is."""
        digest = built.digest()  # now: what is edited meanwhile is not what is compiled
        shutil.rmtree(built.FOLDER, ignore_errors=True)
        extensions = self.reinitialize_command("build_ext", build_lib=str(built.FOLDER))
        extensions.ensure_finalized()
        extensions.run()
        for package in ("replay/model", "replay/bind"):
            for path in sorted((ROOT / package).glob("*.py")):
                target = built.FOLDER / "mmlist" / package / path.name
                if target.parent.is_dir():
                    shutil.copyfile(path, target)
        if built.FOLDER.is_dir():
            (built.FOLDER / "digest").write_text(digest, encoding="ascii")


setup(
    cmdclass={"build_ext": Extensions, "build_py": Modules, "compiled": Compiled},
    ext_modules=[
        Extension(
            SCANNER,
            ["grammars/scanner.c"],
            depends=["grammars/values.h", "grammars/shape.h", "grammars/skim.h"],
            optional=True,
        ),
        Extension("mmlist.replay._wire", ["replay/wire.c"], optional=True),
    ],
)
