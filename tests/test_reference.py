"""`--no-fast`: Lark reads every line, and all that the replay says is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded import LOGS, name

from mmlist.cli import cli
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options

SHORT = [log for log in LOGS if log.suffix == ".trace" and log.stat().st_size < 5_000]


def facts(log: Path, *, fast: bool) -> list[str]:
    with Log.open(str(log)) as opened:
        return [repr(fact) for fact in replay(opened, Options(fast=fast))]


@pytest.mark.parametrize("log", SHORT, ids=name)
def test_lark_reads_a_fixture_as_its_expression_does(log: Path) -> None:
    assert facts(log, fast=False) == facts(log, fast=True)


def test_the_option_leaves_the_report_as_it_is(tmp_path: Path) -> None:
    given = ["replay", str(SHORT[0]), "-o", str(tmp_path / "run.db")]
    one, other = (CliRunner().invoke(cli, [*given, *more]) for more in ([], ["--no-fast"]))
    assert (one.exit_code, one.stdout) == (other.exit_code, other.stdout)
