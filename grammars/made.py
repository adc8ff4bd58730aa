"""Makes, when the package is built, what stored.py finds: texts of a Python module and of a part of a C source (setup.py)."""

from __future__ import annotations

from mmlist import grammars
from mmlist.grammars import native
from mmlist.grammars.stored import digest

STARTS = {
    "foreign": ("start",),
    "function_graph": ("start",),
    "latency": ("start", "reindented", "counter", "reindented_counter", "verbose", "verbose_counter"),
    "nocontext": ("start",),
    "notes": ("start",),
    "pairs": ("place", "pair", "closing"),
    "payload": (
        *("task_newtask", "task_rename", "sched_process_fork", "sched_process_exec", "sched_process_exit"),
        *("sched_process_free", "signal_generate", "mark_victim", "rss_stat", "lock_acquire", "lock_release"),
        *("sched_switch", "sched_wakeup", "sched_waking"),
    ),
    "perf_script": ("start", "reindented", "bare"),
    "remote": ("start",),
    "text": ("start",),
    "trace_cmd": ("start", "reindented", "latency"),
    "tracefs": ("start", "reindented"),
    "wrapping": ("quote", "grep", "syslog", "printk", "buffer"),
}
"""The rules that something starts with, by grammar: what is not named here is read all the same, but made by Lark each time."""

SCANNED = (
    *(("trace_cmd", "start"), ("trace_cmd", "latency"), ("tracefs", "start"), ("perf_script", "start")),
    *(("latency", "start"), ("latency", "counter"), ("latency", "verbose"), ("latency", "verbose_counter")),
)
"""The dialects whose lines all have a task, a CPU and a time: the extension reads these."""


def expressions() -> str:
    """The module `_expressions`: what is kept of the grammars, so that Lark need not be asked again."""
    kept = {(name, start): grammars.load(name, start).walked() for name, starts in STARTS.items() for start in starts}
    rows = "".join(f"    {key!r}: {text!r},\n" for key, text in kept.items())
    return f'"""Made by setup.py."""\n\nDIGEST = {digest()!r}\nEXPRESSIONS = {{\n{rows}}}\n'


def dialects() -> str:
    """What scanner.c includes. Raises native.Untranslatable for a grammar that no C can be written for."""
    written = [f"enum {{ {', '.join(name.upper() for name in grammars.HOT)}, HOT }};", f'#define DIGEST "{digest()}"']
    rows = []
    for name, start in SCANNED:
        expression = grammars.load(name, start).walked()
        groups = [group.partition("__")[0] for group in grammars.compiled(expression).groupindex]
        hot = {
            group: grammars.HOT.index(part)
            for group, part in zip(grammars.compiled(expression).groupindex, groups, strict=True)
            if part in grammars.HOT
        }
        if len(set(hot.values())) < len(hot):
            raise native.Untranslatable(f"{name}, {start}: a part in two places")
        written.append(native.function(f"match_{name}_{start}", expression, hot, len(grammars.HOT)))
        rows.append(f'{{"{name}.{start}", match_{name}_{start}}}')
    written.append(f"static const struct {{ const char *name; Match match; }} DIALECTS[] = {{ {', '.join(rows)} }};\n")
    return "\n".join(written)
