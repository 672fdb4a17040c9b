from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from genkit.core.interruption import SIGNALS, Interrupted, beside, interruptible, stop_flag


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_leaves_the_block_with_its_exit_code(number: int) -> None:
    with stop_flag() as stop, pytest.raises(Interrupted, match="stopped by SIG") as left, stop:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not heard")
    assert left.value.exit_code == 128 + number


def test_outside_the_block_it_is_noted_and_the_next_block_does_not_start() -> None:
    with stop_flag() as stop:
        with stop:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), stop:
            raise AssertionError("the block was entered")
        os.kill(os.getpid(), signal.SIGTERM)  # and a second one disturbs nobody


def test_one_that_was_dropped_on_its_way_is_raised_at_the_end_of_the_block() -> None:
    with stop_flag() as stop, pytest.raises(Interrupted), stop, suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_command_is_left_but_for_what_has_a_flag_of_its_own() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), interruptible():
        with stop_flag() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was not heard")
    with pytest.raises(Interrupted), interruptible(), suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_is_no_error_of_a_library() -> None:
    with stop_flag() as stop, pytest.raises(Interrupted), stop:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:
            raise AssertionError("swallowed") from error


def test_work_beside_is_left_at_once() -> None:
    never = threading.Event()
    with stop_flag() as stop, pytest.raises(Interrupted), stop:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        beside(never.wait)
    never.set()


def test_work_beside_returns_raises_and_has_the_threads_of_its_caller() -> None:
    import torch

    def fail() -> None:
        raise KeyError("mine")

    with stop_flag():
        name, threads = beside(lambda: (threading.current_thread().name, torch.get_num_threads()))
        assert name != threading.current_thread().name and threads == torch.get_num_threads()
        with pytest.raises(KeyError, match="mine"):
            beside(fail)
    assert beside(threading.current_thread) is threading.main_thread(), "nobody listens, so there is no thread"
