"""The entry point: finds the command, imports it alone, and turns every failure into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

import click

from genkit import __version__
from genkit.cli.console import is_first_process
from genkit.cli.memory import keep_memory
from genkit.errors import GenkitError, suggest

COMMANDS = {
    "train": ("train", "Train a generator from a recipe."),
    "sample": ("sample", "Draw samples from trained weights."),
    "evaluate": ("evaluate", "Score samples, images or weights against real data."),
    "stats": ("stats", "Compute and keep the statistics of a data set."),
    "likelihood": ("likelihood", "Log-likelihood that weights give to real data."),
    "knn": ("knn", "Classify real data by the nearest latents."),
    "outliers": ("outliers", "Rank a data set's images, the most suspicious first."),
    "exemplars": ("exemplars", "Show, replace or extend what weights generate by."),
    "bench": ("bench", "Compare several sets of weights in one table."),
    "list": ("list_", "List what there is: recipes, data, weights, metrics and more."),
    "info": ("info", "Explain a recipe, weights, a run or a catalog name."),
    "cite": ("cite", "Print BibTeX of the papers behind a recipe, weights or a catalog name."),
    "import": ("import_", "Turn an author's checkpoint into weights."),
    "export": ("export", "Turn weights into the files of another library."),
}
"""Command -> (module of genkit.cli, help). Help is here so that `genkit --help` imports no command."""

# Threads that wait must sleep, not spin: on a machine with other work, two spinning threads were three times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

DEBUG = "--debug"
BAD_INPUT, INTERNAL, INTERRUPTED, BROKEN_PIPE = 2, 1, 128 + signal.SIGINT, 128 + signal.SIGPIPE
GRACE_S = 3.0


class Commands(click.Group):
    """Sub-commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"genkit.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{suggest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="genkit", message="%(prog)s %(version)s")
@click.option(DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an error; anywhere on the line.")
def genkit() -> None:
    """Train a generator on images, sample it, steer it, score it.

    Start with `genkit train digits/wgan_ratio_clipping`, and look around with `genkit list`.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code.

    0 is success, 2 is input that cannot be used, 1 is a fault of genkit, 128 + n is being stopped by signal n.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    keep_memory()
    try:
        return _run([argument for argument in given if argument != DEBUG] or ["--help"])
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except Exception as error:
        if DEBUG in given:
            traceback.print_exc()
            return _explain(error)[1]
        return _fail(*_explain(error))


def _run(arguments: list[str]) -> int:
    try:
        with _ended_in_order(), genkit.make_context("genkit", arguments) as context:
            genkit.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else INTERNAL if done.code else 0
    return 0


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends a command as an error does, so that what is temporary goes; training replaces this by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an error."""
    if isinstance(error, GenkitError):
        return str(error), BAD_INPUT
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f" (see: {context.command_path} --help)" if context else ""
        return error.format_message() + hint, BAD_INPUT
    if _out_of_memory(error):
        return "out of memory; make the batch, the images or the networks smaller", BAD_INPUT
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", BAD_INPUT
    return f"internal error: {type(error).__name__}: {error}; run again with {DEBUG} and report it", INTERNAL


def _out_of_memory(error: Exception) -> bool:
    """Torch raises OutOfMemoryError for GPUs, and a bare RuntimeError for the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _fail(message: str, code: int) -> int:
    """`genkit: message` in one line. All processes of a run meet most errors together, and the first one tells; by the
    time another has waited the launcher has stopped it, unless the error is its own."""
    line = " ".join(message.split())
    if is_first_process():
        click.echo(f"genkit: {line}", err=True)
    else:
        time.sleep(GRACE_S)
        click.echo(f"genkit: process {os.environ['RANK']}: {line}", err=True)
    return code


def _discard_output() -> None:
    """The reader of the pipe has gone; without this Python complains once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
