"""The tests that mutants are held against, each in a process forked for it, those first that are likely to fail.

A plugin of pytest in place of its loop: pytest has collected the tests and imported what they need, once. A test can fail for
a mutant only if it comes to the statement that was changed, so each test is run once alone to see which it comes to.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from coverage import Coverage

from mutation.mutants import FOLDERS, ROOT, Mutant

Place = tuple[str, int]
"""A file of FOLDERS, and a line of it."""

SLOW = 5.0  # seconds more than twice what a test takes while its lines are seen: it hangs


class Suite:
    """`trials` is called with this when the tests are collected; `killers` counts what failed, by mutated file."""

    def __init__(self, trials: Callable[[Suite], None]) -> None:
        self.trials = trials
        self.items: dict[str, pytest.Item] = {}
        self.seconds: dict[str, float] = {}
        self.reached: dict[Place, set[str]] = {}
        self.killers: Counter[tuple[str, str]] = Counter()
        self.early: set[Place] = set()
        sys.setprofile(self._imported)

    def _imported(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (path := path_of(frame.f_code.co_filename)) and frame.f_code.co_name != "<module>":
            self.early.add((path, frame.f_code.co_firstlineno))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests: see what each comes to, then the trials."""
        sys.setprofile(None)
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # one for all processes
        self._see(session.items)
        print(f"{len(self.items)} tests, {sum(self.seconds.values()):.0f} s, come to {len(self.reached)} lines")
        gc.collect()
        gc.freeze()
        self.trials(self)
        return True

    def _see(self, items: list[pytest.Item]) -> None:
        """Run each test by itself, as if nothing were known of those before it: it must pass."""
        caches = [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]
        ours = [one for one in caches if str(ROOT) in one.__wrapped__.__code__.co_filename]
        cover = Coverage(data_file=None, config_file=False, include=[f"{ROOT / folder}/*" for folder in FOLDERS])
        cover.start()
        for item in items:
            start = time.perf_counter()
            cover.switch_context(item.nodeid)
            if told := failure(item):
                sys.exit(f"{item.nodeid} fails as it is:\n{told}")
            self.items[item.nodeid] = item
            self.seconds[item.nodeid] = time.perf_counter() - start
            for cache in ours:
                cache.cache_clear()
        cover.stop()
        data = cover.get_data()
        for file in data.measured_files():
            for line, tests in data.contexts_by_lineno(file).items():
                self.reached[path_of(file), line] = {test for test in tests if test}

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that come to the statement, those first that failed most often for changes of this file, then the quick."""
        lines = range(mutant.first, mutant.last + 1)
        found = set().union(*(self.reached.get((mutant.path, line), ()) for line in lines))
        return sorted(found, key=lambda test: (-self.killers[mutant.path, test], self.seconds[test]))

    def start(self, mutant: Mutant) -> Callable[[], str]:
        """Try a mutant in a process of its own; what comes back waits for the test that failed, "" if none did."""
        tests = self.tests_of(mutant)

        def run() -> str:
            mutant.put()
            for test in tests:
                signal.setitimer(signal.ITIMER_REAL, SLOW + 2 * self.seconds[test])
                if failure(self.items[test]):
                    return test
            return ""

        return forked(run)


def path_of(file: str) -> str:
    """The path of a file of FOLDERS from the root on, "" for others."""
    at = file.rfind("replay/")
    return file[at:] if at >= 0 and file[at:].startswith(FOLDERS) else ""


def failure(item: pytest.Item) -> str:
    """Run a test in this process: "" where it passes, else what is said of it. What needs no fixture is just called."""
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if isinstance(item, pytest.Function) and set(item.fixturenames) <= set(given):
        try:
            item.obj(**given)
        except pytest.skip.Exception:
            return ""
        except BaseException as error:
            return repr(error)
        return ""
    return "".join(report.longreprtext for report in runtestprotocol(item, log=False, nextitem=None) if report.failed)


def forked(run: Callable[[], str]) -> Callable[[], str]:
    """Begin `run` in a process; what comes back waits for its answer: "died" where it gave none."""
    ours, its = os.pipe()
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in (1, 2):
                os.dup2(silence, stream)
            os.close(ours)
            answer = b"=" + run().encode()
            with os.fdopen(its, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(its)

    def wait() -> str:
        with os.fdopen(ours, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return answer[1:].decode() if answer else "died"

    return wait


def in_turns(starts: Iterator[tuple[Mutant, Callable[[], str]]], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """The answers, in order, with `jobs` processes at a time."""
    waiting: list[tuple[Mutant, Callable[[], str]]] = []
    for one in starts:
        waiting.append(one)
        if len(waiting) >= jobs:
            mutant, wait = waiting.pop(0)
            yield mutant, wait()
    for mutant, wait in waiting:
        yield mutant, wait()
