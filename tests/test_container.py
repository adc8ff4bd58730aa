"""Files as users have them: whatever a log is packed in, it says the same as the plain file."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmlist.cli import cli
from mmlist.replay import container, log
from mmlist.replay.errors import InputError
from mmlist.replay.log import Log
from mmlist.replay.parse import Parser
from mmlist.replay.record import Record

LINES = [
    b"# tracer: nop",
    b"#",
    "          naïve-7       [000] d..1.     1.000001: mmput: (mmput+0x0/0x30) mm=0xff11000004850480 users=2".encode(),
    b"          <idle>-0       [001] d..1.     1.000002: tracing_mark_write: B|1|a \\ \"b\" 'c' & d",
    b"           <...>-8       [001] .....     1.000003: mmput: (mmput+0x0/0x30) mm=0xff11000004850480 users=1",
]
TEXT = b"\n".join(LINES) + b"\n"
HTML_OLD = b"""<!DOCTYPE HTML>
<html><body><script>
  var linuxPerfData = "\\
%s\\n";
</script>
</body></html>
"""
HTML_NEW = b"""<!DOCTYPE html>
<html>
<script>%s</script>
<!-- BEGIN TRACE -->
  <script class="trace-data" type="application/text">
PROCESS DUMP
USER PID
root 1
  </script>
  <script class="trace-data" type="application/text">
%s  </script>
  <script class="trace-data" type="application/text">
{"traceEvents": []}
  </script>
