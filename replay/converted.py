"""Binary recordings become text by the tool that wrote them: trace-cmd's trace.dat, perf's perf.data.

Their formats change with the tools, which alone read all versions; no shell is involved.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from mmlist.replay.errors import InputError

_SAID = 500  # bytes of a tool's complaint that are shown


class Tool(NamedTuple):
    """What reads a kind of recording: `command` before the file's name, and the Debian package that it is in."""

    what: str
    command: tuple[str, ...]
    package: str


TOOLS = {
    b"\x17\x08\x44tracing": Tool("trace-cmd's binary trace.dat", ("trace-cmd", "report", "-t", "-i"), "trace-cmd"),
    b"PERFILE2": Tool(
        "perf's binary perf.data",
        ("perf", "script", "--show-lost-events", "--ns", "-f", "-F", "comm,pid,tid,cpu,time,event,trace", "-i"),
        "linux-perf",
    ),
}
"""By the first bytes of a file. With -t and --ns times are in nanoseconds, which order more lines than microseconds do."""


def tool_for(head: bytes) -> Tool | None:
    """The tool that reads a file which begins with `head`, None for a text."""
    return next((tool for magic, tool in TOOLS.items() if head.startswith(magic)), None)


def converted(name: str, path: str, tool: Tool) -> IO[bytes]:
    """A temporary file with the text of the recording at `path`, which the user calls `name`.

    Raises InputError if the tool is not installed, or cannot read the recording.
    """
    by_hand = f"text: {' '.join(tool.command)} FILE"
    program = shutil.which(tool.command[0])
    if program is None:
        raise InputError(
            f"is {tool.what}, and {tool.command[0]} is not installed",
            file=name,
            expected=f"the Debian package {tool.package}, or {by_hand}",
        )
    text = tempfile.NamedTemporaryFile(prefix="mmlist-")  # noqa: SIM115 - closed by the log
    try:
        with tempfile.TemporaryFile() as complaint:
            # An absolute name is no option, whatever it begins with.
            done = subprocess.run(
                [program, *tool.command[1:], Path(path).absolute()],
                stdin=subprocess.DEVNULL,
                stdout=text,
                stderr=complaint,
                check=False,
            )
            complaint.seek(0)
            said = complaint.read(_SAID).decode("utf-8", "replace").strip().replace("\n", "; ")
        text.flush()
        if done.returncode or not Path(text.name).stat().st_size:
            raise InputError(
                f"is {tool.what}, which {tool.command[0]} could not read: {said or f'exit code {done.returncode}'}",
                file=name,
                expected="a recording that it reads",
            )
        return text
    except BaseException:
        text.close()
        raise
