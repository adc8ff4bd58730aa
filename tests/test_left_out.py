"""A right kernel whose log lacks some events altogether: no two kernels let the same functions be probed, nobody records all."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import pytest

import mmlist
from mmlist.replay.simulate import Settings, Simulation

_NAME = re.compile(r"\d: (\w+): ")
_HALVES = ("swap_assign", "swap_clear", "mmlist_add", "mmgrab", "mmdrop", "kthread_use_mm", "kthread_unuse_mm")
"""Of each the other is in the log. Not mmlist_del: a kernel that takes nobody off the list (M6) goes on for long."""


def errors(path: Path, settings: Settings) -> list[str]:
    path.write_text("".join(line + "\n" for line in Simulation(settings).lines()))
    found = mmlist.run(path, mmlist.Options(profile=settings.profile))
    return [f"{one.code} {one.certainty} line {one.at.line}: {one.message}" for one in found.decisive("E")]


def names_of(settings: Settings) -> list[str]:
    return sorted({found[1] for line in Simulation(settings).lines() if (found := _NAME.search(line))})


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("view", ["probes", "both"])
def test_a_probe_that_is_not_there_accuses_nobody(tmp_path: Path, view: str, seed: int) -> None:
    settings = Settings(seed=seed, view=view, lines=2000, cpus=2 + seed % 3, ties=0.1 * (seed % 2))
    names, chance = names_of(settings), random.Random(seed)
    for number in (1, 1, 3, 6):
        omit = frozenset(chance.sample(names, number))
        told = errors(tmp_path / "log", msgspec.structs.replace(settings, omit=omit))
        assert not told, (sorted(omit), told)


@pytest.mark.parametrize("half", _HALVES)
def test_half_of_a_pair_in_a_long_log_accuses_nobody(tmp_path: Path, half: str) -> None:
    settings = Settings(seed=5, view="explicit", lines=6000)
    assert half in names_of(settings)
    assert not errors(tmp_path / "log", msgspec.structs.replace(settings, omit=frozenset({half})))
