"""What headers say of the machine, against what stands in the log."""

from __future__ import annotations

import pytest

from mmlist.grammars import load
from mmlist.replay.machine import Machine

OF_TWO = b"# entries-in-buffer/entries-written: 900/900   #P:2"
OF_ONE = b"# entries-in-buffer/entries-written: 900/900   #P:1"
LATENCY = b"# latency: 0 us, #900/900, CPU#0 | (M:desktop VP:0, KP:0, SP:0 HP:0 #P:2)"


def heard(*lines: bytes) -> Machine:
    machine = Machine()
    for line in lines:
        parts = load("notes").read(line)
        assert parts is not None
        machine.hear(parts.pop("kind").decode(), parts, line)
    return machine


@pytest.mark.parametrize(
    ("lines", "seen", "records", "more", "one"),
    [
        ([OF_TWO], [0], 899, 0, True),
        ([OF_TWO], [0], 100, 0, False),  # an excerpt
        ([LATENCY], [0], 899, 0, True),
        ([OF_TWO], [0], 900, 0, False),  # the other had nothing to say
        ([OF_TWO], [0], 800, 100, False),  # entries that are stack traces
        ([OF_TWO], [0, 1], 500, 0, False),  # cut, but not by CPU
        ([OF_TWO], [], 0, 0, False),
        ([OF_ONE], [0], 10, 0, False),
        ([OF_TWO, OF_TWO], [0], 300, 0, True),  # two captures: nobody knows how many entries of which
        ([b"cpus=2"], [0], 300, 0, True),
        ([b"cpus=2"], [0], 100, 0, False),  # they may be all that there were
        ([b"cpus=2", b"CPU 1 is empty"], [0], 300, 0, False),
        ([b"cpus=1"], [0], 300, 0, False),
        ([], [0], 300, 0, False),  # nobody knows of another
        ([], [1], 300, 0, False),
        ([b"cpus=2", b"CPU 0 is empty"], [1], 300, 0, False),
        ([b"cpus=3", b"CPU 0 is empty"], [1], 300, 0, True),
    ],
)
def test_one_cpu_of_several(lines: list[bytes], seen: list[int], records: int, more: int, one: bool) -> None:
    assert heard(*lines).one_cpu(seen, records, more) is one
