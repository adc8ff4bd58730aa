"""`mmlist kernel`: what a kernel file says of the fields and functions that probes need."""

from __future__ import annotations

from typing import Any

import click

from mmlist.cli import HELP, rows
from mmlist.cli.jsonlines import line as json_line
from mmlist.kernel import Kernel, describe
from mmlist.kernel.describe import ARCHES


def sources(command: Any) -> Any:
    """The argument FILE and the options that say what else tells of the kernel: of each command that reads one."""
    for option in (
        click.option("--arch", type=click.Choice(ARCHES), default=None, help="Where the file does not say it."),
        click.option("--release", metavar="R", default=None, help="Where the file does not say it: 6.12.117."),
        click.option("--btf", metavar="F", help="Types: a BTF file, or a vmlinux that has some."),
        click.option(
            "--kallsyms", "--system-map", "system_map", metavar="F", help="Symbols: a System.map, /proc/kallsyms."
        ),
        click.argument("file", metavar="FILE"),
    ):
        command = option(command)
    return command


@click.command(context_settings=HELP)
@sources
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def kernel(form: str, **given: Any) -> None:
    """Read the kernel FILE (vmlinuz, vmlinux, /sys/kernel/btf/vmlinux, System.map): its release, where the fields lie that
    probes fetch, and which functions can be probed.

    \b
    Examples:
      mmlist kernel /boot/vmlinuz-6.1.0-56-amd64
      mmlist kernel /sys/kernel/btf/vmlinux --kallsyms /proc/kallsyms

    A vmlinux with DWARF also tells what was inlined into what; that takes half a minute.
    """
    found = describe(**given)
    if form == "json":
        click.echo(json_line("kernel", as_json(found)))
    else:
        _write(found)


def as_json(found: Kernel) -> dict[str, object]:
    """A kernel as the values of its JSON object. Offsets and sizes in bytes."""
    return {
        "file": found.file,
        "release": found.release,
        "arch": found.arch,
        "types_from": found.types_from,
        "symbols_from": found.symbols_from,
        "fields": {
            name: {"offset": place.offset, "size": place.size} if place is not None else None
            for name, place in found.fields.items()
        },
        "functions": [
            {
                "name": one.name,
                "state": one.state,
                "place": one.place,
                "symbols": one.symbols,
                "inlined": [copy._asdict() for copy in one.inlined],
                "note": one.note,
            }
            for one in found.functions.values()
        ],
        "notes": found.notes,
    }


def _write(found: Kernel) -> None:
    click.echo(f"{found.file}: release {found.release or 'unknown'}, {found.arch}")
    click.echo(f"  types from {found.types_from}, symbols from {found.symbols_from}")
    for note in found.notes:
        click.echo(f"  {note}")
    click.echo()
    rows.write(
        ["field", "offset", "size"],
        [(name, place.offset, place.size) if place else (name, None, None) for name, place in found.fields.items()],
        "table",
    )
    click.echo()
    rows.write(["function", "state"], [(one.name, one.told) for one in found.functions.values()], "table")
