"""What a kernel file holds once nothing is packed any more: ELF, a raw image, BTF, or the text of a symbol table.

A vmlinuz is a small loader and a compressed payload: on x86 its header says where (Documentation/arch/x86/boot.rst:
payload_offset, payload_length), an EFI zboot image says so in its own (drivers/firmware/efi/libstub/zboot-header.S), and
elsewhere the payload is sought by its first bytes, as scripts/extract-vmlinux does.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import lz4.block

from mmlist.replay.errors import InputError

ELF = b"\x7fELF"
LIMIT = 1 << 29
"""Bytes that a payload may unpack to: several times the largest distribution's kernel."""

_BTF = (b"\x9f\xeb\x01", b"\xeb\x9f\x01")
_LZ4_BLOCK = 8 << 20  # lib/decompress_unlz4.c: LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE
_SETUP_SECTS, _X86_MAGIC, _PAYLOAD = 0x1F1, 0x202, 0x248
_ARM64_MAGIC = 56  # Documentation/arch/arm64/booting.rst
_NESTED = 4  # a compressed zboot image in a compressed file, and one to spare
_TRIED = 64  # places whose first bytes look like a payload


class _TooLarge(InputError):
    """A payload that unpacks to more than `LIMIT`: what made it may have made others."""


def unpacked(data: Any, name: str) -> Any:
    """`data` (bytes, or what has their slices and `find`: an mmap) without all that it is packed in.

    Raises InputError if it ends early, is damaged, or unpacks to more than `LIMIT` bytes.
    """
    for _ in range(_NESTED):
        head = bytes(data[:4])
        if head == ELF or head[:3] in _BTF or bytes(data[_ARM64_MAGIC : _ARM64_MAGIC + 4]) == b"ARMd":
            return data
        inner = _inner(data, name)
        if inner is None:
            return data
        data = inner
    raise InputError(f"is packed more than {_NESTED} times", file=name, expected="a kernel")


def is_btf(data: Any) -> bool:
    """Whether these are the bytes of a .BTF section (include/uapi/linux/btf.h: BTF_MAGIC, BTF_VERSION)."""
    return bytes(data[:3]) in _BTF


def _inner(data: Any, name: str) -> bytes | None:
    """The payload one layer down; None if there is none."""
    if bytes(data[_X86_MAGIC : _X86_MAGIC + 4]) == b"HdrS" and len(data) > _PAYLOAD + 8:
        offset, length = struct.unpack("<II", data[_PAYLOAD : _PAYLOAD + 8])
        begin = (data[_SETUP_SECTS] + 1) * 512 + offset
        if not offset or begin + length > len(data):
            raise InputError(
                f"the boot header at offset {_PAYLOAD} names {length} bytes at {begin}, the file has {len(data)}",
                file=name,
                expected="a whole vmlinuz",
            )
        return _expand(bytes(data[begin : begin + length]), name, begin)
    if bytes(data[:2]) == b"MZ" and bytes(data[4:8]) == b"zimg":
        begin, length = struct.unpack("<II", data[8:16])
        return _expand(bytes(data[begin : begin + length]), name, begin)
    if _format(bytes(data[:8])) is not None:
        return _expand(bytes(data), name, 0)
    if bytes(data[:2]) == b"MZ":
        return _sought(data, name)
    return None


def _sought(data: Any, name: str) -> bytes | None:
    """The first payload that unpacks to a kernel, of all places that look like one."""
    for begin in _places(data):
        try:
            found = _expand(bytes(data[begin:]), name, begin)
        except _TooLarge:
            raise
        except InputError:
            continue
        if found[:4] == ELF or b"Linux version " in found:
            return found
    return None


def _places(data: Any) -> Iterator[int]:
    for magic in _MAGICS:
        at = -1
        for _ in range(_TRIED):
            at = data.find(magic, at + 1)
            if at < 0:
                break
            yield at


def _expand(packed: bytes, name: str, begin: int) -> bytes:
    """`packed`, which stood at offset `begin`, unpacked; itself if it is an ELF file that is not packed."""
    if packed[:4] == ELF:
        return packed
    expand = _format(packed[:8])
    if expand is None:
        raise InputError(
            f"the payload at offset {begin} begins with {packed[:8].hex(' ')}",
            file=name,
            expected="gzip, xz, lzma, bzip2, zstd, lz4 or ELF",
        )
    try:
        found = expand(packed)
    except (
        zlib.error,
        lzma.LZMAError,
        OSError,
        EOFError,
        ValueError,
        lz4.block.LZ4BlockError,
        *_zstd_errors(),
    ) as error:
        raise InputError(f"the payload at offset {begin} is damaged: {error}", file=name) from None
    if len(found) > LIMIT:
        raise _TooLarge(f"the payload at offset {begin} unpacks to more than {LIMIT >> 20} MiB", file=name)
    return found


def _format(head: bytes) -> Callable[[bytes], bytes] | None:
    return next((expand for magic, expand in _MAGICS.items() if head.startswith(magic)), None)


def _ended(found: bytes, decompressor: Any) -> bytes:
    if not decompressor.eof and len(found) <= LIMIT:
        raise EOFError("it ends early")
    return found


def _gunzip(packed: bytes) -> bytes:
    gunzip = zlib.decompressobj(wbits=31)
    return _ended(gunzip.decompress(packed, LIMIT + 1), gunzip)


def _unxz(packed: bytes) -> bytes:
    unxz = lzma.LZMADecompressor(lzma.FORMAT_AUTO)  # filters such as the x86 BCJ of kernels are named in the stream
    return _ended(unxz.decompress(packed, LIMIT + 1), unxz)


def _unlzma(packed: bytes) -> bytes:
    """The old format: where the size is not in its header, what follows the end is not looked at."""
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(packed, LIMIT + 1)


def _bunzip2(packed: bytes) -> bytes:
    bunzip2 = bz2.BZ2Decompressor()
    return _ended(bunzip2.decompress(packed, LIMIT + 1), bunzip2)


def _unzstd(packed: bytes) -> bytes:
    unzstd = _zstd().ZstdDecompressor()
    return _ended(unzstd.decompress(packed, LIMIT + 1), unzstd)


def _unlz4(packed: bytes) -> bytes:
    """The legacy frames of `lz4 -l`, which alone the kernel reads: blocks of 8 MiB, each with its size before it."""
    found, at = bytearray(), 4
    while at + 4 <= len(packed) and len(found) <= LIMIT:
        (size,) = struct.unpack_from("<I", packed, at)
        at += 4
        if size == 0x184C2102:  # another frame
            continue
        if not 0 < size <= len(packed) - at:
            if len(packed) - at < 4 and found:  # the size of the whole, which the build puts behind the payload
                break
            raise EOFError("it ends early")
        found += lz4.block.decompress(packed[at : at + size], uncompressed_size=_LZ4_BLOCK)
        at += size
    return bytes(found)


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _zstd_errors() -> tuple[type[Exception], ...]:
    return (_zstd().ZstdError,)


_MAGICS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b\x08": _gunzip,
    b"\xfd7zXZ\0": _unxz,
    b"BZh": _bunzip2,
    b"\x28\xb5\x2f\xfd": _unzstd,
    b"\x02\x21\x4c\x18": _unlz4,
    b"\x5d\x00\x00": _unlzma,
}
"""The first bytes of a payload (usr/gen_initramfs.sh, scripts/extract-vmlinux), and what unpacks it."""
