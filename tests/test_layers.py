"""Imports point down only (ARCHITECTURE.md), and the model does no I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "grammars": {"grammars"},
    "replay": {"replay", "grammars"},
    "db": {"db", "replay"},
    "src/mmlist": {"", "cli", "db", "replay", "grammars"},
}
NO_IO = [
    "replay/model",
    "replay/invariants",
    "replay/events.py",
    "replay/facts.py",
    "replay/judge.py",
    "replay/explain.py",
]
IO_MODULES = {
    "io",
    "logging",
    "os",
    "pathlib",
    "socket",
    "sqlite3",
    "sqlalchemy",
    "subprocess",
    "sys",
    "tempfile",
    "time",
}


def modules(folder: str) -> Iterator[Path]:
    path = ROOT / folder
    if path.suffix == ".py":
        yield path
        return
    for module in sorted(path.rglob("*.py")):
        if not any(parent.is_symlink() for parent in module.parents if parent != ROOT):
            yield module


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names of everything imported, at the top or late; relative imports are refused elsewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(name: str) -> str | None:
    """`mmlist.db.read` -> `db`; a name of the front door itself -> ``; None where it is not ours."""
    first, *rest = name.split(".")
    if first != "mmlist":
        return None
    return rest[0] if rest and rest[0] in {"grammars", "replay", "db", "cli"} else ""


def upward(tree: ast.AST, folder: str) -> list[str]:
    allowed = MAY_IMPORT[folder]
    found = []
    for name in imported(tree):
        layer = layer_of(name)
        bare = name.split(".")[0] in {"grammars", "replay", "db"}
        if name.startswith(".") or bare or (layer is not None and layer not in allowed and name != "mmlist"):
            found.append(name)
    return found


def does_io(tree: ast.AST) -> list[str]:
    found = [name for name in imported(tree) if name.split(".")[0] in IO_MODULES or layer_of(name) == "db"]
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return found + [call.id for call in calls if isinstance(call, ast.Name) and call.id in {"open", "print", "input"}]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_down(folder: str) -> None:
    found = {str(path): upward(ast.parse(path.read_text()), folder) for path in modules(folder)}
    assert found, "no module found"
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", NO_IO)
def test_model_does_no_io(folder: str) -> None:
    found = {str(path): does_io(ast.parse(path.read_text())) for path in modules(folder)}
    assert found, "no module found"
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("grammars", "from mmlist.replay.errors import InputError"),
        ("replay", "def late():\n    from mmlist.db import read"),
        ("replay", "import mmlist.cli"),
        ("replay", "from mmlist import __version__"),
        ("db", "from mmlist.grammars import load"),
        ("db", "import db.read"),
        ("replay", "from . import facts"),
    ],
)
def test_upward_import_is_found(folder: str, text: str) -> None:
    assert upward(ast.parse(text), folder)


@pytest.mark.parametrize(
    "text", ["open('x')", "import logging", "from pathlib import Path", "from mmlist.db import read"]
)
def test_io_is_found(text: str) -> None:
    assert does_io(ast.parse(text))
