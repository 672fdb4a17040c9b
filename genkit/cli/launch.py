"""The processes of a launch: those that `accelerate launch --cpu` was asked for are started here, and none outlives it.

accelerate 1.x exports an address to meet at when `--num_processes` is above one, and then starts a single process on
CPUs; the number is left on its command line alone. genkit reads it there and starts the processes itself.

accelerate dies of a signal without a word to its processes. So every process of a launch looks whether the one that
started it is still there, and stops as by SIGTERM when it is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING

import click

from genkit.core.errors import GenkitError
from genkit.core.interruption import LOST

if TYPE_CHECKING:
    from genkit.core.crew import Crew

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
LAUNCHER = "GENKIT_LAUNCHER"
"""Set for the processes that are started here: the launcher's number, which a child may find gone already."""

ERRORS = "GENKIT_ERRORS"
"""Set for them too: the pipe to the launcher for the line of an error that the first process may not have met."""

POLL_S, GRACE_S = 0.1, 8.0


def join_launch() -> None:
    """Runs this command line in as many processes as accelerate was asked for, and exits as they do.

    Returns at once in a process that is alone on purpose, or one of several already.
    """
    if launcher := _launcher():
        threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    asked = _asked_for()
    if asked and asked.total > 1:
        raise SystemExit(_run(asked))


def crew_of_launch() -> Crew:
    """The processes of this launch, which know each other from now on."""
    from genkit.core.crew import Crew

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        from genkit.training.engine import join_processes

        join_processes()
    return Crew.of_launch()


def has_launcher() -> bool:
    """Whether this process was started here, by a launcher that reports on the others."""
    return LAUNCHER in os.environ


def hand_over(line: str) -> bool:
    """Gives the line of an error to the launcher, which shows it if the first process had none; False without one."""
    if ERRORS not in os.environ:
        return False
    os.write(int(os.environ[ERRORS]), f"{line}\n".encode(errors="backslashreplace"))
    return True


def _launcher() -> int | None:
    """The process that must not be outlived: genkit's launcher, torchrun or accelerate. A shell may be."""
    if has_launcher():
        return int(os.environ[LAUNCHER])
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return os.getppid()
    if "ACCELERATE_MIXED_PRECISION" in os.environ and any("accelerate" in word for word in _words_of_parent()):
        return os.getppid()
    return None


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)


@dataclass(frozen=True)
class Launch:
    """The processes of a launch.

    Attributes:
        here: of them on this machine.
        total: on all machines.
        first: the rank of the first one here.
        address, port: where they meet; a free port where all are here.
    """

    here: int
    total: int
    first: int = 0
    address: str = "127.0.0.1"
    port: int = 0


def _asked_for() -> Launch | None:
    """The group that `accelerate launch --cpu` leaves to be started; None where nobody asked, or others have done it.

    Raises:
        GenkitError: processes that cannot be shared out over the machines.
    """
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if not on_cpu or "MASTER_PORT" not in os.environ or "WORLD_SIZE" in os.environ:
        return None
    words = [part for word in _words_of_parent() for part in word.split("=", 1)]
    given = {name.replace("-", "_"): int(value) for name, value in pairwise(words) if value.isdecimal()}
    if "__num_processes" not in given:
        click.echo("accelerate launch --cpu started one process; give --num_processes N on its command line", err=True)
        return None
    total, machines = given["__num_processes"], given.get("__num_machines", 1)
    if machines <= 1:
        return Launch(total, total)
    if total % machines:
        raise GenkitError(f"--num_processes {total} counts those of all {machines} machines, each of which has as many")
    here, address = total // machines, os.environ["MASTER_ADDR"]
    return Launch(here, total, here * given.get("__machine_rank", 0), address, int(os.environ["MASTER_PORT"]))


def _words_of_parent() -> list[str]:
    import psutil

    try:
        words: list[str] = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:  # it has just ended, or belongs to somebody else
        return []
    return words


def _run(asked_for: Launch) -> int:
    """The exit code of the processes here, see `_verdict`; a signal reaches all of them."""
    port, group, asked = asked_for.port or _free_port(), list[subprocess.Popen[bytes]](), list[int]()
    lines, errors = os.pipe()

    def forward(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for process in group:
            process.send_signal(number)

    for number in FORWARDED:
        signal.signal(number, forward)
    for local in range(asked_for.here):
        group.append(_start(asked_for, local, port, errors))
    if asked:  # before all were there
        forward(asked[0], None)
    while any(process.poll() is None for process in group) and not any(process.poll() for process in group):
        time.sleep(POLL_S)
    codes = _end(group)
    code = _verdict(codes, bool(asked), asked_for)
    if 0 < code < LOST and codes[0] != code:
        _show_first(lines)
    return code


def _show_first(lines: int) -> None:
    """The first of the lines that were handed over; there may be none, and processes left that could write one."""
    os.set_blocking(lines, False)
    with suppress(BlockingIOError):
        for line in os.read(lines, 2**16).decode().splitlines()[:1]:
            click.echo(line, err=True)


def _start(group: Launch, local: int, port: int, errors: int) -> subprocess.Popen[bytes]:
    place = {"RANK": group.first + local, "LOCAL_RANK": local, "WORLD_SIZE": group.total, "MASTER_PORT": port}
    place |= {"LOCAL_WORLD_SIZE": group.here}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // group.here))}
    environment = threads | dict(os.environ) | {k: str(v) for k, v in place.items()} | {"MASTER_ADDR": group.address}
    environment |= {LAUNCHER: str(os.getpid()), ERRORS: str(errors)}
    return subprocess.Popen([sys.executable, "-m", "genkit", *sys.argv[1:]], env=environment, pass_fds=[errors])


def _end(group: list[subprocess.Popen[bytes]]) -> list[int | None]:
    """The exit codes. Where one has failed the others get a while to end by themselves, then are killed: None."""
    deadline = time.monotonic() + GRACE_S
    while any(process.poll() is None for process in group) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    codes = [process.returncode for process in group]
    for process in group:
        process.kill()
    return codes


def _verdict(codes: list[int | None], asked: bool, group: Launch) -> int:
    """0 if all went well, else the exit code of the first process that failed by itself, not for the loss of another.

    A process that was killed unasked is reported, and the code is LOST.
    """
    from genkit.training.peers import ProcessLost

    failed = {rank: code for rank, code in enumerate(codes) if code}
    causes = {rank: code for rank, code in failed.items() if code != LOST}
    if not causes and failed:
        click.echo(f"genkit: {ProcessLost('the connection between the processes')}", err=True)
    if not causes:
        return LOST if failed else 0
    rank, code = next(iter(causes.items()))
    if code > 0 or asked:
        return code if code > 0 else 128 - code
    name = signal.Signals(-code).name
    click.echo(f"genkit: {ProcessLost(f'process {rank} of {len(codes)} (killed by {name})')}", err=True)
    return LOST


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
