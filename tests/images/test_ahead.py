from __future__ import annotations

import threading
import time

import pytest

from genkit.images import ahead
from genkit.images.ahead import Claim, in_order


def test_results_come_in_order_from_several_threads() -> None:
    names = set()

    def work(index: int, claim: Claim) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.001 * (index % 3))
        return index

    assert list(in_order(work, 100, 10, lambda _: 0, workers=3)) == list(range(100))
    assert len(names) == 3 and not any(thread.name in names for thread in threading.enumerate())


@pytest.mark.parametrize(("size", "allowed"), [(3, 3), (10, 1), (25, 1)])
def test_no_more_is_in_flight_than_the_budget_allows(size: int, allowed: int) -> None:
    """A result counts until it is taken, and an item over the budget comes alone."""
    lock, now, most = threading.Lock(), set[int](), 0

    def work(index: int, claim: Claim) -> int:
        nonlocal most
        claim(size)
        with lock:
            now.add(index)
            most = max(most, len(now))
        time.sleep(0.001)
        return index

    for index in in_order(work, 30, 10, lambda _: size, workers=4):
        with lock:
            now.discard(index)
    assert most <= allowed + 1  # the one whose turn it is may always go on


def test_what_is_no_longer_needed_makes_room() -> None:
    def work(index: int, claim: Claim) -> int:
        claim(10)
        return index

    assert list(in_order(work, 50, 10, lambda _: 1, workers=4)) == list(range(50))


def test_an_error_comes_in_its_turn_and_ends_the_threads() -> None:
    def work(index: int, claim: Claim) -> int:
        claim(5)
        if index == 7:
            raise ValueError("seven")
        return index

    before, seen = threading.active_count(), []
    with pytest.raises(ValueError, match="seven"):
        for result in in_order(work, 100, 10, lambda _: 5, workers=4):
            seen.append(result)
    assert seen == list(range(7)) and threading.active_count() == before


def test_only_so_many_are_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "REACH", 8)
    begun = []
    items = in_order(lambda index, claim: begun.append(index), 100, 10, lambda _: 0, workers=2)
    next(items)
    time.sleep(0.05)
    items.close()
    assert max(begun) < 2 * 8 + 1
