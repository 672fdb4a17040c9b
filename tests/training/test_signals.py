from __future__ import annotations

import os
import signal
import threading

import pytest

from genkit.training.signals import SIGNALS, Stopped, stop_flag


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
