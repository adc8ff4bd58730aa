"""The line `# mmlist-capture: {json}` that a capture begins with, as far as it is known before there is a capture.

The script adds `clock`, `init_mm` (its address, "0x..."), `refused` (definitions that the kernel did not take) and `missed`
(event -> calls that its probe missed). replay/survey.py reads release, clock, mmlist_offset and init_mm.
"""

from __future__ import annotations

import json

from mmlist import __version__
from mmlist.capture.choose import Plan


def header(plan: Plan) -> dict[str, object]:
    """The values that are known from the kernel. `offsets` in bytes, of `struct.field`; `missing`: role -> what is not seen."""
    kernel = plan.kernel
    found: dict[str, object] = {"mmlist": __version__}
    if kernel.release is not None:
        found["release"] = kernel.release
    found["arch"] = kernel.arch
    mmlist = kernel.fields.get("mm_struct.mmlist")
    if mmlist is not None:
        found["mmlist_offset"] = mmlist.offset
    found["offsets"] = {name: place.offset for name, place in kernel.fields.items() if place is not None}
    found["events"] = [chosen.event for chosen in plan.probes]
    found["tracepoints"] = [name.replace("/", ":") for name in plan.tracepoints]
    found["missing"] = {part.role.name: [one.what for one in part.missing] for part in plan.parts if part.missing}
    return found


def members(plan: Plan) -> str:
    """The same as JSON in one line, without the braces around it: more members may follow."""
    return json.dumps(header(plan))[1:-1]
