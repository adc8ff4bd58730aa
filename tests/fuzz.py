"""Fuzzes the parser and the replay, guided by what code each input reaches: `make fuzz`.

    python tests/fuzz.py [--seconds 600] [--corpus FOLDER] [LOG ...]

Fails on any exception that is no MmlistError, on a line that is not counted, and on an input that takes longer than
five seconds. What is at fault is left as `crash-...` or `timeout-...` in FOLDER's parent; given as LOG, it is run alone.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType

LONGEST = 4096  # bytes of an input
SLOW = 5  # seconds for one, coverage included
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK")  # decompressors are not what is sought


def instrumented() -> tuple[ModuleType, ModuleType]:
    """atheris, and hostile.py with all of mmlist below it: what is imported later or earlier is not watched."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("fuzz: atheris is not installed; `make fuzz` does that, for a Python of which it has a wheel")
    with atheris.instrument_imports(include=["mmlist"]):
        return atheris, importlib.import_module("hostile")


def fuzz(atheris: ModuleType, hostile: ModuleType, seconds: int, corpus: Path) -> None:
    """Run for so long; new inputs go into `corpus`. Ends the process."""
    path = Path(tempfile.mkdtemp(prefix="mmlist-fuzz-")) / "log"

    def run(data: bytes) -> None:
        if data.startswith(PACKED):
            return
        hostile.survives(path, data)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.4:
            return bytes(atheris.Mutate(data, most))
        return b"\n".join(hostile.jumbled(data.split(b"\n"), chance))[:most]

    atheris.Setup(
        [
            *(sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOW}"),
            *(f"-artifact_prefix={corpus.parent}/", "-print_final_stats=1", "-rss_limit_mb=2048", "-len_control=20"),
        ],
        run,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def sow(hostile: ModuleType, corpus: Path) -> None:
    """Put the beginnings of all fixtures, and lines of each dialect, into `corpus`."""
    corpus.mkdir(parents=True, exist_ok=True)
    for path in hostile.logs():
        lines = hostile.content(path).split(b"\n")
        (corpus / path.name.partition(".")[0]).write_bytes(b"\n".join(lines[:12]))
    lines = list(hostile.seeds())
    random.Random(1).shuffle(lines)
    for number in range(0, len(lines), 4):
        (corpus / f"lines-{number}").write_bytes(hostile.HEADER + b"\n".join(lines[number : number + 4]))


def main() -> None:
    """Sow and fuzz, or run what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent.parent / ".fuzz" / "corpus")
    parser.add_argument("logs", nargs="*", type=Path, metavar="LOG")
    given = parser.parse_args()
    if given.logs:
        hostile = importlib.import_module("hostile")
        for log in given.logs:
            print(f"{log}: {'read' if hostile.survives(log, log.read_bytes()) else 'refused, as it should be'}")
    else:
        atheris, hostile = instrumented()
        sow(hostile, given.corpus)
        fuzz(atheris, hostile, given.seconds, given.corpus)


if __name__ == "__main__":
    main()
