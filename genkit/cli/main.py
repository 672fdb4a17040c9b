"""The entry point: finds the command, imports it alone, and turns every failure into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from genkit import __version__
from genkit.cli.launch import hand_over, has_launcher
from genkit.cli.memory import keep_memory
from genkit.cli.repeated import given_twice
from genkit.core.display import is_first_process
from genkit.core.errors import (
    BeyondTraining,
    BrokenPlugin,
    GenkitError,
    MissingLetters,
    UnfinishedRun,
    one_line,
    shown,
    suggest,
)
from genkit.core.interruption import LOST, Interrupted, RunEnded, interruptible
from genkit.core.others_code import fault_of_others

COMMANDS = {
    "new": ("new", "Look at your own images, and write a recipe that fits them."),
    "train": ("train", "Train a generator from a recipe."),
    "sample": ("sample", "Draw samples from trained weights."),
    "edit": ("edit", "Vary images, move samples along a direction, or change the examples of weights."),
    "refine": ("refine", "Make weights give better samples, by rejection and its relatives."),
    "directions": ("directions", "Find directions in the latent space of trained weights."),
    "explain": ("explain", "Show what changes a classifier's mind, or the examples behind an image."),
    "explain train": ("explain_train", "Train what explains a classifier, and write its page."),
    "evaluate": ("evaluate", "Score samples, images, weights or data."),
    "score-images": ("score_images", "Score how unusual weights find each image."),
    "calibrate": ("calibrate", "Measure distances of images by a predictor, a classifier or a measure."),
    "stats": ("stats", "Compute and keep the statistics of a data set."),
    "bench": ("bench", "Compare several sets of weights in one table."),
    "ui": ("ui", "Open a page to play with weights and watch runs."),
    "list": ("list_", "List recipes, data, weights, metrics and more."),
    "info": ("info", "Describe a recipe, weights, a run or a catalog name."),
    "cite": ("cite", "Print BibTeX of the papers behind a recipe, weights or a catalog name."),
    "import": ("import_", "Turn an author's checkpoint into weights."),
    "export": ("export", "Turn weights into the files of another library."),
    "push": ("push", "Send weights to the Hugging Face Hub."),
    "pull": ("pull", "Take weights from the Hugging Face Hub."),
}
"""Command -> (module of genkit.cli, help). Help is here so that `genkit --help` imports no command."""

RENAMED = {
    "likelihood": ("evaluate", "--metrics=likelihood"),
    "knn": ("evaluate", "--metrics=knn"),
    "outliers": ("evaluate", "--metrics=outliers"),
    "exemplars": ("edit",),
}
"""A command of earlier versions, which still works -> the present one."""

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
        name = RENAMED.get(cmd_name, (cmd_name,))[0]
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"genkit.cli.{COMMANDS[name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in RENAMED and {"-h", "--help"} & {*args}:
            for command in self._of_earlier(ctx, args[0]):
                with click.Context(command, ctx, command.name) as one:
                    click.echo(one.get_help() + "\n")
            ctx.exit()
        args = _of_today(args)
        if " ".join(args[:2]) in COMMANDS:
            args = [" ".join(args[:2]), *args[2:]]
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {shown(args[0])}{suggest(args[0], COMMANDS)}")
        name, found, rest = super().resolve_command(ctx, args)
        if found and is_first_process() and (twice := given_twice(found, rest)):
            click.echo(f"warning: {twice} is given more than once; the last one alone counts", err=True)
        return name, found, rest

    def _of_earlier(self, ctx: click.Context, name: str) -> list[click.Command]:
        """The commands that a name of earlier versions stands for."""
        if name == "exemplars":
            return [command for new in ("edit", "explain") if (command := self.get_command(ctx, new))]
        from genkit.cli.evaluate import of_use

        return [of_use(name)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


def _of_today(args: list[str]) -> list[str]:
    """A command line of earlier versions in present form; `exemplars` becomes `explain` unless it writes weights."""
    if not args or args[0] not in RENAMED:
        return args
    writes = any(argument.startswith(("--replace", "--extend", "--out")) for argument in args[1:])
    name = RENAMED[args[0]] if args[0] != "exemplars" or writes else ("explain",)
    return [*name, *args[1:]]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="genkit", message="%(prog)s %(version)s")
@click.option(DEBUG, is_flag=True, expose_value=False, help="Show the traceback of an error; anywhere on the line.")
def genkit() -> None:
    """Train a generator on images, sample it, edit and explain with it, score it.

    Start with `genkit train digits/wgan_ratio_clipping`, and look around with `genkit list`.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code.

    0 is success, 2 is input that cannot be used, 1 is a fault of genkit, 3 is the loss of another process of the run,
    128 + n is being stopped by signal n.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    keep_memory()
    _write_any_name()
    code = _answered(given)
    if arguments is None and (code == LOST or code > 128 or os.environ.get("WORLD_SIZE", "1") != "1"):
        _leave(code)
    return code


