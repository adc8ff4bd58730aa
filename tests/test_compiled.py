"""What mypyc compiles says what its sources say, of every fixture."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import LOGS, name

from mmlist.replay import built
from mmlist.replay.bind import NAMES
from mmlist.replay.bind.reads import fields_of
from mmlist.replay.errors import MmlistError
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options

ROOT = Path(__file__).parent.parent


def told(log: Path) -> str:
    """A digest of all facts of a log, or of what is wrong with it."""
    with Log.open(str(log)) as opened:
        try:
            facts = "\n".join(map(repr, replay(opened, Options())))
        except MmlistError as error:
            facts = str(error)
    return hashlib.sha256(facts.encode()).hexdigest()


@pytest.fixture(scope="module")
def compiled() -> dict[str, str]:
    """What the compiled modules tell, by log."""
    environment = {key: value for key, value in os.environ.items() if key not in built.NOT_USED}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    asked = [sys.executable, __file__]
    answer = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    if answer[0] != "compiled":
        pytest.skip("nothing is compiled (no C compiler), or it is of other sources: make demo")
    return dict(line.split("\t") for line in answer[1:])


def asked() -> str:
    """Which fields the handlers of each event read."""
    return ";".join(f"{event} {fields_of(event, explicit=layer)}" for event in sorted(NAMES) for layer in (True, False))


def test_compiled_handlers_read_the_fields_that_their_sources_read(compiled: dict[str, str]) -> None:
    assert compiled["fields"] == asked()


@pytest.mark.parametrize("log", LOGS, ids=name)
def test_compiled_modules_tell_what_their_sources_tell(log: Path, compiled: dict[str, str]) -> None:
    assert compiled[str(log)] == told(log)


if __name__ == "__main__":
    print("compiled" if built.folders() else "sources")
    print("fields", asked(), sep="\t")
    for path in LOGS:
        print(path, told(path), sep="\t")
