"""The command `mmlist`: a group whose commands are imported only when they are used, and the one place where an
exception becomes an exit code.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from typing import Any

import click

from mmlist import __version__
from mmlist.replay.errors import MmlistError

COMMANDS = {
    "replay": ("mmlist.cli.replay:replay", "Replay logs: was mmlist ever wrong? Leaves a database."),
    "doctor": ("mmlist.cli.doctor:doctor", "What a log can decide, and which events would decide more."),
    "diff": ("mmlist.cli.diff:diff", "Two logs, or one under two profiles: what is new, gone, changed."),
    "explain": ("mmlist.cli.explain:explain", "The lines that prove a violation, step by step."),
    "at": ("mmlist.cli.at:at", "Who stood on mmlist at one line or time, in list order."),
    "sql": ("mmlist.cli.sql:sql", "Ask the database, with SQL or a shipped query."),
    "parse": ("mmlist.cli.parse:parse", "What each line of a log says, as JSON."),
    "invariants": ("mmlist.cli.invariants:invariants", "What is checked, and why the kernel needs it."),
    "simulate": ("mmlist.cli.simulate:simulate", "A log of a simulated kernel, right or with a known bug."),
    "kernel": ("mmlist.cli.kernel:kernel", "What a kernel offers: offsets of fields, functions that can be probed."),
    "probes": ("mmlist.cli.probes:probes", "The best probes that a kernel allows, or a script that captures."),
    "check": ("mmlist.cli.check:check", "Replay fixtures against their expectations."),
}
"""Name of a command -> where it lives, and its line in the group's help."""

HELP = {"help_option_names": ["-h", "--help"]}
"""Context settings of every command. Not inherited from the group: click keeps the option of the first use."""

CANNOT_RUN = 2
_INTERRUPTED = 130
_PIPE_CLOSED = 141  # what a shell reports for a command that died of SIGPIPE

_EPILOG = """\b
Exit codes:
  0  conforming    nothing wrong was found in what could be checked
  1  violated      at least one violation is proven or likely
  2  cannot run    usage, or a log that cannot be read
  3  unknown       events are missing, or nothing could be checked

\b
Shell completion (bash; zsh and fish likewise), in ~/.bashrc:
  eval "$(_MMLIST_COMPLETE=bash_source mmlist)"
"""


class Lazy(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of a user's way through them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name where there is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises becomes a message and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("mmlist: interrupted", err=True)
            ctx.exit(_INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            ctx.exit(_PIPE_CLOSED)
        except (MmlistError, OSError) as error:
            click.echo(f"mmlist: {error}", err=True)
        except Exception as error:
            if os.environ.get("MMLIST_DEBUG"):
                traceback.print_exc()
            told = " ".join(f"{type(error).__name__}: {error}".split())
            click.echo(f"mmlist: {told}: this is a bug in mmlist (MMLIST_DEBUG=1 shows where)", err=True)
        ctx.exit(CANNOT_RUN)


def _discard_output() -> None:
    """Nobody reads us any more: what is still buffered goes nowhere, so that the interpreter ends without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from mmlist.cli.jsonlines import SCHEMA_VERSION as JSON
    from mmlist.db.file import SCHEMA_VERSION as DATABASE

    click.echo(f"mmlist {__version__} (database schema {DATABASE}, JSON schema {JSON})")
    ctx.exit()


@click.group(cls=Lazy, epilog=_EPILOG, context_settings=HELP)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="And exit.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Replay a kernel trace: was swap's list of address spaces ever wrong?

    \b
    Examples:
      mmlist replay trace.txt            # the verdict; leaves trace.txt.db
      mmlist explain trace.txt.db        # the lines that prove the first violation
      mmlist at trace.txt.db --line 4711
      mmlist sql trace.txt.db violations
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> None:
    """The entry point of the installed command."""
    cli(prog_name="mmlist")
