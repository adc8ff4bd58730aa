"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from history_language import EXPLICIT, Story

from mmlist.replay.model import Carries


@pytest.fixture
def story() -> Callable[..., Story]:
    """`story(text, profile="modern", carries=EXPLICIT)` tells a history and answers with its Story."""

    def tell(text: str = "", profile: str = "modern", carries: Carries = EXPLICIT) -> Story:
        return Story(profile, carries).tell(text)

    return tell
