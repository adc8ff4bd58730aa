"""The files of a capture's bundle, by name: what the script packs and a reader of bundles looks for. Each may be missing."""

from __future__ import annotations

TRACE = "trace.txt"
"""The log, its first line the header `# mmlist-capture: {json}` (header.py)."""

UNAME = "uname.txt"
"""`uname -a`."""

CLOCK = "clock.txt"
"""The trace clock, one word."""

STATS_BEFORE, STATS_AFTER = "stats-before.txt", "stats-after.txt"
"""per_cpu/cpuN/stats of all CPUs, each behind a line `# cpuN`: entries, overrun, dropped events."""

KPROBE_PROFILE = "kprobe_profile.txt"
"""Of each kprobe event its name, its hits, and the calls that it missed."""

EVENTS = "events.txt"
"""The events that were enabled, `system:name`."""

DEFINITIONS = "definitions.txt"
"""The probes as the kernel prints them in dynamic_events, or in kprobe_events."""

REFUSED = "refused.txt"
"""The definitions that the kernel did not take; missing where it took all."""

CMDLINES = "saved_cmdlines.txt"
"""Names of tasks by pid."""

SWAPS_BEFORE, SWAPS_AFTER = "swaps-before.txt", "swaps-after.txt"
"""/proc/swaps."""

SYMBOLS = "symbols.txt"
"""The lines of /proc/kallsyms for init_mm, mmlist_lock, swap_info and _text."""

ALL = (
    TRACE, UNAME, CLOCK, STATS_BEFORE, STATS_AFTER, KPROBE_PROFILE, EVENTS, DEFINITIONS, REFUSED, CMDLINES, SWAPS_BEFORE,
    SWAPS_AFTER, SYMBOLS,
)  # fmt: skip
"""All of them, the log first: so a reader of the archive has it before what it is to be held against is read."""

CAPTURE_HEADER = b"# mmlist-capture:"
"""How the line begins that the kit writes into the log itself, before JSON."""
