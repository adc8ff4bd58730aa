"""The hash of a log, made by a thread beside the one that reads it: hashlib works without the interpreter's lock."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


class Digest:
    """SHA-256 of chunks of bytes. One chunk waits at most, so memory stays flat."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._hash = hashlib.sha256()
        self._chunks = 0
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[None] | None = None

    def update(self, chunk: bytes) -> None:
        """Add `chunk`: the first at once, since most logs are no longer, others while the caller goes on."""
        self._chunks += 1
        if self._chunks == 1:
            self._hash.update(chunk)
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1)
        self._wait()
        self._under_way = self._thread.submit(self._hash.update, chunk)

    def hexdigest(self) -> str:
        """Of all chunks, in hex."""
        self._wait()
        if self._thread is not None:
            self._thread.shutdown()
        return self._hash.hexdigest()

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
