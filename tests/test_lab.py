"""What can be known of the lab without booting one: what it packs, in which order, and that its parts are sound."""

import lzma
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lab import debian, initramfs, judged
from lab.__main__ import WORKLOADS, hold

LAB = Path(__file__).parent.parent / "lab"


def entries(cpio: bytes) -> dict[str, tuple[int, bytes]]:
    """What a kernel would unpack of a cpio: init/initramfs.c, as far as it goes."""
    found, at = {}, 0
    while at < len(cpio):
        assert cpio[at : at + 6] == b"070701"
        head = [int(cpio[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = cpio[at + 110 : at + 110 + head[11] - 1].decode()
        begin = (at + 110 + head[11] + 3) & ~3
        found[name] = head[1], cpio[begin : begin + head[6]]
        at = (begin + head[6] + 3) & ~3
    assert found.pop("TRAILER!!!") == (0, b"")
    return found


def test_archive_has_folders_before_what_is_in_them() -> None:
    found = entries(initramfs.archive({"init": (0o100755, b"#!"), "usr/bin/perf": (0o100755, b"12345")}))
    assert list(found) == ["usr", "usr/bin", "init", "usr/bin/perf"]
    assert stat.S_ISDIR(found["usr/bin"][0]) and found["usr/bin/perf"] == (0o100755, b"12345")


def test_modules_come_behind_what_they_need(tmp_path: Path) -> None:
    for name, needs in {"virtio-blk": "virtio_ring,virtio", "virtio_ring": "virtio", "virtio": "", "other": ""}.items():
        (tmp_path / f"{name}.ko.xz").write_bytes(lzma.compress(b"\x7fELF\0license=GPL\0depends=%b\0" % needs.encode()))
    assert list(initramfs.modules(tmp_path, ["virtio_pci", "virtio_blk"])) == ["virtio", "virtio_ring", "virtio_blk"]


def test_parts_of_a_kernel_are_told_from_what_else_an_image_depends_on() -> None:
    told = """linux-image-7.3.4+deb13-amd64
  PreDepends: linux-base
 |Depends: dracut
  Depends: linux-base-7.3.4+deb13-amd64
  Depends: linux-modules-7.3.4+deb13-amd64
  Breaks: initramfs-tools
"""
    assert list(debian._named(told)) == ["linux-base-7.3.4+deb13-amd64", "linux-modules-7.3.4+deb13-amd64"]


def test_what_is_wrong_with_a_boot_is_told(tmp_path: Path) -> None:
    (tmp_path / "results.txt").write_text("kprobe start 0\nkprobe workload 1\n")
    (tmp_path / "kprobe.error_log").write_text("[   12.3] trace_kprobe: error: Failed to register probe event\n")
    (tmp_path / "dmesg.txt").write_text("[    1.0] ok\n[    2.0] WARNING: CPU: 0 PID: 1 at mm/swapfile.c:1\n")
    (tmp_path / "left_behind").write_text("p:mmlist/mmput mmput\n")
    found = "\n".join(judged.of(tmp_path))
    for wrong in ("kprobe workload 1", "refused", "mm/swapfile.c:1", "left behind", "kprobe.tar.gz"):
        assert wrong in found
    assert "kprobe start" not in found


@pytest.mark.parametrize("shell", ["sh", "dash", "busybox sh"])
def test_init_is_sound(shell: str) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([*shell.split(), "-n", LAB / "init.sh"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_compiles_without_a_warning(name: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc here")
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", LAB / f"{name}.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_labs_do_not_share_a_folder(tmp_path: Path) -> None:
    hold(tmp_path)
    with pytest.raises(debian.Unavailable, match="another lab is at work"):
        hold(tmp_path)
