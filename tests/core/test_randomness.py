from __future__ import annotations

import pytest
import torch

from genkit.core.randomness import Rows, seed_networks


def rows(n: int, seed: int = 0) -> Rows:
    return Rows(n, torch.Generator().manual_seed(seed))


def test_a_row_is_the_same_in_any_batch() -> None:
    many, few = rows(40), rows(3)
    for draw in (lambda r: r.normal(20), lambda r: r.uniform(2, 3), lambda r: r.integers(9)):
        assert draw(many)[:3].equal(draw(few))


def test_rows_go_on_where_the_batch_before_ended() -> None:
    rng, whole = torch.Generator().manual_seed(0), rows(7).normal(2)
    parts = [Rows(n, rng).normal(2) for n in (3, 1, 3)]
    assert torch.cat(parts).equal(whole)


def test_rows_differ_and_draws_differ() -> None:
    made = rows(50)
    first, second = made.normal(), made.normal()
    assert len(set(first.tolist())) == 50 and not first.equal(second)
    assert not rows(50, 1).normal().equal(first) and abs(first.mean()) < 0.5 and 0.6 < first.std() < 1.4


def test_shapes_types_and_ranges() -> None:
    made = rows(30)
    assert made.normal(2, 3).shape == (30, 2, 3) and made.uniform().shape == (30,) and len(made) == 30
    label = made.integers(4)
    assert label.dtype == torch.int64 and set(label.tolist()) == {0, 1, 2, 3}
    assert made.uniform(9).min() >= 0 and made.uniform(9).max() < 1


def test_without_a_generator_the_global_one_is_used() -> None:
    torch.manual_seed(3)
    first = Rows(2).normal()
    torch.manual_seed(3)
    assert Rows(2).normal().equal(first)


def test_networks_are_seeded_as_torch_does_it_without_a_look_at_missing_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(7)
    wanted = torch.nn.functional.dropout(torch.ones(100))
    monkeypatch.setattr(torch.cuda, "_lazy_call", None)
    seed_networks(7)
    assert torch.nn.functional.dropout(torch.ones(100)).equal(wanted)


def test_chances_are_uniform_the_same_in_any_batch_and_say_nothing_of_what_is_drawn() -> None:
    rows = Rows(20_000, torch.Generator().manual_seed(0))
    chances = rows.chances
    assert chances.dtype == torch.float64 and chances.min() >= 0 and chances.max() < 1
    assert rows.only([7, 3]).chances.equal(chances[[7, 3]])
    assert (chances.sort().values - torch.linspace(0, 1, 20_000)).abs().max() < 1.63 / 20_000**0.5  # p = 0.01
    drawn = torch.stack([rows.normal(), rows.uniform()]).double()
    assert torch.corrcoef(torch.cat([drawn, chances[None]]))[2, :2].abs().max() < 3 / 20_000**0.5
    assert Rows.of([0, 2**63 - 1]).chances.tolist() == [0.0, 1 - 2.0**-53]
