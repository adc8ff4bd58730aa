"""The programs that are measured: what reads logs at all, what takes fields out of them, and mmlist."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mmlist.replay.bind import NAMES
from speed.logs import ROOT, name_field, names_in

MMLIST = "mmlist"
PEERS = Path(__file__).parent / "peers"
PEERS_PYTHON = ROOT / ".bench" / "venv" / "bin" / "python"
"""Where `make peers` installs the extra `bench`."""

_IMPORTS = {"polars": "polars", "DuckDB": "duckdb", "trappy": "trappy", "LISA": "lisa"}
_FIELDS = "takes time, name and mm of each line; counts per name and mm"


class Contender(msgspec.Struct):
    """A program and what it does with a log. `fine`: exit codes of a good run. `lacking`: why it is not run."""

    name: str
    does: str
    command: list[str]
    fine: tuple[int, ...] = (0,)
    lacking: str = ""


def mmlist(log: Path, *options: str, name: str = MMLIST) -> Contender:
    """The whole job: the default database, all invariants, the summary. 1 and 3 are verdicts."""
    does = "parses, binds, replays, checks all invariants, stores, indexes, reports"
    command = [sys.executable, "-m", "mmlist", "replay", "-q", str(log), *(options or ("-o", "run.db"))]
    return Contender(name, does, command, (0, 1, 3))


def floor(log: Path) -> list[Contender]:
    """What a log costs that is only read."""
    awk = f"{{c[${name_field(log)}]++}} END {{for (n in c) print c[n], n}}"
    names = "[ :](" + "|".join(sorted(NAMES)) + "): "
    found = [
        _tool("mawk", "counts the lines of each event name", ["mawk", awk, str(log)]),
        _tool("grep", "counts the lines with an event name of ours", ["grep", "-cE", names, str(log)], {"LC_ALL": "C"}),
    ]
    found[1].fine = (0, 1)
    return found


def field(log: Path, python: Path | None) -> Iterator[Contender]:
    """What takes columns out of a log, and trace_processor, which imports it."""
    yield Contender("Python re, line by line", _FIELDS, [sys.executable, str(PEERS / "adhoc.py"), str(log)])
    yield _library("polars", f"{_FIELDS}; all cores", python, "with_polars.py", str(log))
    yield _library("DuckDB", f"{_FIELDS}; all cores", python, "with_duckdb.py", str(log))
    yield _trace_processor(log)


def frames(log: Path, python: Path | None) -> Iterator[Contender]:
    """What makes a DataFrame of each event: far slower, for short logs."""
    names = ",".join(names_in(log, NAMES))
    yield _library("trappy", "a DataFrame of each event of ours", python, "with_trappy.py", str(log), names)
    yield _library("LISA", "a DataFrame of each event of ours", python, "with_lisa.py", str(log), names)


def peers_python() -> Path | None:
    """The Python that has the libraries: that of `make peers`, else this one; None where it has none of them."""
    python = PEERS_PYTHON if PEERS_PYTHON.exists() else Path(sys.executable)
    return python if any(installed(python).values()) else None


@functools.cache
def installed(python: Path) -> dict[str, str]:
    """Library -> its version, empty where it is not installed."""
    code = (
        "import importlib.metadata as m\nfor n in ('polars', 'duckdb', 'trappy', 'lisa-linux'):\n"
        " try: print(m.version(n))\n except m.PackageNotFoundError: print()"
    )
    told = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(zip(_IMPORTS, told.split("\n"), strict=False))


def _library(name: str, does: str, python: Path | None, script: str, *arguments: str) -> Contender:
    command = [str(python), str(PEERS / script), *arguments]
    version = installed(python)[name] if python is not None else ""
    return Contender(name, does, command, lacking="" if version else "not installed: make peers")


def _trace_processor(log: Path) -> Contender:
    """Perfetto's, where TRACE_PROCESSOR says where its binary is."""
    binary = os.environ.get("TRACE_PROCESSOR", "")
    lacking = "" if binary else "not given: TRACE_PROCESSOR=path"
    does = "imports the events that it knows, drops ours; one SQL query"
    return Contender("trace_processor", does, [binary, "-q", str(PEERS / "count.sql"), str(log)], lacking=lacking)


def _tool(name: str, does: str, command: list[str], environment: dict[str, str] | None = None) -> Contender:
    lacking = "" if shutil.which(command[0]) else "not installed"
    settings = [f"{key}={value}" for key, value in (environment or {}).items()]
    return Contender(name, does, ["env", *settings, *command] if settings else command, lacking=lacking)
