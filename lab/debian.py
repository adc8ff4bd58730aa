"""Debian's packages without installing any: an apt of its own, in a folder, with the machine's own archive and no status.

apt.conf(5): Dir says where apt has its lists, its cache and its sources. Nobody need be root for that, and nothing of the
machine's own apt is touched.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PART = re.compile(r"linux-(?:image|binary|modules|base)-\d\S*")
"""The packages that make one kernel: an image, and since 7.3 its parts."""


class Unavailable(Exception):
    """What is wanted cannot be had here: the message says what, and why."""


class Debian:
    """An apt in `folder` for the architecture `arch` (amd64, arm64), with the given suites."""

    def __init__(self, folder: Path, arch: str, suites: Sequence[str]) -> None:
        """Writes its configuration and gets its lists. Raises Unavailable."""
        self.arch, self.folder = arch, folder
        for name in ("etc", "lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        signed = f"Signed-By: {KEYRING}\n" if KEYRING.exists() else ""
        (folder / "etc" / "lab.sources").write_text(
            f"Types: deb\nURIs: {_archive()}\nSuites: {' '.join(suites)}\nComponents: main\n{signed}"
        )
        (folder / "apt.conf").write_text(
            f"""\
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{folder}/etc";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "{os.environ.get("USER", "root")}";
Acquire::Languages "none";
Debug::NoLocking "true";
"""
        )
        self._apt("apt-get", "update", "-qq")

    def kernel(self, suite: str) -> list[str]:
        """The packages of the kernel that linux-image-ARCH of `suite` stands for. Raises Unavailable."""
        found = set(_named(self._apt("apt-cache", "-t", suite, "depends", f"linux-image-{self.arch}")))
        new = set(found)
        while new:
            new = set(_named(self._apt("apt-cache", "-t", suite, "depends", *sorted(new)))) - found
            found |= new
        if not found:
            raise Unavailable(f"{suite} has no linux-image-{self.arch}")
        return sorted(found)

    def unpacked(self, packages: Sequence[str], suite: str, into: Path, *, closure: bool = False) -> None:
        """The files of `packages` of `suite`, in `into`; with `closure`, of all that they depend on, too."""
        archives = self.folder / "cache" / "archives"
        command = ["install", "--download-only", "-y"] if closure else ["download"]
        before = set(archives.glob("*.deb"))
        if closure:
            told = self._apt("apt-get", "install", "--print-uris", "-y", "-t", suite, *packages)
            wanted = re.findall(r"^'.*' (\S+\.deb) ", told, re.MULTILINE)
        else:
            told = self._apt("apt-get", "download", "--print-uris", "-t", suite, *packages)
            wanted = re.findall(r"^'.*' (\S+\.deb) ", told, re.MULTILINE)
        missing = [name for name in wanted if archives / name not in before]
        if missing:
            self._apt("apt-get", *command, "-t", suite, *packages, folder=archives)
        into.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            subprocess.run(["dpkg-deb", "-x", archives / name, into], check=True)

    def _apt(self, *command: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Unavailable(
                f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'failed'}"
            )
        return done.stdout


def codename() -> str:
    """The release of this machine (os-release(5)). Raises Unavailable where it is no Debian."""
    told = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = told.get("VERSION_CODENAME", "").strip('"')
    if told.get("ID") != "debian" or not name:
        raise Unavailable("this machine's packages are not Debian's")
    return name


def _archive() -> str:
    """Where this machine has its packages from."""
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"], capture_output=True, text=True
    ).stdout
    for line in told.splitlines():
        uri, name, component = line.split()
        if (name, component) == (codename(), "main"):
            return uri
    raise Unavailable(f"apt has no source for {codename()} main")


def _named(told: str) -> Iterator[str]:
    """The parts of a kernel that `apt-cache depends` names."""
    for line in told.splitlines():
        kind, _, name = line.strip(" |").partition(": ")
        if kind == "Depends" and _PART.fullmatch(name):
            yield name
