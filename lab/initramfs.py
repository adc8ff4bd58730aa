"""What a lab's kernel boots into: busybox, the workload, the scripts, modules, and tools with the libraries that they need."""

from __future__ import annotations

import functools
import gzip
import lzma
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_PROGRAMS = ("usr/bin", "bin", "usr/sbin")
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".ko": bytes,
}


def archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A cpio as the kernel reads it (Documentation/driver-api/early-userspace/buffer-format.rst) of name -> (mode, bytes).

    Folders are made as they are needed.
    """
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    rows = [(name, stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    rows += [(name, mode, data) for name, (mode, data) in sorted(files.items())]
    found = bytearray()
    for number, (name, mode, data) in enumerate([*rows, ("TRAILER!!!", 0, b"")], 1):
        head = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        found += b"070701" + b"".join(b"%08X" % value for value in head) + name.encode() + b"\0"
        found += bytes(-len(found) % 4) + data
        found += bytes(-len(found) % 4)
    return bytes(found)


def modules(root: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The modules `wanted` and what they need, name -> bytes, in the order in which they are to be loaded.

    `root`: where the kernel's packages are unpacked. What is not there is built in.
    """
    there = {path.name.split(".ko")[0].replace("-", "_"): path for path in root.rglob("*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        path = there.get(name)
        if path is None or name in found:
            return
        data = _UNPACK[path.suffix](path.read_bytes())
        depends = _DEPENDS.search(data)
        for other in depends[1].decode().split(",") if depends else []:
            add(other.replace("-", "_"))
        found[name] = data

    for name in wanted:
        add(name)
    return found


def program(root: Path, name: str, into: dict[str, tuple[int, bytes]]) -> bool:
    """Add the program `name` of the packages unpacked in `root`, and what it is linked with; False if it is not there."""
    path = next((path for folder in _PROGRAMS if (path := root / folder / name).is_file()), None)
    if path is None:
        return False
    there = _libraries(root)
    into[f"usr/bin/{name}"] = 0o100755, path.read_bytes()
    pending, seen = [path], set[str]()
    while pending:
        interpreter, needed = _linked(pending.pop())
        if interpreter:
            into[interpreter.lstrip("/")] = 0o100755, there[Path(interpreter).name].read_bytes()
        for one in needed - seen:
            seen.add(one)
            into[f"lib/{there[one].parent.name}/{one}"] = 0o100755, there[one].read_bytes()
            pending.append(there[one])
    return True


def _linked(path: Path) -> tuple[str | None, set[str]]:
    """The loader that an ELF file names, and the libraries."""
    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        interpreter = next((one.get_interp_name() for one in elf.iter_segments("PT_INTERP")), None)
        dynamic = elf.get_section_by_name(".dynamic")
        tags = dynamic.iter_tags("DT_NEEDED") if dynamic is not None else ()
        return interpreter, {tag.needed for tag in tags}


@functools.cache
def _libraries(root: Path) -> dict[str, Path]:
    """The shared libraries in `root` by name; a link to an absolute name would lead out of it."""
    return {
        path.name: path
        for folder in ("lib", "usr/lib")
        for path in (root / folder).glob("*/*.so*")
        if not (path.is_symlink() and path.readlink().is_absolute()) and path.is_file()
    }
