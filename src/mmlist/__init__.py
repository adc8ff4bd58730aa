"""mmlist replays a kernel trace and tells, with proof, whether swap's list of address spaces was ever wrong.

The whole of the Python API::

    import mmlist

    report = mmlist.run("trace.txt.gz")           # replay one log; a database only where `database=` is given
    report.run.verdict                            # "conforming", "violated" or "unknown"
    for violation in report.violations:           # data: code, certainty, mm, line, witness ...
        print(violation.code, violation.message)

    with mmlist.Log.open("trace.txt") as log:     # or fact by fact, in constant memory
        for fact in mmlist.replay_log(log, mmlist.Options(profile="modern")):
            ...

    names = mmlist.load_map("probes.toml")        # what the log's own event names mean: docs/mapping.md
    mmlist.run("trace.txt", mmlist.Options(mapping=names))

    kernel = mmlist.load_symbols(vmlinux="vmlinux")  # names for the addresses that trace-cmd and perf print
    mmlist.run("report.txt", mmlist.Options(symbols=kernel))

    mmlist.store(path, facts)                     # facts into a database; mmlist.db.read asks it
    mmlist.invariants()                           # what is checked, with its documentation

Errors that a user can mend are children of `MmlistError`. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmlist.db.store import store
    from mmlist.replay.errors import DatabaseError, InputError, MmlistError, OptionError
    from mmlist.replay.history import replay as replay_log
    from mmlist.replay.invariants import collect as invariants
    from mmlist.replay.log import Log
    from mmlist.replay.mapfile import load as load_map
    from mmlist.replay.mapping import Mapping
    from mmlist.replay.options import Options
    from mmlist.report import Report, run
    from mmlist.symbols import load as load_symbols

__version__ = "0.1.0"

_HOMES = {
    "DatabaseError": "mmlist.replay.errors:DatabaseError",
    "InputError": "mmlist.replay.errors:InputError",
    "Log": "mmlist.replay.log:Log",
    "Mapping": "mmlist.replay.mapping:Mapping",
    "MmlistError": "mmlist.replay.errors:MmlistError",
    "OptionError": "mmlist.replay.errors:OptionError",
    "Options": "mmlist.replay.options:Options",
    "Report": "mmlist.report:Report",
    "invariants": "mmlist.replay.invariants:collect",
    "load_map": "mmlist.replay.mapfile:load",
    "load_symbols": "mmlist.symbols:load",
    "replay_log": "mmlist.replay.history:replay",
    "run": "mmlist.report:run",
    "store": "mmlist.db.store:store",
}

__all__ = [
    "DatabaseError",
    "InputError",
    "Log",
    "Mapping",
    "MmlistError",
    "OptionError",
    "Options",
    "Report",
    "__version__",
    "invariants",
    "load_map",
    "load_symbols",
    "replay_log",
    "run",
    "store",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
