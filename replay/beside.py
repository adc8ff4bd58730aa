"""Work on what is read, by a thread beside the one that reads: hashlib and the scanner do without the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_WAITING = 8


class Beside:
    """The same work on chunks of bytes, one after the other. Few of them wait at a time, so memory stays flat."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        """`work` is done on each chunk."""
        self._work = work
        self._chunks = 0
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[object]] = deque()

    def take(self, chunk: bytes) -> None:
        """Work on `chunk`: the first at once, since most logs are no longer, others while the caller goes on.

        Raises what the work on a chunk before raised.
        """
        self._chunks += 1
        if self._chunks == 1:
            self._work(chunk)
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1)
        self._wait(_WAITING - 1)
        self._under_way.append(self._thread.submit(self._work, chunk))

    def done(self) -> None:
        """Wait until all is done. Raises as `take`."""
        self._wait(0)
        if self._thread is not None:
            self._thread.shutdown()

    def _wait(self, most: int) -> None:
        while len(self._under_way) > most:
            self._under_way.popleft().result()
