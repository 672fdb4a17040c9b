from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from torch import Tensor

from benchmarks.run_contents import contents
from genkit.core.interruption import SIGNALS, Stopped, stop_flag
from genkit.training import train
from genkit.training.trainer import Trainer
from tests.training.tiny import points


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_the_flag_and_the_first_one_counts(number: int) -> None:
    before = [signal.getsignal(n) for n in SIGNALS]
    with stop_flag() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop and stop.number == number
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), stop_flag():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_caught() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_flag() as stop:
            seen.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def test_exit_codes() -> None:
    assert [Stopped(n, 1).exit_code for n in SIGNALS] == [143, 130, 128 + signal.SIGUSR1]


def test_an_iteration_that_is_too_long_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is left behind goes on as if nothing had been."""
    slow = [True]

    def iterate(trainer: Trainer) -> dict[str, Tensor]:
        if trainer.step == 6 and slow[0]:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            time.sleep(60)
        return whole(trainer)

    whole = Trainer.iterate
    monkeypatch.setattr(Trainer, "iterate", iterate)
    monkeypatch.setattr("genkit.training.run.PATIENCE_S", 0.5)
    begun = time.monotonic()
    with pytest.raises(Stopped, match=r"stopped by SIGTERM in iteration 7, which takes long; go on with --resume"):
        train(points(10), tmp_path / "run")
    assert time.monotonic() - begun < 30
    slow[0] = False
    train(points(10), tmp_path / "run", resume=True)
    train(points(10), tmp_path / "straight")
    assert contents(tmp_path / "run") == contents(tmp_path / "straight")


def test_patience_ends_with_its_block() -> None:
    with stop_flag() as stop:
        with stop.within(0.2):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.4)
        assert stop and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