def _leave(code: int) -> None:
    """Ends this process now. Python's own way takes seconds where another process is lost, and a thread of torch's that
    is still at work crashes it: one of several that had finished would be told as lost."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _answered(given: list[str]) -> int:
    try:
        with interruptible(), warnings.catch_warnings():
            _tell_in_one_line()
            _refuse_empty(given)
            return _run([argument for argument in given if argument != DEBUG] or ["--help"])
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except (Interrupted, RunEnded) as ended:
        if DEBUG in given:
            traceback.print_exc()
        if not has_launcher() if ended.exit_code == LOST else is_first_process():
            click.echo(f"genkit: {ended}", err=True)
        return ended.exit_code
    except Exception as error:
        if DEBUG in given:
            traceback.print_exc()
            return _explain(error)[1]
        if os.environ.get("WORLD_SIZE", "1") != "1" and _is_of_communication(error):
            return _lost()
        return _fail(*_explain(error))


def _is_of_communication(error: Exception) -> bool:
    from genkit.training.peers import of_communication

    return isinstance(error, RuntimeError) and of_communication(error)


def _lost() -> int:
    """Another process has ended before its time; genkit's own launcher says so by itself, and why."""
    if not has_launcher():
        click.echo("genkit: another process of this command was lost; start it again", err=True)
    return LOST


def _tell_in_one_line() -> None:
    """Shows each warning of genkit itself in one line; others are shown as Python does."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, (UnfinishedRun, BrokenPlugin, BeyondTraining, MissingLetters)):
            if is_first_process():
                click.echo(f"warning: {one_line(str(message))}", err=True)
        else:
            shown(message, category, *place)

    for category in (UnfinishedRun, BrokenPlugin):
        warnings.simplefilter("always", category)
    warnings.showwarning = show  # type: ignore[assignment]


def _write_any_name() -> None:
    """Writes characters that the terminal's encoding lacks, such as bytes of a file name that are no text, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse_empty(given: list[str]) -> None:
    """An empty text names nothing; as a path it would be the current folder, which is written `.`."""
    for before, argument in zip(["", *given], given, strict=False):
        option, equals, value = argument.partition("=") if argument.startswith("--") else (before, "=", argument)
        if equals and not value:
            place = f"option {option}" if option.startswith("-") else "an argument"
            raise click.UsageError(f"{place} is empty; give a value (the current folder is called '.')")


def _run(arguments: list[str]) -> int:
    try:
        with genkit.make_context("genkit", arguments) as context:
            genkit.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else INTERNAL if done.code else 0
    return 0


def _explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an error."""
    if isinstance(error, GenkitError):
        return str(error), BAD_INPUT
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f" (see: {context.command_path} --help)" if context else ""
        if isinstance(error, click.NoSuchOption) and error.possibilities:  # click compares the dashes too
            error.possibilities[:] = get_close_matches(error.option_name, error.possibilities, cutoff=0.7)
        return error.format_message() + hint, BAD_INPUT
    if _out_of_memory(error):
        return "out of memory; make the batch, the images or the networks smaller", BAD_INPUT
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", BAD_INPUT
    if fault := fault_of_others(error):
        return f"{fault}; {DEBUG} shows the traceback", BAD_INPUT
    return f"internal error: {type(error).__name__}: {error}; run again with {DEBUG} and report it", INTERNAL


def _out_of_memory(error: Exception) -> bool:
    """Torch raises OutOfMemoryError for GPUs, and a bare RuntimeError for the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _fail(message: str, code: int) -> int:
    """`genkit: message` in one line. All processes of a run meet most errors together, and the first one tells.

    genkit's own launcher knows whether it did. By the time that a process of another one has waited, it has been
    stopped, unless the error is its own.
    """
    line = one_line(" ".join(message.split()))
    if is_first_process():
        click.echo(f"genkit: {line}", err=True)
    elif not hand_over(message := f"genkit: process {os.environ['RANK']}: {line}"):
        time.sleep(GRACE_S)
        click.echo(message, err=True)
    return code


def _discard_output() -> None:
    """The reader of the pipe has gone; without this Python complains once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
