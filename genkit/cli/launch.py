"""Starting the processes that `accelerate launch --cpu` was asked for.

accelerate 1.x exports an address to meet at when `--num_processes` is above one, and then starts a single process on
CPUs; the number is left on its command line alone. genkit reads it there and starts the processes itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from types import FrameType

import click

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
POLL_S, GRACE_S = 0.1, 20.0


def join_launch() -> None:
    """Runs this command line in as many processes as accelerate was asked for, and exits as they do.

    Returns at once in a process that is alone on purpose, or one of several already.
    """
    count = _asked_for()
    if count > 1:
        raise SystemExit(_run(count))


def _asked_for() -> int:
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if not on_cpu or "MASTER_PORT" not in os.environ or "WORLD_SIZE" in os.environ:
        return 1
    import psutil

    words = psutil.Process(os.getppid()).cmdline()
    words = [part for word in words for part in word.split("=", 1)]
    for name, value in pairwise(words):
        if name in ("--num_processes", "--num-processes") and value.isdecimal():
            return int(value)
    click.echo("accelerate launch --cpu started one process; give --num_processes N on its command line", err=True)
    return 1


def _run(count: int) -> int:
    """The exit code of the first process that fails, else 0; a signal reaches all of them."""
    port = _free_port()
    group = [_start(rank, count, port) for rank in range(count)]

    def forward(number: int, frame: FrameType | None) -> None:
        for process in group:
            process.send_signal(number)

    for number in FORWARDED:
        signal.signal(number, forward)
    while any(process.poll() is None for process in group):
        if any(process.poll() for process in group):
            return _end(group)
        time.sleep(POLL_S)
    return next((_code(process) for process in group if process.returncode), 0)


def _start(rank: int, count: int, port: int) -> subprocess.Popen[bytes]:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
    environment = threads | dict(os.environ) | {k: str(v) for k, v in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    return subprocess.Popen([sys.executable, "-m", "genkit", *sys.argv[1:]], env=environment)


def _end(group: list[subprocess.Popen[bytes]]) -> int:
    """One has failed: the others get a while to end by themselves, then are killed."""
    first = next(_code(process) for process in group if process.poll())
    deadline = time.monotonic() + GRACE_S
    while any(process.poll() is None for process in group) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for process in group:
        process.kill()
    return first


def _code(process: subprocess.Popen[bytes]) -> int:
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
