"""Expectations: only what is stated is compared, and what is accepted is then as expected."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmlist import expectation
from mmlist.cli import check as command
from mmlist.cli import cli
from mmlist.replay.errors import OptionError

MM = "0xffff888003a1c000"


def violation(code: str, line: int, **other: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("entry", "type"), "unknown")
    known = {"code": code, "certainty": "proven", "root": True, "line": line, "mm": MM, "generation": 1, "count": 1}
    return {
        **known,
        **unknown,
        "slug": "s",
        "severity": "E",
        "last_line": line,
        "message": "m",
        "signature": "x",
    } | other


FOUND = {
    **{"verdict": "violated", "exit": 1, "profile_is": "modern", "compared": 7, "differing": 0, "not_checked": []},
    "violation": [violation("M2", 12), violation("M1", 15, root=False), violation("M1", 20, root=False, count=3)],
    "membership": [],
}


@pytest.mark.parametrize(
    "stated",
    [
        {"verdict": "violated"},
        {"verdict": "violated", "differing": 0, "membership": []},
        {"violation": [{"code": "M1"}, {"code": "M2"}, {"code": "M1"}]},
        {"violation": [{"code": "M1"}, {"code": "M1", "line": 15}, {"code": "M2", "entry": "unknown"}]},
        {"complete": False, "violation": [{"line": 20, "count": 3}]},
        {"profile": "2.6.9", "options": {"mmlist_offset": 152}},
    ],
)
def test_what_is_stated_and_true_is_no_difference(stated: dict[str, Any]) -> None:
    assert expectation.difference(stated, FOUND) == ""


@pytest.mark.parametrize(
    ("stated", "line"),
    [
        ({"verdict": "conforming"}, '+verdict = "violated"'),
        ({"verdict": "violated", "exit": 0}, "+exit = 1"),
        ({"differing": 1}, "-differing = 1"),
        ({"violation": []}, '+code = "M2"'),
        ({"violation": [{"code": "M2"}, {"code": "M1"}]}, "+line = 20"),
        ({"violation": [{"code": "M2", "line": 13}, {"code": "M1"}, {"code": "M1"}]}, "-line = 13"),
        ({"complete": False, "violation": [{"code": "D1"}]}, '-code = "D1"'),
        ({"membership": [{"mm": MM}]}, f'-mm = "{MM}"'),
        ({"message": "is a folder"}, '+message = "none"'),
    ],
)
def test_what_is_stated_and_not_true_is_shown(stated: dict[str, Any], line: str) -> None:
    assert line in expectation.difference(stated, FOUND).splitlines()


@pytest.mark.parametrize("stated", [{}, {"differing": 3}, {"violation": [{"code": "M2", "message": "m"}]}])
@pytest.mark.parametrize("folder", ["violating", "captures", "conforming"])
def test_what_is_accepted_is_as_expected(stated: dict[str, Any], folder: str) -> None:
    log = Path("fixtures", folder, "double-join.trace")
    written = tomllib.loads(expectation.toml(expectation.accepted(log, stated, FOUND)))
    assert expectation.difference(expectation.expected(log, written), FOUND) == ""
    assert ("verdict" in written) == (folder != "violating")
    assert set(stated) <= set(written)


def test_entry_with_fewest_keys_does_not_take_what_another_needs() -> None:
    stated = {"violation": [{"code": "M1"}, {"code": "M1", "line": 15}], "complete": False}
    assert expectation.difference(stated, FOUND) == ""


@pytest.mark.parametrize(
    ("log", "name"),
    [("a/x.trace", "a/x.expected"), ("x.trace.gz", "x.expected"), ("x-2.6.9.trace.zst", "x-2.6.9.expected")],
)
def test_expectation_is_named_by_its_log(log: str, name: str) -> None:
    assert expectation.expectation_of(Path(log)) == Path(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("verdit = 'x'", "unknown key verdit"),
        ("[options]\noffset = 1", "unknown key offset"),
        ("[[violation]]\nslog = 'x'", "unknown key slog"),
        ("verdict = ", "Invalid value"),
    ],
)
def test_expectation_with_a_mistake_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.expected"
    path.write_text(text)
    with pytest.raises(OptionError, match=said):
        expectation.load(path)


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in violating/ whose replay yields FOUND."""
    monkeypatch.setattr(expectation, "replayed", lambda _, __: FOUND)
    folder = tmp_path / "violating"
    folder.mkdir()
    log = folder / "double-join.trace"
    log.touch()
    return log


def test_check_fails_without_expectation_and_passes_once_accepted(fixture: Path) -> None:
    missing = CliRunner().invoke(cli, ["check", str(fixture.parent)])
    assert missing.exit_code == 1
    assert f"{fixture}: FAILED\n" in missing.stdout
    accepted = CliRunner().invoke(cli, ["check", str(fixture), "--accept"])
    assert (accepted.exit_code, '+code = "M2"' in accepted.stdout) == (0, True)
    assert CliRunner().invoke(cli, ["check", str(fixture)]).stdout == f"{fixture}: ok\n"
    assert command.accept_one(fixture) == ""


def test_accept_keeps_the_comment_at_the_top(fixture: Path) -> None:
    path = expectation.expectation_of(fixture)
    path.write_text("# A story.\n# Of two lines.\n\ndiffering = 9\n# lost\n")
    command.accept_one(fixture)
    assert path.read_text() == "# A story.\n# Of two lines.\n\ndiffering = 0\n"
