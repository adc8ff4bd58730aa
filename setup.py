"""Builds what is made of the grammars: their expressions, and the extension that matches lines as these do.

All else stands in pyproject.toml. The extension is optional: without a C compiler the package installs, and is slower.
"""

import sys
from pathlib import Path
from types import ModuleType

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SCANNER = "mmlist.grammars._scanner"
# The grammars under their full name, before anything is installed: the package `mmlist` of the tree's own folders.
sys.modules["mmlist"] = package = ModuleType("mmlist")
package.__path__ = [str(ROOT)]

from mmlist.grammars import made  # noqa: E402


class Extensions(build_ext):
    """Writes the C that is made of the grammars before it is compiled."""

    def build_extension(self, ext: Extension) -> None:
        """Where no compiler is, setuptools passes over what is optional, with a warning."""
        if ext.name == SCANNER:
            folder = Path(self.build_temp)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "dialects.inc").write_text(made.dialects(), encoding="ascii")
            ext.include_dirs.append(str(folder))
            self.force = True  # setuptools looks at the sources' dates, and the grammars are none of them to it
        super().build_extension(ext)


class Modules(build_py):
    """Adds the module of the expressions: beside the others, wherever they are."""

    def run(self) -> None:
        """In an editable install, that is the tree."""
        super().run()
        folder = ROOT / "grammars" if self.editable_mode else Path(self.build_lib, "mmlist", "grammars")
        if folder.is_dir():
            (folder / "_expressions.py").write_text(made.expressions(), encoding="ascii")


setup(
    cmdclass={"build_ext": Extensions, "build_py": Modules},
    ext_modules=[
        Extension(
            SCANNER,
            ["grammars/scanner.c"],
            depends=["grammars/values.h", "grammars/shape.h"],
            optional=True,
        )
    ],
)
