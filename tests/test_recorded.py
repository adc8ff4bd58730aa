"""What replays of the fixtures yield is what was recorded of it: the words of violations, what findings rest on, what the model
says. Written anew by `ACCEPT=1 make test ARGS="-n 0 -k recorded"`, to be looked through as a diff."""

from __future__ import annotations

from pathlib import Path

import model_facts
import pytest
import rested_on
import told
from recorded import Recorded, name

RECORDS = [told.RECORDED, rested_on.RECORDED, model_facts.RECORDED]
EACH = [
    pytest.param(record, log, id=f"{record.path.stem}-{name(log)}") for record in RECORDS for log in sorted(record.logs)
]


@pytest.mark.parametrize(("record", "log"), EACH)
def test_a_fixture_says_what_was_recorded(record: Recorded, log: Path) -> None:
    record.check(log)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.path.stem)
def test_what_was_recorded_is_of_fixtures_that_are(record: Recorded) -> None:
    assert sorted(set(record.sections) - set(map(name, record.logs))) == []
