"""What a capture's bundle says of how its log is to be read, beside what the user says."""

from __future__ import annotations

from dataclasses import replace

from mmlist.replay import parts
from mmlist.replay.log import Log
from mmlist.replay.options import Options


def bundled(log: Log, options: Options) -> Options:
    """`options` with the map of names that the definitions beside `log` make; as they are where there are none."""
    if parts.DEFINITIONS not in log.beside:
        return options
    from mmlist.capture.defined import names_of  # imported late: it reads what knows kernels

    return replace(options, mapping=names_of(log, options.mapping))
