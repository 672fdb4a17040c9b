"""Options that stand on a command line more than once."""

from __future__ import annotations

from contextlib import suppress

import click


def given_twice(command: click.Command, args: list[str]) -> str:
    """An option with one value that is there more than once; "" where there is none, or the line cannot be read."""
    with suppress(click.UsageError):
        context = click.Context(command, info_name=command.name)
        _, _, order = command.make_parser(context).parse_args(list(args))
        valued = [p for p in order if isinstance(p, click.Option) and not (p.multiple or p.is_flag or p.count)]
        return next((p.opts[0] for p in valued if valued.count(p) > 1), "")
    return ""
