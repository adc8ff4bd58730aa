"""What is in the tree is in the package: setuptools leaves out what is not named, without a word."""

import re
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import mmlist

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {name: ROOT / path for name, path in PROJECT["tool"]["setuptools"]["package-dir"].items()}
BUILT = set(EXTENSION_SUFFIXES)
"""What setup.py leaves in the tree of an editable install; setuptools packs it without being told."""
PACKED = {".py", *(Path(pattern).suffix for pattern in PROJECT["tool"]["setuptools"]["package-data"]["*"])} - {""}


def packages_of_tree() -> set[str]:
    """Each folder with a file that belongs into the wheel, by the name of its package."""
    found = set()
    for name, top in FOLDERS.items():
        for path in top.rglob("*"):
            inside = path.relative_to(top)
            linked = any((top / part).is_symlink() for part in [inside, *inside.parents] if part != Path())
            if path.is_file() and path.suffix in PACKED and not linked and "__pycache__" not in inside.parts:
                found.add(".".join([name, *inside.parts[:-1]]))
    return found


def test_every_package_of_the_tree_is_named() -> None:
    assert packages_of_tree() == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_file_of_the_tree_has_a_packed_suffix() -> None:
    strange = {
        str(path.relative_to(ROOT))
        for top in FOLDERS.values()
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in PACKED and path.name != "py.typed"
        if not any(path.name.endswith(suffix) for suffix in BUILT)
    }
    assert strange == set()


def test_links_lead_to_the_folders() -> None:
    for name in ("replay", "grammars", "db"):
        link = ROOT / "src" / "mmlist" / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / name
        assert not Path(link.readlink()).is_absolute()


def test_constraints_are_exact_and_cover_what_is_declared() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = {re.fullmatch(r"([\w.-]+)==[\w.]+", line)[1].lower().replace("_", "-") for line in lines}
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    declared += PROJECT["build-system"]["requires"]
    assert {re.match(r"[\w.-]+", one)[0].lower() for one in declared} <= pinned


def test_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", mmlist.__version__)
    assert "version" not in PROJECT["project"]


def test_api_is_importable() -> None:
    for name in mmlist.__all__:
        assert getattr(mmlist, name) is not None
    assert set(mmlist.__all__) <= set(dir(mmlist))