</html>
"""


def javascript(text: bytes) -> bytes:
    lines = text.rstrip(b"\n").split(b"\n")
    return b"\\n\\\n".join(line.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for line in lines)


def escaped(text: bytes) -> bytes:
    return text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b'"', b"&quot;")


def wrapped(text: bytes) -> bytes:
    trace = json.dumps({"traceEvents": [{"name": "x" * 3000}], "systemTraceEvents": text.decode(), "more": 1})
    return trace.encode()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "utf-8 with a mark": lambda text: b"\xef\xbb\xbf" + text,
    "utf-16": lambda text: text.decode().encode("utf-16"),
    "utf-16, big end first": lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"),
    "utf-16 without a mark": lambda text: text.decode().encode("utf-16-le"),
    "utf-16, packed": lambda text: gzip.compress(text.decode().encode("utf-16")),
    "atrace -z": lambda text: b"capturing trace... done\nTRACE:\n" + zlib.compress(text),
    "old systrace": lambda text: HTML_OLD % javascript(text),
    "new systrace": lambda text: HTML_NEW % (b"x" * 3_000_000, text),
    "new systrace, copied from a page": lambda text: HTML_NEW % (b"", escaped(text)),
    "new systrace, packed": lambda text: gzip.compress(HTML_NEW % (b"", text)),
    "json": wrapped,
}


def read(path: Path) -> tuple[list[Record], Parser]:
    with Log.open(str(path)) as opened:
        parser = Parser(opened)
        return [item for item in parser.records() if isinstance(item, Record) and item.kind == "event"], parser


@pytest.mark.parametrize("piece", [1, 7, 64, 256 * 1024])
@pytest.mark.parametrize("packing", PACKED)
def test_packed_log_says_the_same(packing: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = PACKED[packing](TEXT)
    if piece < 64 and len(packed) > 100_000:
        pytest.skip("some bytes at a time of megabytes")
    path = tmp_path / "log"
    path.write_bytes(packed)
    whole = container.unpacking(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
    monkeypatch.setattr(container, "unpacking", lambda _: whole)
    monkeypatch.setattr(log, "unpacking", lambda _: whole)
    plain = tmp_path / "plain"
    plain.write_bytes(TEXT)
    with Log.open(str(path)) as opened:
        chunks = opened._chunks
        small = lambda: (chunk[i : i + piece] for chunk in chunks() for i in range(0, len(chunk), piece))  # noqa: E731
        if packing != "atrace -z":  # its own lines are told in one piece
            monkeypatch.setattr(opened, "_chunks", small)
        parser = Parser(opened)
        found = [item for item in parser.records() if isinstance(item, Record) and item.kind == "event"]
        texts = opened.texts([record.at.offset for record in found])
    assert [(one.at.comm, one.at.pid, one.name, one.args) for one in found] == [
        (b"na\xc3\xafve", 7, "mmput", b"(mmput+0x0/0x30) mm=0xff11000004850480 users=2"),
        (b"<idle>", 0, "tracing_mark_write", b"B|1|a \\ \"b\" 'c' & d"),
        (b"<...>", 8, "mmput", b"(mmput+0x0/0x30) mm=0xff11000004850480 users=1"),
    ]
    assert [texts[one.at.offset] for one in found] == LINES[2:]
    assert parser.ledger.unparsed == 0


def test_lines_of_a_page_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    page = HTML_NEW % (b"function f() { }", TEXT)
    path.write_bytes(page)
    found, parser = read(path)
    assert [page.split(b"\n")[one.at.line - 1] for one in found] == LINES[2:]
    assert parser.ledger.lines == page.count(b"\n")
    assert parser.ledger.header == page.count(b"\n") - 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"traceEvents": []}\n', "JSON without a log"),
        (b"<!DOCTYPE html>\n<html><body>nothing</body></html>\n", "is empty"),
    ],
)
def test_container_without_a_log_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        Log.open(str(path))


@pytest.mark.parametrize("packing", ["atrace -z", "json"])
def test_container_that_was_cut_is_read_as_far_as_it_goes(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACKED[packing](TEXT * 200)[: 5000 if packing == "json" else -40])
    with Log.open(str(path)) as opened:
        parser = Parser(opened, frozenset({"mmput"}))
        items = list(parser.records())
    assert opened.damage is not None
    assert any(isinstance(item, Record) for item in items)
    assert "truncated" in {getattr(item, "kind", "") for item in items}


# --- archives ------------------------------------------------------------------------------------------------------------


def archive(members: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return out.getvalue()


MEMBERS = {
    "a.txt": TEXT,
    "../../b.txt.gz": gzip.compress(TEXT),
    "stats": b"entries: 880\noverrun: 0\n",
    "vmlinux": b"\x7fELF" + bytes(100),
}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_each_log_of_an_archive_is_a_run(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("logs.tar").write_bytes(archive(MEMBERS, mode))
    result = CliRunner().invoke(cli, ["replay", "--no-db", "logs.tar"])
    verdicts = [line for line in result.stdout.splitlines() if line.startswith("logs.tar:")]
    assert [line.rpartition(":")[0] for line in verdicts] == ["logs.tar:a.txt", "logs.tar:../../b.txt.gz"]
    assert "logs.tar:stats" in result.stderr and "passed over" in result.stderr
    assert "logs.tar:vmlinux is a program (ELF): passed over" in result.stderr
    assert result.exit_code in (0, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs.tar"]


def test_archive_through_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["replay", "--no-db", "-"], input=archive({"a.txt": TEXT}, "w:gz"))
    assert "-:a.txt: " in result.stdout


def test_archive_without_a_log_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "logs.tar"
    path.write_bytes(archive({"vmlinux": MEMBERS["vmlinux"]}))
    with pytest.raises(InputError, match="archive without a log: vmlinux is a program"):
        Log.open(str(path))
    path.write_bytes(archive({"stats": MEMBERS["stats"]}))
    assert CliRunner().invoke(cli, ["replay", "--no-db", str(path)]).exit_code == 2


def test_one_log_is_opened_out_of_an_archive_and_two_are_not(tmp_path: Path) -> None:
    path = tmp_path / "logs.tar"
    path.write_bytes(archive({"vmlinux": MEMBERS["vmlinux"], "a.txt": TEXT}))
    with Log.open(str(path)) as opened:
        assert opened.name == f"{path}:a.txt"
    path.write_bytes(archive(MEMBERS))
    with pytest.raises(InputError, match=r"several logs .*a\.txt"):
        Log.open(str(path))


def test_archive_that_was_cut_gives_what_stands_before(tmp_path: Path) -> None:
    path = tmp_path / "logs.tar"
    path.write_bytes(archive(MEMBERS)[:1600])
    result = CliRunner().invoke(cli, ["replay", "--no-db", str(path)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


# --- binary recordings -----------------------------------------------------------------------------------------------


RECORDINGS = {"trace-cmd": b"\x17\x08\x44tracing6\0", "perf": b"PERFILE2h\0\0\0"}


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", RECORDINGS)
def test_recording_is_read_by_its_tool(
    name: str, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes(TEXT)
    shown = 'eval "last=\\${$#}"; head -c 4 "$last" > seen; echo "$@" > given; cat text'
    tool(tmp_path, name, shown)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    content = RECORDINGS[name]
    Path("-i x.dat").write_bytes(gzip.compress(content) if packed else content)
    found, _ = read(Path("-i x.dat"))
    assert [one.name for one in found] == ["mmput", "tracing_mark_write", "mmput"]
    assert Path("seen").read_bytes() == content[:4]
    assert "-i /" in Path("given").read_text()


@pytest.mark.parametrize("name", RECORDINGS)
def test_tool_that_is_missing_or_fails_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes(RECORDINGS[name])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=f"{name} is not installed.*Debian package"):
        Log.open(str(path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool(tmp_path, name, "echo 'no such version' >&2; exit 3")
    with pytest.raises(InputError, match="could not read: no such version"):
        Log.open(str(path))


@pytest.mark.skipif(shutil.which("trace-cmd") is None, reason="trace-cmd is not installed")
def test_the_real_trace_cmd_refuses_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes(RECORDINGS["trace-cmd"])
    with pytest.raises(InputError, match="could not read"):
        Log.open(str(path))
