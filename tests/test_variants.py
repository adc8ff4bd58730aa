"""What replays of damaged logs yield is what was recorded of it (`data/variants.txt`), for the paths that no fixture takes.

`ACCEPT=1 make test ARGS="-n 0 -k variants"` writes the digests anew. `python tests/variants.py NAME` prints what is behind
them, in two trees: what differs was meant, or was not. A heading added to the file is one more variant.
"""

from __future__ import annotations

import os

import pytest
from recorded import DATA, sections, write
from variants import digests

PATH = DATA / "variants.txt"
if os.environ.get("ACCEPT"):
    write(PATH, {name: digests(name) for name in sections(PATH)})
RECORDED = sections(PATH)


@pytest.mark.parametrize("name", RECORDED)
def test_a_variant_yields_what_was_recorded(name: str) -> None:
    assert digests(name).rstrip("\n") == RECORDED[name].rstrip("\n")
