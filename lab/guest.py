"""One kernel in QEMU: what it boots into, the boot, and what it leaves behind.

No network, no root, none of the machine's own hardware.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lab import initramfs
from lab.debian import Unavailable

SWAP, RESULTS = 32 << 20, 256 << 20
"""Bytes of each swap area, and of the disk that the results come out on; holes until they are written."""

MEMORY = "2048"
"""MiB: bpftrace brings LLVM, which is there twice while the kernel unpacks it."""

SECONDS = 600
"""A boot that takes longer than this hangs: it takes one or two minutes."""

MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk")


class Machine(NamedTuple):
    """What QEMU emulates: never by KVM, where nested kernels were seen to hang."""

    package: str
    command: tuple[str, ...]
    console: str
    compiler: str


MACHINES = {
    "amd64": Machine("qemu-system-x86", ("qemu-system-x86_64", "-cpu", "max"), "ttyS0", "gcc"),
    "arm64": Machine(
        "qemu-system-arm", ("qemu-system-aarch64", "-M", "virt", "-cpu", "max,pauth-impdef=on"), "ttyAMA0",
        "aarch64-linux-gnu-gcc",
    ),
}  # fmt: skip


def program(arch: str, name: str, folder: Path) -> bytes:
    """What is made of `name`.c, linked statically, in `folder`. Raises Unavailable without a compiler that can."""
    compiler = shutil.which(MACHINES[arch].compiler)
    if compiler is None:
        raise Unavailable(f"no {MACHINES[arch].compiler}, which makes the workloads")
    source, into = Path(__file__).with_name(f"{name}.c"), folder / name
    command = [compiler, "-O2", "-Wall", "-static", "-pthread", "-o", str(into), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{MACHINES[arch].compiler} makes no {name}: {done.stderr.strip()[-500:]}")
    return into.read_bytes()


def packed(
    kernel: Path, tools: Path, scripts: Mapping[str, bytes], workloads: Mapping[str, bytes], programs: Sequence[str]
) -> tuple[bytes, list[str]]:
    """The initramfs for the kernel unpacked in `kernel`, and those of `programs` that the packages in `tools` lack."""
    loaded = initramfs.modules(kernel, MODULES)
    files = {f"lab/{name}": (0o100644, data) for name, data in loaded.items()}
    files |= {f"lab/{name}": (0o100644, data) for name, data in scripts.items()}
    files["lab/modules"] = 0o100644, "".join(f"{name}\n" for name in loaded).encode()
    files |= {f"lab/{name}": (0o100755, data) for name, data in workloads.items()}
    files["init"] = 0o100755, Path(__file__).with_name("init.sh").read_bytes()
    files["bin/busybox"] = 0o100755, next(tools.glob("**/bin/busybox")).read_bytes()
    missing = [name for name in programs if not initramfs.program(tools, name, files)]
    return gzip.compress(initramfs.archive(files), 1), missing


def boot(image: Path, initrd: bytes, arch: str, folder: Path) -> Path:
    """Boot `image`, wait until it is off, and answer with the folder of what it left.

    Raises RuntimeError where it left nothing.
    """
    machine = MACHINES[arch]
    disks = {"first.swap": SWAP, "second.swap": SWAP, "results.tar": RESULTS}
    for name, size in disks.items():
        (folder / name).unlink(missing_ok=True)
        with (folder / name).open("wb") as file:
            file.truncate(size)
    (folder / "initramfs.gz").write_bytes(initrd)
    command = [
        *machine.command, "-accel", "tcg,thread=multi", "-smp", "2", "-m", MEMORY, "-display", "none", "-nic", "none",
        "-no-reboot", "-serial", f"file:{folder / 'console.txt'}", "-kernel", str(image),
        "-initrd", str(folder / "initramfs.gz"), "-append", f"console={machine.console} panic=-1",
    ]  # fmt: skip
    for name in disks:
        command += ["-drive", f"file={folder / name},format=raw,if=virtio,cache=unsafe"]
    try:
        subprocess.run(command, check=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{error}; {folder / 'console.txt'}") from None
    shutil.rmtree(folder / "out", ignore_errors=True)
    try:
        with tarfile.open(folder / "results.tar") as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise RuntimeError(f"left no results: {error}; {folder / 'console.txt'}") from None
    finally:
        for name in disks:
            (folder / name).unlink()
    if not (folder / "out" / "results.txt").exists():  # an empty disk is an empty archive
        raise RuntimeError(f"left no results: it came to no end; {folder / 'console.txt'}")
    return folder / "out"
