"""The hash of a log, made beside the reading."""

from __future__ import annotations

import hashlib

from mmlist.replay.beside import Beside


class Digest:
    """SHA-256 of chunks of bytes."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._hash = hashlib.sha256()
        self._beside = Beside(self._hash.update)
        self.update = self._beside.take

    def hexdigest(self) -> str:
        """Of all chunks, in hex."""
        self._beside.done()
        return self._hash.hexdigest()
