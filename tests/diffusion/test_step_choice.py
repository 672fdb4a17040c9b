from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.diffusion.step_choice import SecondMoment, StepChoice, label_or_none, quarters
from tests.diffusion.gaussian import Draws


def prepared(steps: int, **settings: Any) -> SecondMoment:
    made = SecondMoment(**settings)
    made.setup(steps)
    return made


def taught(losses: Tensor, **settings: Any) -> SecondMoment:
    """Knows one constant loss a step."""
    made = prepared(len(losses), **settings)
    for _ in range(made.history):
        made.learn(torch.arange(len(losses)), losses)
    return made


def test_uniform_choice() -> None:
    steps = StepChoice()
    steps.setup(7)
    i, weight = steps.draw(Draws(7000))
    assert i.dtype == torch.int64 and weight.eq(1).all() and len(weight) == 7000
    assert (i.bincount(minlength=7) / 7000 - 1 / 7).abs().max() < 0.02 and i.max() == 6
    assert not list(steps.state_dict())


def test_probabilities_go_with_the_root_of_the_mean_square() -> None:
    steps = prepared(4, groups=0, history=2, uniform=0.1)
    for losses in ([1.0, 0.0, 2.0, 3.0], [1.0, 2.0, 2.0, 4.0]):
        steps.learn(torch.arange(4), torch.tensor(losses))
    root = torch.tensor([1.0, 2.0, 4.0, 12.5], dtype=torch.float64).sqrt()
    torch.testing.assert_close(steps.probabilities(), 0.9 * root / root.sum() + 0.1 / 4)


def test_weights_keep_the_mean_of_any_loss() -> None:
    losses = torch.linspace(0.1, 5, 20) ** 2
    for made in (taught(losses, groups=0, history=1), taught(losses, groups=5, history=3, uniform=0.2)):
        p = made.probabilities()
        i, weight = made.draw(Draws(200_000))
        torch.testing.assert_close(weight.double(), 1 / (20 * p[i]), rtol=1e-6, atol=0)
        assert (i.bincount(minlength=20) / 200_000 - p).abs().max() < 0.005
        estimates = weight * losses[i]
        assert estimates.mean().item() == pytest.approx(losses.mean().item(), rel=0.02)
        assert estimates.std() < 0.5 * losses.std(), "and scatter less than uniform draws would"


def test_uniform_until_every_group_was_seen_often_enough() -> None:
    steps = prepared(10, groups=5, history=2)
    for k in range(10):
        assert steps.probabilities().eq(0.1).all(), k
        i = torch.tensor([k])
        steps.learn(i, torch.tensor([1.0 + k]))
    assert not steps.probabilities().eq(0.1).all(), "groups * history draws suffice"
    assert steps.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    p = steps.probabilities()
    assert p[0] == p[1] < p[2] and p.sum().item() == pytest.approx(1)
    one_short = prepared(10, groups=5, history=2)
    one_short.learn(torch.arange(9), torch.arange(9) + 1.0)
    assert one_short.probabilities().eq(0.1).all()


def test_old_losses_are_forgotten() -> None:
    steps = taught(torch.tensor([100.0, 1.0]), groups=0, history=3, uniform=1e-9)
    for _ in range(3):
        steps.learn(torch.tensor([0]), torch.tensor([1.0]))
    torch.testing.assert_close(steps.probabilities(), torch.full((2,), 0.5, dtype=torch.float64))
    repeated = prepared(2, groups=0, history=2)
    repeated.learn(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([9.0, 3.0, 4.0, 1.0, 1.0]))
    assert sorted(repeated.squares[0].tolist()) == [9.0, 16.0], "several losses of a step in one batch, in order"


def test_what_was_learned_is_state() -> None:
    steps = taught(torch.tensor([1.0, 2.0, 3.0]), groups=0, history=2)
    again = prepared(3, groups=0, history=2)
    again.load_state_dict(steps.state_dict())
    assert again.probabilities().equal(steps.probabilities())
    assert again.draw(Draws(9))[0].equal(steps.draw(Draws(9))[0])
    assert set(steps.state_dict()) == {"squares", "seen"}


@pytest.mark.parametrize("groups", [1, 3, 7, 10])
def test_groups_are_runs_of_almost_equal_length(groups: int) -> None:
    group = prepared(10, groups=groups).group
    assert (group.diff() >= 0).all() and group.unique().tolist() == list(range(groups))
    assert group.bincount().max() - group.bincount().min() <= 1


def test_bad_settings_are_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match="groups: 50 histories for 20 steps; use at most 20") as refusal:
        prepared(20)
    assert "\n" not in str(refusal.value)
    for bad in ({"groups": -1}, {"history": 0}, {"uniform": 0}, {"uniform": 1.5}):
        with pytest.raises(RecipeError, match=next(iter(bad))):
            catalog.build({"type": "second_moment", **bad})


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 64])
def test_quarters_go_from_the_least_noisy_to_the_noisiest(n: int) -> None:
    i = torch.randperm(n, generator=torch.Generator().manual_seed(n)) * 3
    found = quarters(i, 2.0 * i.float())
    assert list(found) == [f"noise_quarter_{k}" for k in (1, 2, 3, 4)]
    values = [v.item() for v in found.values()]
    assert values == sorted(values) and len(set(values)) == 4
    if n % 4 == 0:
        want = (6.0 * torch.arange(n)).view(4, -1).mean(1)
        assert values == pytest.approx(want.tolist())


def test_quarters_of_less_than_four_say_nothing() -> None:
    assert quarters(torch.arange(3), torch.ones(3)) == {}


def test_a_share_of_the_labels_is_dropped() -> None:
    u = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    label = torch.arange(20_000) % 10
    dropped = label_or_none(label, 10, u, 0.2)
    assert (dropped == 10).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert dropped[dropped != 10].equal(label[dropped != 10]) and dropped.dtype == torch.int64
    assert (dropped == 10).equal(u < 0.2) and label_or_none(label, 10, u, 0.0).equal(label)


def test_nothing_is_missing_before_it_is_set_up() -> None:
    """Only sizes change: all state is there from the start."""
    made = SecondMoment()
    names = list(made.state_dict())
    assert names == ["squares", "seen"] and made.steps == StepChoice().steps == 0
    made.setup(100)
    assert list(made.state_dict()) == names and made.squares.shape == (50, 10) and len(made.group) == 100
