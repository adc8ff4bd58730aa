"""Fixtures that all tests share."""

from __future__ import annotations

import os

# Tests look into the model, and so are of the sources; test_compiled says that what is compiled is the same.
os.environ.setdefault("MMLIST_SOURCES", "1")

from collections.abc import Callable

import pytest
from history_language import EXPLICIT, Story
from hypothesis import settings

from mmlist.replay.model import Carries

# The same examples each time, so that what passes here passes there; RANDOM=1 seeks new ones.
settings.register_profile("same", derandomize=True)
if not os.environ.get("RANDOM"):
    settings.load_profile("same")


@pytest.fixture
def story() -> Callable[..., Story]:
    """`story(text, profile="modern", carries=EXPLICIT)` tells a history and answers with its Story."""

    def tell(text: str = "", profile: str = "modern", carries: Carries = EXPLICIT) -> Story:
        return Story(profile, carries).tell(text)

    return tell
