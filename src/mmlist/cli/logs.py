"""The logs that a command was given: files, standard input, archives."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mmlist.replay.log import Log


def every_log(name: str) -> Iterator[Log]:
    """The logs at a path, closed after their turn. What is no log in an archive is named on standard error.

    Raises InputError where there is none.
    """
    for log in Log.open_all(name, lambda message: click.echo(f"mmlist: {message}", err=True)):
        with log:
            yield log
