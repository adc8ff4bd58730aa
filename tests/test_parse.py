"""Lines become what they say: dialects, kinds, exact time, losses, forged and split lines; every line counted once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmlist.cli.parse import describe
from mmlist.replay.errors import InputError
from mmlist.replay.log import Log
from mmlist.replay.parse import Item, Parser
from mmlist.replay.record import Loss, Record, Unparsed

ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "lines.jsonl").read_text().splitlines()]


def read(path: Path, text: bytes, names: frozenset[str] | None = None) -> tuple[list[Item], Parser]:
    log_path = path / "log.txt"
    log_path.write_bytes(text)
    with Log.open(str(log_path)) as log:
        parser = Parser(log, names)
        items = list(parser.records())
    assert parser.ledger.lines == len(text.removesuffix(b"\n").split(b"\n"))
    return items, parser


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_line_says_what_is_expected(row: dict[str, Any], tmp_path: Path) -> None:
    line = row["line"].encode("utf-8", "surrogateescape")
    items, parser = read(tmp_path, line + b"\n")
    assert len(items) == 1
    said = describe(items[0], parser.dialect)
    assert {key: said.get(key) for key in row["expect"]} == row["expect"]
    assert json.loads(json.dumps(said)) == said
