"""The capture script for one kernel: the template mmlist-capture.sh with its definitions filled in.

What comes from a kernel file is quoted for the shell: a name in it may be anything.
"""

from __future__ import annotations

import shlex
from importlib import resources

from mmlist.capture.choose import Plan
from mmlist.capture.header import members
from mmlist.capture.syntax import GROUP, lines
from mmlist.replay import parts

TEMPLATE = "mmlist-capture.sh"


def script(plan: Plan, syntax: str = "kprobe") -> str:
    """The text of the script, with definitions in `syntax`, kprobe or fprobe."""
    text = resources.files("mmlist.capture").joinpath(TEMPLATE).read_text("utf-8")
    calls = [
        " ".join(['"$1"', shlex.quote(line), *([shlex.quote(chosen.probe.filter)] if chosen.probe.filter else [])])
        for line, chosen in zip(lines(plan, syntax), plan.probes, strict=True)
    ]
    for name, value in {
        "RELEASE": shlex.quote(plan.kernel.release or ""),
        "HEADER": shlex.quote(members(plan)),
        "TRACEPOINTS": shlex.quote(" ".join(plan.tracepoints)),
        "GROUP": GROUP,
        "PARTS": shlex.quote(" ".join(parts.ALL)),
        "DEFINITIONS": "\n    ".join(calls),
    }.items():
        assert text.count(f"@{name}@") == 1, name
        text = text.replace(f"@{name}@", value)
    return text
