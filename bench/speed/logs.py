"""The logs: built by `mmlist simulate` at full length, kept under .bench/logs by what they were built with."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmlist.replay.log import Log
from speed.cases import MIXES, Case
from speed.noise import mixed

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / ".bench" / "logs"
SEED = 5
PACE = 12
"""Microseconds, the most that a step of the simulation takes; as many to each line of noise."""

_NAME_FOLLOWS = re.compile(rb"\d: +(?:\w+:)?(?=\w+: )")
_LOOKED_AT = 4000
_HEADER = 11  # lines of a header, at most


def build(case: Case, folder: Path = KEPT) -> Path:
    """The log of `case`, built unless it is there. Raises subprocess.CalledProcessError where the simulation fails."""
    target = folder / f"{case.mix}-{case.form}-{case.lines}-{_made_by()}.txt"  # trappy reads no other
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".part{os.getpid()}")
    try:
        with part.open("wb") as out:
            for lines in _lines(case):
                out.write(lines)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _lines(case: Case) -> Iterable[bytes]:
    mix = MIXES[case.mix]
    form = "tracefs" if case.form == "trace_pipe" else case.form
    ours = _simulated(mix.view, form, max(case.lines // (mix.noise + 1), 1), PACE * (mix.noise + 1))
    if case.form == "trace_pipe":  # the same without its header
        ours = (line for line in ours if not line.startswith(b"#"))
    return mixed(ours, form, mix.noise, SEED) if mix.noise else ours


def _simulated(view: str, form: str, lines: int, pace: int) -> Iterator[bytes]:
    """So many lines of a simulation. Raises subprocess.CalledProcessError where it ends before."""
    asked = {"view": view, "dialect": form, "lines": lines + _HEADER, "pace": pace, "seed": SEED}
    options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "mmlist", "simulate", *options]
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, 1):
            yield line
            lines += line.startswith(b"#")  # a header comes on top
            if count == lines:  # it prints some more, which would be many in a log that is mostly noise
                process.kill()
                break
    if count < lines:
        raise subprocess.CalledProcessError(process.returncode, command)


def _made_by() -> str:
    """Short, and another one as soon as what builds logs has changed."""
    made = hashlib.sha256(f"{SEED} {PACE} {MIXES}".encode())
    for path in (
        *sorted((ROOT / "replay" / "simulate").glob("*.py")),
        Path(__file__),
        Path(__file__).with_name("noise.py"),
    ):
        made.update(path.read_bytes())
    return made.hexdigest()[:8]


def unpacked(log: Path, target: Path) -> int:
    """Write the text of the user's `log`, whatever it is packed in, to `target`; the number of its lines.

    Raises mmlist's InputError where it is no log.
    """
    count = 0
    with Log.open(str(log)) as opened, target.open("wb") as out:
        for block in opened.blocks():
            out.write(block.data)
            count += block.data.count(b"\n")
    return count


def head(log: Path, target: Path, lines: int) -> Path:
    """The first `lines` lines of `log`, as `target`."""
    with log.open("rb") as given, target.open("wb") as out:
        for _, line in zip(range(lines), given, strict=False):
            out.write(line)
    return target


def counted(log: Path) -> int:
    """The lines of a plain log. Reading it also brings it into the page cache, where all find it then."""
    with log.open("rb") as given:
        return sum(block.count(b"\n") for block in iter(lambda: given.read(1 << 20), b""))


def name_field(log: Path) -> int:
    """In which of awk's fields the event's name stands, in most lines."""
    fields: Counter[int] = Counter()
    with log.open("rb") as given:
        for _, line in zip(range(_LOOKED_AT), given, strict=False):
            found = _NAME_FOLLOWS.search(line)
            if found is not None:
                fields[len(line[: found.start() + 2].split()) + 1] += 1
    return fields.most_common(1)[0][0] if fields else 5


def names_in(log: Path, known: Iterable[str]) -> list[str]:
    """Which of the `known` events stand in the beginning of `log`."""
    wanted, found = set(known), set()
    with log.open("rb") as given:
        for _, line in zip(range(100_000), given, strict=False):
            match = _NAME_FOLLOWS.search(line)
            if match is not None:
                found.add(line[match.end() :].partition(b":")[0].decode("utf-8", "replace"))
    return sorted(wanted & found)


def environment() -> dict[str, str]:
    """Ours, with this checkout importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def free_space(folder: Path) -> int:
    """Bytes that can still be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free
