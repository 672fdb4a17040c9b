"""--device, --precision and --compile: the same options of every command that runs networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

Command = Callable[..., Any]

DEVICE = click.option("--device", help="Where networks run: cpu, cuda, cuda:1, mps or xpu.")
PRECISION = click.option(
    "--precision",
    type=click.Choice(["no", "bf16"]),
    default="no",
    show_default=True,
    help="bf16: networks in bfloat16, quicker where the device has units for it.",
)
COMPILE = click.option("--compile", is_flag=True, help="Compile the networks first; pays for thousands of calls.")


def on_device(command: Command) -> Command:
    """`command` with --device."""
    return DEVICE(_by(command))  # type: ignore[no-any-return]


def computes(command: Command) -> Command:
    """`command` with --device, --precision and --compile."""
    return DEVICE(PRECISION(COMPILE(_by(command))))  # type: ignore[no-any-return]


def _by(command: Command) -> Command:
    """Runs it as was asked, and imports torch for that only where something was."""

    @wraps(command)
    def run(
        *arguments: Any, device: str | None = None, precision: Any = "no", compile: bool = False, **options: Any
    ) -> Any:
        if device is None and precision == "no" and not compile:
            return command(*arguments, **options)
        from genkit.core.computing import Computing, computing_by

        with computing_by(Computing.asked(device, precision, compile)):
            return command(*arguments, **options)

    return run
