"""The mutants: what mutmut's operators make of a module's functions, and how one is put into a process.

A mutant is put in place of a function that is imported already: its code is exchanged. So nothing is imported anew for each,
and no file is changed. What runs while modules are imported has run before; Suite says which functions that are.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.file_mutation import create_mutations, deep_replace

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("replay/model", "replay/invariants")


class Mutant(NamedTuple):
    """One change. `name` is that of the function (`Class.method`), `first` to `last` are the lines of the statement.

    `line` is the function's.
    """

    path: str
    name: str
    line: int
    first: int
    last: int
    prose: bool
    before: cst.Module
    old: cst.CSTNode
    new: cst.CSTNode

    def text(self) -> str:
        """The module's source with the change."""
        return str(deep_replace(self.before, self.old, self.new).code)

    def diff(self) -> str:
        """The lines that differ."""
        lines = difflib.unified_diff(self.before.code.splitlines(), self.text().splitlines(), lineterm="", n=0)
        changed = "\n".join(f"    {line}" for line in list(lines)[2:])
        return f"{self.path}: {self.name}\n{changed}"

    def put(self) -> None:
        """Change this process."""
        module = sys.modules["mmlist." + self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")]
        text = self.text()
        code: CodeType = compile(text, str(ROOT / self.path), "exec")
        function: Any = module
        for part in self.name.split("."):
            code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == part)
            function = vars(function)[part]
        assert isinstance(function, FunctionType), self.name
        function.__code__ = code
        if function.__defaults__ or function.__kwdefaults__:
            again: Any = {"__name__": module.__name__, "__file__": module.__file__}
            exec(compile(text, str(ROOT / self.path), "exec"), again)
            for part in self.name.split("."):
                again = again[part] if isinstance(again, dict) else vars(again)[part]
            function.__defaults__, function.__kwdefaults__ = again.__defaults__, again.__kwdefaults__


def mutants_of(path: str) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its text."""
    module, mutations = create_mutations((ROOT / path).read_text("utf-8"))
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    parents, places = wrapper.resolve(ParentNodeProvider), wrapper.resolve(PositionProvider)
    for mutation in mutations:
        function, old = mutation.contained_by_top_level_function, mutation.original_node
        if not isinstance(function, cst.FunctionDef) or old.deep_equals(mutation.mutated_node):
            continue  # nothing differs: mutmut takes the case of `b"\\0"` for changed
        way = [old]
        while way[-1] is not function:
            way.append(parents[way[-1]])
        holder = parents.get(parents[function])
        name = f"{holder.name.value}.{function.name.value}" if isinstance(holder, cst.ClassDef) else function.name.value
        place = places[next(node for node in way if isinstance(node, cst.BaseStatement | cst.SimpleStatementLine))]
        prose = is_prose(way, mutation.mutated_node)
        line = places[function].start.line
        yield Mutant(path, name, line, place.start.line, place.end.line, prose, module, old, mutation.mutated_node)


def is_prose(way: list[cst.CSTNode], new: cst.CSTNode) -> bool:
    """Whether only a reader sees the change: a string with a blank, what stands in an f-string, the words of a witness line.

    `way` leads from the node that is changed up to its function.
    """
    old = way[0]
    if isinstance(old, cst.SimpleString) and " " in old.value:
        return True
    if any(isinstance(node, cst.FormattedString) for node in way):
        return True
    for below, node in zip([new, *way], way, strict=False):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == "witness":
            if node is old:
                assert isinstance(new, cst.Call)
                return bool(new.args) and new.args[0] is node.args[0]
            return below is not node.args[0]
    return False


def every() -> list[Mutant]:
    """The mutants of FOLDERS."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
    return [mutant for path in paths for mutant in mutants_of(path.relative_to(ROOT).as_posix())]
