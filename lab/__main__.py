"""`make lab`: captures from the distribution's own kernels, and what mmlist makes of them."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import guest, judged
from lab.debian import Debian, Unavailable, codename

FOLDER = Path(".lab")
WORKLOADS = ("workload", "random")
PROGRAMS = ("trace-cmd", "perf", "bpftrace")
_PACKAGES = {"trace-cmd": "trace-cmd", "perf": "linux-perf", "bpftrace": "bpftrace"}
MMLIST = [sys.executable, "-m", "mmlist"]


def main() -> int:
    """The lab. Answers with 0 where all went as it should, or the machine cannot do it; else 1."""
    given = _arguments()
    try:
        return _lab(given)
    except Unavailable as error:
        print(f"lab: skipped: {error}")
        return 0
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        print(f"lab: FAILED\n{error}\n{said}".rstrip())
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make lab", description=__doc__)
    parser.add_argument(
        "--suite", action="append", help="of Debian: its kernel (repeatable) [this machine's, and its backports]"
    )
    parser.add_argument("--arch", default="amd64", choices=sorted(guest.MACHINES), help="of the kernels [%(default)s]")
    parser.add_argument("--pages", type=int, default=256, help="of each process that is paged out [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of what is done at random [%(default)s]")
    parser.add_argument("--seconds", type=int, default=8, help="for which it is done [%(default)s]")
    return parser.parse_args()


def _lab(given: argparse.Namespace) -> int:
    machine = guest.MACHINES[given.arch]
    for program, package in ((machine.command[0], machine.package), ("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(program) is None:
            raise Unavailable(f"no {program} here (package {package})")
    folder = FOLDER.resolve() / given.arch
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder)
    workloads = {name: guest.program(given.arch, name, folder) for name in WORKLOADS}
    home = codename()
    suites = given.suite or [home, f"{home}-backports"]
    debian = Debian(folder / "apt", given.arch, sorted({home, *suites}))
    tools = folder / "tools"
    debian.unpacked(["busybox-static"], home, tools)
    for package in _PACKAGES.values():
        debian.unpacked([package], home, tools, closure=True)
    failed, booted = [], 0
    for suite in suites:
        try:
            failed += [f"{suite}: {one}" for one in _kernel(debian, suite, tools, workloads, given)]
            booted += 1
        except Unavailable as error:
            print(f"lab: {suite} skipped: {error}")
    if not booted:
        raise Unavailable("no kernel was to be had")
    print("\n".join(["lab: FAILED", *failed]) if failed else "lab: all as it should be")
    return 1 if failed else 0


def hold(folder: Path) -> None:
    """Hold `folder` until this process ends: two kernels on the same disks hang. Raises Unavailable where another lab does."""
    holder = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(holder)
        raise Unavailable(f"another lab is at work in {folder}") from None


def _kernel(
    debian: Debian, suite: str, tools: Path, workloads: dict[str, bytes], given: argparse.Namespace
) -> list[str]:
    """The kernel of one suite, from its package to its verdict; answers with what is not as it should be."""
    packages = debian.kernel(suite)
    release = packages[0].partition("-")[2].partition("-")[2]
    folder = debian.folder.parent / release
    print(f"--- {suite}: {release}")
    debian.unpacked(packages, suite, folder / "kernel")
    image = next(path for path in sorted((folder / "kernel").rglob("vmlinuz*")) if path.is_file())
    scripts = {"pages": f"{given.pages}\n".encode(), **_scripts(image)}
    scripts["at_random"] = f"{given.seed} {given.seconds}\n".encode()
    initrd, missing = guest.packed(folder / "kernel", tools, scripts, workloads, PROGRAMS)
    for program in missing:
        print(f"lab: without {program}: {suite} has no package of it")
    try:
        out = guest.boot(image, initrd, debian.arch, folder)
    except RuntimeError as error:
        return [str(error)]
    return judged.of(out)


def _scripts(image: Path) -> dict[str, bytes]:
    """What `mmlist probes` makes of this image, by the name of its syntax; fprobes where the kernel has them."""
    found = {"kprobe": _made(image, "--script")}
    try:
        found["fprobe"] = _made(image, "--script", "--syntax", "fprobe")
    except subprocess.CalledProcessError as error:
        print(f"lab: no fprobes: {error.stderr.decode().strip()}")
    found |= {syntax: _made(image, "--syntax", syntax) for syntax in PROGRAMS}
    command = next(line for line in found["perf"].decode().splitlines() if line.startswith("perf record "))
    found["perf-events"] = command[command.index("-e ") :].partition(" ||")[0].replace("'", "").encode()
    return found


def _made(image: Path, *options: str) -> bytes:
    return subprocess.run([*MMLIST, "probes", str(image), *options], check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
