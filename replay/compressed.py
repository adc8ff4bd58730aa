"""Opens files that may be compressed: told by their first bytes, not by their names."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, cast

from mmlist.replay.errors import InputError

_MAGIC = _GZ, _BZ2, _XZ, _ZST = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def opener(name: str, path: str) -> Callable[[], BinaryIO]:
    """What opens the file at `path` for reading, decompressed. Raises InputError if it cannot be opened."""
    try:
        magic = _magic(path)
    except IsADirectoryError:
        raise InputError("is a directory", file=name, expected="a log file, or - for standard input") from None
    except OSError as error:
        raise InputError(error.strerror or str(error), file=name, expected="a log file that can be read") from None
    if magic.startswith(_GZ):
        return lambda: cast(BinaryIO, gzip.open(path))
    if magic.startswith(_BZ2):
        return lambda: cast(BinaryIO, bz2.open(path))
    if magic.startswith(_XZ):
        return lambda: cast(BinaryIO, lzma.open(path))
    if magic.startswith(_ZST):
        return lambda: cast(BinaryIO, _zstd().open(path))
    return lambda: cast(BinaryIO, Path(path).open("rb", buffering=0))


def is_compressed(path: str) -> bool:
    """Whether the file at `path` is in a form that `opener` decompresses. Raises OSError if it cannot be read."""
    return _magic(path).startswith(_MAGIC)


def _magic(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(6)


def damage() -> tuple[type[Exception], ...]:
    """What a decompressor raises on a file that was cut or altered; zstd's own only once it is loaded."""
    loaded = sys.modules.get("backports.zstd") or sys.modules.get("compression.zstd")
    return _DAMAGE if loaded is None else (*_DAMAGE, loaded.ZstdError)


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
