"""`--timings`, and the progress on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from mmlist.cli import cli
from mmlist.replay.simulate import Settings, Simulation

LOG = Path(__file__).parent.parent / "fixtures" / "violating" / "double-join.trace"


def test_timings_name_every_stage_and_leave_the_report_as_it_is(tmp_path: Path) -> None:
    plain = CliRunner().invoke(cli, ["replay", str(LOG), "-o", str(tmp_path / "run.db")])
    timed = CliRunner().invoke(cli, ["replay", str(LOG), "-o", str(tmp_path / "run.db"), "--timings"])
    assert (timed.exit_code, timed.stdout) == (plain.exit_code, plain.stdout)
    stages = [line.split()[0] for line in timed.stderr.splitlines()]
    assert stages == ["survey", "parse", "bind", "model", "invariants", "facts", "store", "all"]
    seconds = [float(line.split()[1]) for line in timed.stderr.splitlines()]
    assert sum(seconds[:-1]) <= seconds[-1] + 0.05  # each stage's own, none counted twice; rounded


def test_a_terminal_is_told_how_far_it_is(tmp_path: Path) -> None:
    log = tmp_path / "trace.txt"
    log.write_text("".join(f"{line}\n" for line in Simulation(Settings(lines=20_000)).lines()), "utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mmlist", "replay", str(log), "--no-db"]
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment | {"TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert process.returncode == 0
    assert b"0 violations so far" in said and b" MB" in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has it open any more
        return b""
