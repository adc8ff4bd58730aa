"""The compiled modules of a checkout: used for as long as they are of the very sources that stand there.

`make` has mypyc compile the modules that every event goes through (setup.py), into a folder apart: beside the sources, what
is old would go before what was edited. Where mmlist is installed, they stand beside the others, and nothing is done here.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".compiled"
COMPILED = (
    *(
        "replay/model/*.py",
        "replay/bind/*.py",
        "replay/history.py",
        "replay/reading.py",
        "replay/judge.py",
        "replay/order.py",
    ),
    *("replay/payload.py", "replay/survey.py", "db/rows.py", "db/load.py"),
)
"""Where an event or a fact passes. Invariants hear of changes only, which are few: compiled they gain nothing."""
NOT_USED = ("MMLIST_SOURCES", "MMLIST_PURE")
"""Set in the environment, either of these has the sources run; the second also does without the scanner of the grammars."""
SEEN = (
    "replay/events.py",
    "replay/facts.py",
    "replay/record.py",
    "replay/invariants/base.py",
    "replay/attributes.h",
    "setup.py",
)
"""What the compiled code knows by heart, besides: the types that it handles."""


def digest() -> str:
    """Of the sources that are compiled and of what they were compiled by."""
    hashed = hashlib.blake2b(f"{sys.implementation.cache_tag} {sys.platform}".encode())
    for pattern in (*COMPILED, *SEEN):
        for path in sorted(ROOT.glob(pattern)):
            hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()


def folders(package: str = "replay") -> list[str]:
    """Where to look for modules of `package` first; none where nothing is built, or it is of other sources."""
    try:
        if any(map(os.environ.get, NOT_USED)) or (FOLDER / "digest").read_text(encoding="ascii") != digest():
            return []
    except OSError:
        return []
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))  # the library that all of them share
    return [str(FOLDER / "mmlist" / package)]
