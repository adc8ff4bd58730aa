"""The simulated kernel: the same each time, apart from the model, right where no bug is seeded, wrong where one is."""

import ast
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import mmlist
from mmlist.cli.simulate import simulate
from mmlist.replay.simulate import BUGS, DIALECTS, PROFILES, VIEWS, Settings, Simulation

PACKAGE = Path(__file__).parent.parent / "replay" / "simulate"
APART = ("mmlist.replay.model", "mmlist.replay.bind", "mmlist.replay.judge", "mmlist.replay.invariants")


def log_of(tmp_path: Path, settings: Settings) -> tuple[Path, Simulation]:
    simulation = Simulation(settings)
    path = tmp_path / "simulated.trace"
    path.write_text("\n".join(simulation.lines()) + "\n")
    return path, simulation


def test_simulator_shares_no_code_with_the_model() -> None:
    modules = sorted(PACKAGE.glob("*.py"))
    assert modules
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            ours = [name for name in names if name.startswith("mmlist") and "simulate" not in name]
            assert ours == [], module
            assert not any(name.startswith(APART) for name in names)


@pytest.mark.parametrize("view", VIEWS)
def test_same_settings_print_the_same_log(view: str) -> None:
    settings = Settings(seed=5, view=view, loss=0.01, ties=0.1, noise=0.1, lines=600)
    assert list(Simulation(settings).lines()) == list(Simulation(settings).lines())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("seed", range(3))
def test_correct_history_is_conforming(tmp_path: Path, profile: str, view: str, seed: int) -> None:
    if view != "explicit" and profile != "modern":
        pytest.skip("only modern kernels have probes in captures/")
    path, simulation = log_of(tmp_path, Settings(profile=profile, view=view, seed=seed, lines=1500))
    report = mmlist.run(path, mmlist.Options(profile=profile))
    assert report.decisive("EW") == []
    assert report.run.verdict == "conforming"
    assert simulation.truth().bug is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(tmp_path: Path, dialect: str) -> None:
    path, simulation = log_of(tmp_path, Settings(dialect=dialect, lines=800))
    report = mmlist.run(path)
    assert report.unparsed == 0
    assert report.run.lines == simulation.truth().lines
    assert report.decisive("EW") == []
    assert report.run.verdict == "conforming" or dialect == "nocontext"  # which does not tell tasks apart


@pytest.mark.parametrize("dialect", ["tracefs", "trace_cmd", "perf_script"])
def test_losses_are_announced(tmp_path: Path, dialect: str) -> None:
    path, simulation = log_of(tmp_path, Settings(dialect=dialect, lines=2000, loss=0.01))
    report = mmlist.run(path)
    assert report.losses.total() >= simulation.truth().losses > 0
    assert [v for v in report.violations if v.certainty == "proven"] == []


def test_truth_names_the_line_at_which_the_step_went_wrong(tmp_path: Path) -> None:
    path, simulation = log_of(tmp_path, Settings(bug="removed-before-exit_mmap", lines=2000, seed=1))
    truth = simulation.truth()
    assert truth.bug == "removed-before-exit_mmap" and truth.root == "M5"
    assert truth.line is not None
    assert "mmlist_del" in path.read_text().splitlines()[truth.line - 1]
    first = min(mmlist.run(path).decisive(), key=lambda violation: violation.at.line)
    assert (first.code, first.at.line) == ("M5", truth.line)


def test_truth_has_the_members_at_the_end(tmp_path: Path) -> None:
    path, simulation = log_of(tmp_path, Settings(lines=1500, seed=3))
    members: list[str] = []
    for line in path.read_text().splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "mmlist_add:" in line:
            members.insert(members.index(words["after"]) + 1 if words["after"] in members else 0, words["mm"])
        elif "mmlist_del:" in line:
            members.remove(words["mm"])
    assert simulation.truth().members == members


def test_catalogue_is_large_and_every_bug_stands_in_the_code() -> None:
    assert len(BUGS) >= 40
    text = "".join(module.read_text() for module in PACKAGE.glob("*.py") if module.name != "bugs.py")
    for name in BUGS:
        site = name.split("-", 1)[1]
        assert f'"{name}"' in text or f"-{site}" in text, name


def test_command_writes_log_and_truth(tmp_path: Path) -> None:
    log = tmp_path / "wrong.trace"
    options = ["--bug", "pageout-does-not-join", "--lines", "500", "-o", str(log)]
    result = CliRunner().invoke(simulate, options)
    assert result.exit_code == 0, result.output
    truth = json.loads(Path(f"{log}.truth.json").read_text())
    assert truth["root"] == "M1" and truth["lines"] == len(log.read_text().splitlines())


def test_command_refuses_what_it_does_not_know() -> None:
    assert "no bug" in CliRunner().invoke(simulate, ["--bug", "none"]).output.lower()
    other = CliRunner().invoke(simulate, ["--bug", "does-not-drain", "--profile", "2.6.9"])
    assert other.exit_code == 2 and "is a bug of" in other.output


def test_command_lists_the_bugs() -> None:
    output = CliRunner().invoke(simulate, ["--list-bugs"]).output
    assert all(name in output for name in BUGS)


@pytest.mark.parametrize("seed", [*range(4), 20004])  # 20004: two lives of one address, each wrong in some other order
def test_correct_history_with_ties_accuses_nobody(tmp_path: Path, seed: int) -> None:
    settings = Settings(profile="2.6.9", seed=seed, lines=3000, ties=0.2, cpus=4)
    path, _ = log_of(tmp_path, settings)
    assert mmlist.run(path, mmlist.Options(profile="2.6.9")).decisive("E") == []
