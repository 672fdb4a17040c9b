"""Samplers that read a ratio of densities, over generators whose densities are known."""

from __future__ import annotations

import json
import math
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import BeyondTraining, GenkitError, RecipeError
from genkit.core.frozen import freeze
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.randomness import Randomness, Rows
from genkit.posthoc.rejection.acceptance import Shift, accept
from genkit.posthoc.rejection.calibration import Isotonic, Platt, reliability
from genkit.posthoc.rejection.density_ratio import DensityRatio
from genkit.posthoc.rejection.fitting import fitted, resampled
from genkit.posthoc.rejection.keep_training import KeepTraining
from genkit.posthoc.rejection.latent_samplers import LatentLangevin, LatentTransport
from genkit.posthoc.rejection.metropolis_hastings import MetropolisHastings, metropolis
from genkit.posthoc.rejection.rejection import Rejection
from tests.training.tiny import on_processes

WIDE = 1.5


class Wide(LatentGenerator):
    """N(label, WIDE^2), where the data are N(label, 1)."""

    def __init__(self, classes: int = 0, mean: float = 0.0):
        super().__init__()
        self.sample_shape, self.mean = (1,), mean
        self.conditions = ConditionSpace({"label": Labels(classes)} if classes else {})
        self.drawn = 0

    @property
    def standard_normal(self) -> bool:
        return True

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.normal(1)

    def forward(self, z: Tensor, condition: Any = None) -> Tensor:
        self.drawn += len(z)
        return WIDE * z + self.mean + _centre(condition)


class Known(nn.Module):
    """log N(x; label, 1) - log N(x; label, WIDE^2)."""

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        x = (x - _centre(condition)).squeeze(1).double()
        return -x.square() / 2 * (1 - WIDE**-2) + math.log(WIDE)


def _centre(condition: Any) -> Any:
    return 10 * condition["label"][:, None] if condition else 0


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ks(x: Tensor) -> float:
    """Distance of the distribution of x (n,) from N(0, 1)."""
    x = x.sort().values.double()
    below = torch.distributions.Normal(0.0, 1.0).cdf(x)
    steps = torch.arange(len(x) + 1) / len(x)
    return max((below - steps[:-1]).abs().max().item(), (below - steps[1:]).abs().max().item())


def test_exact_rejection_samples_the_data() -> None:
    exact = Rejection(Wide(), Known(), gamma=0.0)
    x = exact.sample(4000, rng=rng()).squeeze(1)
    critical = 2.225 / math.sqrt(4000)
    assert ks(x) < critical
    assert ks(Wide().sample(4000, rng=rng()).squeeze(1)) > 2 * critical, "the generator alone would be noticed"
    rate = exact.proposals.kept / exact.proposals.made
    assert abs(rate - 1 / WIDE) < 0.05 and abs(exact.settled().rate.item() - 1 / WIDE) < 0.03
    assert "4,000 kept" in exact.remarks()[0]


def test_a_percentile_is_no_exact_rejection() -> None:
    x = Rejection(Wide(), Known(), percentile=95).sample(3000, rng=rng()).squeeze(1)
    assert x.std() < 0.8 and ks(x) > 0.05


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.7])
def test_the_rate_is_what_was_asked_for(rate: float) -> None:
    sampler = Rejection(Wide(), Known(), rate=rate)
    assert abs(sampler.settled().rate.item() - rate) < 1e-9
    sampler.sample(500, rng=rng())
    made = sampler.generator.drawn - sampler.samples
    spent = 500 / made
    assert rate * 0.6 < spent < rate * 1.2


def test_the_rate_that_is_told_is_of_what_was_tried() -> None:
    """Proposals drawn along in a batch, behind one that was kept, do not lower it."""
    sampler = Rejection(Wide(), Known(), rate=0.2)
    for seed in range(50):
        sampler.sample(100, rng=rng(seed))
    drawn = sampler.generator.drawn - sampler.samples
    assert drawn > 1.05 * sampler.proposals.made and sampler.proposals.kept == 5000
    assert abs(5000 / sampler.proposals.made - 0.2) < 0.01


def test_a_kept_sample_depends_on_the_seed_and_its_number_alone() -> None:
    sampler = Rejection(Wide(), Known(), rate=0.1)
    whole = sampler.sample(50, rng=rng(3))
    for size in (1, 7, 50):
        assert torch.cat(list(sampler.stream(50, size, rng=rng(3)))).equal(whole)
    assert len(whole.unique()) == 50
    inner = Rejection(Rejection(Wide(), Known(), rate=0.3), Known(), rate=0.5, samples=500)
    assert torch.cat(list(inner.stream(9, 2, rng=rng()))).equal(inner.sample(9, rng=rng()))


def test_rows_apart_are_functions_of_row_and_number() -> None:
    rows = Rows(5, rng())
    index, number = torch.tensor([2, 2, 4]), torch.tensor([0, 1, 0])
    first = rows.apart(index, number).normal(3)
    rows.normal(7)
    assert rows.apart(index, number).normal(3).equal(first), "whatever the rows have drawn"
    assert rows.apart(index[:1], number[:1]).normal(3).equal(first[:1])
    assert len({tuple(row) for row in first.tolist()}) == 3
    whole, part = Rows(5, rng()).normal(2), Rows(5, rng()).only([4, 1])
    assert part.normal(2).equal(whole[[4, 1]]) and len(part) == 2


def test_classes_keep_their_own_thresholds() -> None:
    class Uneven(Known):
        """Right but for a constant of each class, which would starve one if M were shared."""

        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return super().forward(x, condition) - 6 * condition["label"].double()

    sampler = Rejection(Wide(2), Uneven(), rate=0.2)
    label = torch.arange(2).repeat(300)
    x = sampler.sample(600, condition={"label": label}, rng=rng()).squeeze(1)
    assert ((x - 10 * label).abs() < 4).all()
    assert sampler.settled().rate.allclose(torch.full((2,), 0.2).double())
    assert abs(sampler.settled().log_m[0] - sampler.settled().log_m[1] - 6) < 0.5


def test_classes_that_are_not_called_label_keep_their_own_thresholds_too() -> None:
    class Shaped(Wide):
        def forward(self, z: Tensor, condition: Any = None) -> Tensor:
            return super().forward(z) + 10 * condition["shape"][:, None]

    class Uneven(nn.Module):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            shape = condition["shape"].double()
            return (x.squeeze(1) - 10 * shape).double() - 6 * shape

    shaped = Shaped()
    shaped.conditions = ConditionSpace({"shape": Labels(2, free=True)})
    sampler = Rejection(shaped, Uneven(), rate=0.2)
    assert len(sampler.log_m) == 3
    sampler.sample(200, condition={"shape": torch.arange(2).repeat(100)}, rng=rng())
    assert abs(sampler.settled().log_m[0] - sampler.settled().log_m[1] - 6) < 0.8
    assert abs(sampler.proposals.kept / sampler.proposals.made - 0.2) < 0.05


def test_what_is_asked_for_beyond_the_burn_in_is_told_as_such() -> None:
    class Shifted(Wide):
        def forward(self, z: Tensor, condition: Any = None) -> Tensor:
            return super().forward(z) + condition["bold"].nan_to_num()[:, None]

    class Alone(Known):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x)

    shifted = Shifted()
    shifted.conditions = ConditionSpace({"bold": Values(-8, 8, free=True)})
    sampler = Rejection(shifted, Alone(), rate=0.2)
    with pytest.warns(BeyondTraining), pytest.raises(GenkitError, match=r"judged far less real .* ask for less"):
        sampler.sample(4, condition={"bold": 80.0}, rng=rng())


def test_samples_whose_class_is_left_to_the_generator_have_a_threshold_of_their_own() -> None:
    """Of class 0 the ratio says 6 more than of samples that were left free."""

    class Uneven(nn.Module):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return (x - 10 * condition["label"][:, None]).squeeze(1).double() - 6 * condition["label"].double()

    free = Wide()
    free.conditions = ConditionSpace({"label": Labels(2, free=True)})
    sampler = Rejection(free, Uneven(), rate=0.2)
    of = sampler.settled()
    assert len(of.log_m) == 3 and (of.log_m[2] - of.log_m[0]).sub(6).abs() < 0.8
    sampler.sample(400, rng=rng())
    assert abs(sampler.proposals.kept / sampler.proposals.made - 0.2) < 0.03 and sampler.proposals.beyond < 10


@pytest.mark.parametrize("make", [partial(Rejection, samples=100), MetropolisHastings, LatentLangevin])
def test_a_critic_of_classes_judges_no_sample_of_any(make: Any) -> None:
    critic = build({"type": "mlp_critic", "dims": 1, "width": 4, "depth": 1, "classes": 2})
    free = Wide()
    free.conditions = ConditionSpace({"label": Labels(2, free=True)})
    with pytest.raises(GenkitError, match="of one of 2 classes, and the class was left to the generator"):
        make(free, DensityRatio(critic)).sample(3)


def test_a_ratio_may_take_the_condition_or_not() -> None:
    class OfBoth(nn.Module):
        def forward(self, x: Tensor, condition: Any) -> Tensor:
            return Known()(x, condition)

    class OfImages(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x.squeeze(1).double().abs()

    for make in (partial(Rejection, samples=1000), MetropolisHastings, LatentLangevin, LatentTransport):
        assert make(Wide(), OfBoth()).sample(3).shape == (3, 1)
        assert make(Wide(2), OfImages()).sample(3).shape == (3, 1)


def test_a_burn_in_is_saved(tmp_path: Any) -> None:
    spec = {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 2, "width": 8, "depth": 1}}
    critic = {"type": "mlp_critic", "width": 8, "depth": 1}
    made = build(
        {"type": "rejection", "generator": spec, "ratio": {"type": "density_ratio", "critic": critic}, "rate": 0.5}
    )
    before = made.sample(6, rng=rng())
    assert not made.burnt, "sampling changes no state"
    made.burn_in()
    again = Rejection.from_pretrained(made.save_pretrained(tmp_path))
    assert again.burnt and again.sample(6, rng=rng()).equal(before)


def test_what_would_not_finish_is_refused() -> None:
    class Spiky(Known):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return 100 * x.squeeze(1).double()

    with pytest.raises(GenkitError, match="would not finish; choose a rate"):
        Rejection(Wide(), Spiky(), gamma=0.0).sample(2, rng=rng())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentile": 101.0}, "0 to 100"),
        ({"rate": 1.5}, "between 0 and 1"),
        ({"rate": 0.1, "gamma": 0.0}, "one of gamma, percentile and rate; got gamma and rate"),
        ({"gamma": math.nan}, "gamma is nan"),
        ({"rate": "a"}, "rate is a number, got 'a'"),
        ({"percentile": "80"}, "percentile is a number, got '80'"),
        ({"gamma": True}, "gamma is a number, got True"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GenkitError, match=message):
        Rejection(Wide(), Known(), **arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(MetropolisHastings, length=0), "length: input should be greater than or equal to 1, got 0"),
        (partial(LatentLangevin, steps=-1), "steps: input should be greater than or equal to 0, got -1"),
        (partial(LatentLangevin, eta=math.nan), "eta: input should be"),
        (partial(LatentTransport, rate=0.0), "rate: input should be greater than 0"),
        (partial(LatentTransport, k=-1.0), "k: input should be greater than or equal to 0"),
        (partial(Rejection, eps=-1.0), "eps: input should be greater than or equal to 0"),
        (partial(Rejection, samples=0), "samples: input should be greater than or equal to 2"),
        (partial(Rejection, rate=0.0005), r"\(rate 0.0005\), which would not finish"),
        (partial(Rejection, gamma=30.0), r"\(gamma 30\), which would not finish"),
        (
            partial(Rejection, percentile=99.0, samples=1999),
            "percentile 99 needs at least 2,000 samples of the burn-in",
        ),
    ],
)
def test_numbers_out_of_range_are_refused_where_a_sampler_is_made(make: Any, message: str) -> None:
    with pytest.raises(GenkitError, match=message):
        make(Wide(), Known())


def test_ratios_that_say_nothing_are_refused() -> None:
    class Broken(Known):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return torch.full((len(x),), math.nan)

    class Wordy(Known):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return x.repeat(1, 3)

    with pytest.raises(GenkitError, match="logits are nan"):
        Rejection(Wide(), Broken()).burn_in()
    assert torch.is_grad_enabled(), "whatever stopped it"
    with pytest.raises(GenkitError, match="one number a sample"):
        Rejection(Wide(), Wordy()).sample(2, rng=rng())
    judged = Known()
    judged.sample_shape = (2,)  # type: ignore[assignment]
    with pytest.raises(RecipeError, match=r"judges \[2\]"):
        Rejection(Wide(), judged)


def test_a_percentile_needs_enough_samples() -> None:
    with pytest.raises(GenkitError, match="at least 400 samples"):
        Rejection(Wide(), Known(), percentile=95, samples=100).sample(2, rng=rng())


def test_chains_reach_the_data() -> None:
    chains = MetropolisHastings(Wide(mean=1.0), _Shifted(), length=40)
    x = chains.sample(3000, rng=rng()).squeeze(1)
    assert ks(x) < 2.225 / math.sqrt(3000)
    assert torch.cat(list(chains.stream(9, 4, rng=rng(2)))).equal(chains.sample(9, rng=rng(2)))


def test_chains_never_give_out_their_start() -> None:
    chains = MetropolisHastings(Wide(), Known(), length=2)
    chains.start_from(torch.full((10,), 50.0))
    assert chains.sample(50, rng=rng()).isfinite().all()
    assert chains.proposals.never == 50 and "100 % of the chains" in chains.remarks()[0]


def test_a_chain_that_took_nothing_is_one_from_its_first_sample() -> None:
    again = MetropolisHastings(Wide(mean=1.0), _Shifted(), length=8)
    again.start_from(torch.full((10,), 50.0))
    first = MetropolisHastings(Wide(mean=1.0), _Shifted(), length=8)
    assert again.sample(50, rng=rng()).equal(first.sample(50, rng=rng())) and again.proposals.never == 50
    alone = MetropolisHastings(Wide(mean=1.0), _Shifted(), length=1)
    assert (first.sample(50, rng=rng()) != alone.sample(50, rng=rng())).any(), "later samples are taken"


def test_a_kept_critic_learns_the_ratio() -> None:
    class Quadratic(nn.Module):
        """a x^2 + b: the true ratio is of this form."""

        sample_shape = (1,)

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return self.a * x.squeeze(1).square() + self.b

    ratio = DensityRatio(Quadratic())
    system = KeepTraining(freeze(Wide()), ratio, rate=0.5)
    adam = torch.optim.Adam(ratio.parameters(), 0.05)
    random = rng(4)
    for _ in range(400):
        terms = system.loss(torch.randn(500, 1, generator=random), {}, WIDE * torch.randn(500, 1, generator=random), {})
        adam.zero_grad()
        sum(terms[name] for name in terms if name not in terms.observed).backward()  # type: ignore[union-attr]
        adam.step()
    x = torch.linspace(-3, 3, 13)[:, None]
    torch.testing.assert_close(ratio(x).double(), Known()(x), rtol=0, atol=0.15)


class _Shifted(Known):
    """Of data N(0, 1) to a generator N(1, WIDE^2)."""

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        x = x.squeeze(1).double()
        return -x.square() / 2 + (x - 1).square() / (2 * WIDE**2) + math.log(WIDE)


def test_langevin_in_latent_space_reaches_the_data() -> None:
    sampler = LatentLangevin(Wide(mean=1.0), _Shifted(), steps=150, eta=0.1)
    x = sampler.sample(2000, rng=rng()).squeeze(1)
    assert abs(x.mean()) < 0.1 and abs(x.std() - 1) < 0.1
    parts = torch.cat(list(sampler.stream(8, 3, rng=rng(2))))
    torch.testing.assert_close(parts, sampler.sample(8, rng=rng(2)), rtol=0, atol=1e-5)


def test_transport_moves_uphill_and_stays_near() -> None:
    generator, ratio = Wide(mean=1.0), _Shifted()
    moved = LatentTransport(_Plane(), _Ring(), steps=20, rate=0.05)
    start, end = _Plane().sample(200, rng=rng()), moved.sample(200, rng=rng())
    assert _Ring()(end).mean() > _Ring()(start).mean()
    assert (end - start).norm(dim=1).max() < 1.5
    assert LatentTransport(generator, ratio, steps=0).sample(5, rng=rng()).equal(generator.sample(5, rng=rng()))


def test_a_step_of_transport_stays_on_the_sphere() -> None:
    plane = _Plane()
    start = plane.sample(50, rng=rng())
    step = LatentTransport(plane, _Ring(), steps=1, rate=0.05, k=1.0).sample(50, rng=rng()) - start
    assert step.norm(dim=1).mean() > 0.03 and (step * start).sum(1).abs().max() < 1e-6


class _Plane(Wide):
    """The latent itself, in the plane."""

    def __init__(self) -> None:
        super().__init__()
        self.sample_shape = (2,)

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.normal(2)

    def forward(self, z: Tensor, condition: Any = None) -> Tensor:
        return z + 0


class _Ring(nn.Module):
    """Samples to the right are likelier."""

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        return 3 * x[:, 0].double()


def test_generators_say_whether_their_latents_are_standard_normal() -> None:
    from tests.contracts.specs import GENERATORS, seeded

    for name, normal in (("gan", True), ("truncated", True), ("edited", True), ("ddim_latents", True), ("vae", None)):
        for spec in GENERATORS[name]:
            made = seeded(spec)
            z = made.latents(Rows(400, rng()))
            leaves = torch.cat([leaf.reshape(400, -1).float() for leaf in tree.leaves(z)], 1)
            looks = abs(leaves.mean()) < 0.1 and abs(leaves.std() - 1) < 0.1
            assert made.standard_normal is (normal if normal is not None else made.standard_normal)
            assert looks or not made.standard_normal, f"{name}: {spec}"


def test_faults_of_ones_own_ratio_are_told_as_they_are() -> None:
    class Wrong(nn.Module):
        def __init__(self, answer: Any):
            super().__init__()
            self.answer = answer

        def forward(self, x: Tensor) -> Any:
            return x.foo if self.answer is AttributeError else self.answer  # type: ignore[attr-defined]

    for make in (partial(Rejection, samples=100), MetropolisHastings, LatentLangevin, LatentTransport):
        with pytest.raises(AttributeError, match="foo"):
            make(Wide(), Wrong(AttributeError)).sample(2)
        for answer in (None, 1.0):
            with pytest.raises(GenkitError, match=rf"one number a sample, a tensor \(\d+,\); got {answer}"):
                make(Wide(), Wrong(answer)).sample(2)


def test_latents_that_cannot_be_moved_are_refused() -> None:
    class Plain(Generator):
        sample_shape = (1,)

        def _sample(self, condition: Any, rows: Rows) -> Tensor:
            return rows.normal(1)

    with pytest.raises(RecipeError, match="Plain has none"):
        LatentLangevin(Plain(), Known())  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="isotonic calibration has none"):
        LatentTransport(Wide(), DensityRatio(Known(), calibration=Isotonic()))


def test_calibrations_mend_scores_and_the_prior(seeded: None) -> None:
    x = torch.randn(40_000)
    real = torch.rand(40_000) < torch.sigmoid(2 * x - 1)
    score = x / 5
    raw = reliability(score, real)
    assert not raw.trusted and "not calibrated" in raw.remarks()[0]
    for calibration in (Platt(), Isotonic()):
        calibration.fit(score[:20_000], real[:20_000])
        found = reliability(calibration(score[20_000:]), real[20_000:])
        assert found.trusted and found.bce < raw.bce - 0.05 and not found.remarks()
    platt = Platt()
    platt.fit(score, real)
    assert abs(platt.scale.item() - 10) < 0.5 and abs(platt.shift.item() + 1) < 0.1
    with_prior = DensityRatio(Known(), prior=math.log(3))
    x = torch.zeros(2, 1)
    assert with_prior(x).allclose(Known()(x) - math.log(3))
    with pytest.raises(GenkitError, match="real samples and of made ones"):
        Platt().fit(score, torch.ones(40_000).bool())


def test_a_ratio_that_was_fitted_to_unequal_numbers_is_judged_and_calibrated_without_them() -> None:
    for calibration in ("", "platt", "isotonic"):
        plain, biased = (
            fitted(Wide(), DensityRatio(Biased(prior), prior=prior), Real(), rng(), calibration, 600)
            for prior in (0.0, math.log(4))
        )
        assert abs(plain.after.z - biased.after.z) < 1e-4 and abs(plain.before.z - biased.before.z) < 1e-4
        assert abs(biased.after.bce - plain.after.bce) < 1e-6 and abs(biased.after.z) < 3


class Biased(Known):
    """The logits of one who saw exp(prior) times as many real samples as made ones."""

    def __init__(self, prior: float):
        super().__init__()
        self.prior = prior

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        return super().forward(x, condition) + self.prior


@pytest.mark.parametrize("n", [20, 50, 200, 2000])
def test_the_true_ratio_is_trusted_however_few_judge_it(n: int) -> None:
    found = []
    for seed in range(100):
        drawn = torch.randn(2 * n, 1, generator=rng(seed))
        real = torch.arange(2 * n) < n
        found.append(reliability(Known()(torch.where(real[:, None], drawn, WIDE * drawn)), real).trusted)
    assert sum(found) >= 90
    told = torch.randn(4000, generator=rng())
    real = torch.rand(4000, generator=rng(1)) < 0.5
    assert not reliability(told, real).trusted, "what says nothing is not"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused_before_they_are_judged(value: float) -> None:
    class Broken(Known):
        def forward(self, x: Tensor, condition: Any = None) -> Tensor:
            return torch.where(x[:, 0] > 0, value, 0.0)

    for calibration in ("", "platt", "isotonic"):
        with pytest.raises(GenkitError, match="of 200 scores are not finite; the critic has diverged"):
            fitted(Wide(), DensityRatio(Broken()), Real(), rng(), calibration, 100)
    told = reliability(torch.full((4,), -math.inf), torch.arange(4) < 2).remarks()[0]
    assert len(told) < 200, "Z is told in a few digits"


@pytest.mark.parametrize("given", [{"rate": 0.2}, {"rate": 0.1}, {"rate": 0.003}])
def test_the_advice_about_a_small_burn_in_can_be_followed(given: dict[str, float]) -> None:
    with pytest.raises(GenkitError, match=r"20 samples of the burn-in are too few, take ([\d,]+) or more") as refused:
        Rejection(Wide(), Known(), samples=20, **given)  # type: ignore[arg-type]
    found = re.search(r"take ([\d,]+)", str(refused.value))
    assert found and Rejection(Wide(), Known(), samples=int(found[1].replace(",", "")), **given)  # type: ignore[arg-type]


def test_the_advice_about_classes_is_of_all_of_them() -> None:
    with pytest.raises(GenkitError, match="1,000 samples of each class are too few, take 100,000 or more"):
        Rejection(Wide(10), Known(), rate=0.001, samples=10_000)
    assert Rejection(Wide(10), Known(), rate=0.001, samples=100_000)


def test_another_rate_is_checked_against_the_burn_in_that_is_kept() -> None:
    before = Rejection(Wide(), DensityRatio(Known()), rate=0.2, samples=40_000)
    found = resampled(before, "rejection", rate=0.0005)
    assert isinstance(found, Rejection) and found.samples == 40_000


def test_samples_that_cannot_be_real_are_judged_and_moved() -> None:
    real = torch.tensor([True, False, True, False])
    found = reliability(torch.tensor([1.0, -math.inf, 0.5, -1.0]), real)
    want = F.softplus(torch.tensor([-1.0, -math.inf, -0.5, -1.0])).mean().item()
    assert found.bce == pytest.approx(want) and math.isfinite(found.error)
    wrong = reliability(torch.tensor([-math.inf, 1.0, 0.5, -1.0]), real)
    assert wrong.bce == math.inf and any("no better than chance" in line for line in wrong.remarks())

    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, 0] < 0, -math.inf, 3 * x[:, 0].double())

    assert LatentTransport(_Plane(), Half(), steps=1).sample(20, rng=rng()).isfinite().all()
    with pytest.raises(GenkitError, match="no two samples could both be real"):
        LatentTransport(_Plane(), _Never()).sample(2)


class _Never(nn.Module):
    """Nothing can be real."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x[:, 0] - math.inf


@pytest.mark.filterwarnings("error")
def test_platts_targets_bound_scores_that_tell_all_apart() -> None:
    """Those of Platt 1999, eq. 12: (n + 1) / (n + 2) and 1 / (n + 2)."""
    real = torch.arange(10) >= 5
    platt = Platt()
    platt.fit(torch.where(real, 1.0, -1.0), real)
    told = platt(torch.where(real, 1.0, -1.0)).sigmoid()
    torch.testing.assert_close(told, torch.where(real, 6 / 7, 1 / 7).double(), rtol=1e-6, atol=1e-6)
    platt.fit(torch.arange(10.0), real)
    assert 1 < platt(torch.tensor([9.0])).item() < 10
    platt.fit(-torch.arange(10.0), real)
    assert -10 < platt(torch.tensor([0.0])).item() < -1, "told apart the other way round"
    platt.fit(torch.ones(10), torch.arange(10) < 2)
    assert platt(torch.tensor([1.0, 5.0])).sigmoid().tolist() == pytest.approx([0.2, 0.2])


def test_a_ratio_that_tells_nothing_is_told_of() -> None:
    real = torch.arange(4000) % 2 == 0
    told = torch.where(real, 0.5, -0.5).double() + torch.randn(4000, generator=rng()).double()
    knows, guesses = reliability(told, real), reliability(0.01 * torch.randn(4000, generator=rng()), real)
    assert guesses.trusted and knows.chance == pytest.approx(math.log(2)) and knows.bce < knows.chance - 2 * knows.error
    assert knows.remarks() == []
    (line,) = guesses.remarks("train it longer")
    assert "no better than chance (cross-entropy 0.693, chance 0.693)" in line and line.endswith("; train it longer")
    few = reliability(torch.full((400,), math.log(1 / 3)), torch.arange(400) % 4 == 0)
    assert few.chance == pytest.approx(few.bce) and "no better than chance" in few.remarks()[0], "one in four is real"


@pytest.mark.parametrize(("mean", "deviation"), [(1e4, 1.0), (1e5, 1.0), (1e3, 0.01), (0.0, 1e-8), (-3e6, 20.0)])
def test_a_fit_does_not_depend_on_the_unit_of_the_scores(mean: float, deviation: float) -> None:
    x = torch.randn(1000, generator=rng()).double()
    real = torch.rand(1000, generator=rng(1)) < x.sigmoid()
    plain, other = Platt(), Platt()
    plain.fit(x, real)
    other.fit(mean + deviation * x, real)
    assert 0.7 < plain.scale < 1.3
    torch.testing.assert_close(other(mean + deviation * x), plain(x), rtol=1e-6, atol=1e-6)
    other.fit(torch.full_like(x, mean), real)
    expected = real.double().mean().logit().expand(1000)
    torch.testing.assert_close(other(torch.full_like(x, mean)), expected, rtol=1e-6, atol=1e-6)


def test_what_cannot_be_real_is_never_kept() -> None:
    logits = torch.tensor([-math.inf, 0.0, 1.0, 2.0, 3.0])
    for shift in (Shift(gamma=-math.inf), Shift(percentile=0.0), Shift(percentile=10.0), Shift(gamma=0.0)):
        found = accept(logits, torch.full((5,), 0.5), shift)
        assert found.log_p[0] == -math.inf and not found.log_p.isnan().any() and not found.kept[0]
        assert not accept(logits, torch.zeros(5), shift).kept[0], "a uniform number may be 0"


@pytest.mark.parametrize(
    ("logits", "uniforms", "eps", "message"),
    [
        (0, 0, 1e-8, "a sample at least"),
        (3, 2, 1e-8, r"got \[3\] and \[2\]"),
        (3, 1, 1e-8, r"got \[3\] and \[1\]"),
        (3, 3, -1e-8, "eps is not negative"),
        (3, 3, math.nan, "eps is not negative"),
    ],
)
def test_wrong_samples_of_one_pass_are_refused(logits: int, uniforms: int, eps: float, message: str) -> None:
    with pytest.raises(GenkitError, match=message):
        accept(torch.zeros(logits), torch.ones(uniforms), eps=eps)


def test_batches_of_none_are_refused() -> None:
    with pytest.raises(GenkitError, match="batch_size is at least 1, got -1"):
        accept(torch.zeros(3), torch.ones(3), batch_size=-1)
    with pytest.raises(GenkitError, match=r"got 2\.5; it is a whole number"):
        accept(torch.zeros(3), torch.ones(3), batch_size=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("logits", "uniforms", "start"), [((2, 0), (2, 0), 2), ((2, 3), (2, 1), 2), ((2, 3), (2, 3), 1)]
)
def test_wrong_samples_of_chains_are_refused(logits: Any, uniforms: Any, start: int) -> None:
    with pytest.raises(GenkitError, match=r"\(C, K\), and those of real samples \(C,\), got"):
        metropolis(torch.zeros(logits), torch.zeros(start), torch.zeros(uniforms))


def test_isotonic_is_kept_with_its_knots(tmp_path: Any, seeded: None) -> None:
    x = torch.randn(500)
    made = Isotonic(clip=1e-6)
    made.fit(x, torch.rand(500) < torch.sigmoid(x))
    again = Isotonic.from_pretrained(made.save_pretrained(tmp_path))
    assert again(x).equal(made(x)) and made(x).isfinite().all()
    assert (made(x.sort().values).diff() >= 0).all()


def test_no_gamma_gives_some_rates() -> None:
    odds = torch.tensor([math.inf, -math.inf, 0.0, 1.0]).double()
    with pytest.raises(GenkitError, match="always kept"):
        Shift(rate=0.2).found(odds)
    assert 0.2 < (odds[2:] - Shift(rate=0.5).found(odds)).sigmoid().mean() < 0.9


class Real:
    """N(0, 1), a row a number."""

    name, sample_shape = "real", (1,)

    def __init__(self) -> None:
        self.x = torch.randn(700, 1, generator=rng(3))

    def __len__(self) -> int:
        return len(self.x)

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        return self.x[index]

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {}


class Score(Known):
    """A critic that is off by a factor."""

    sample_shape, differentiable = (1,), True

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        return 2 * super().forward(x, condition).float()


def found_by(crew: Crew) -> dict[str, Any]:
    """The score of a ratio and its calibration, with the randomness that they leave."""
    wide, left = Wide(), rng()
    scored = Rejection(wide, Known()).reliability(Real(), 600, left, crew)
    fit = fitted(wide, DensityRatio(Score()), Real(), left, "platt", 500, crew)
    numbers = [*scored.values().values(), *fit.real.tolist(), fit.after.bce, torch.rand(1, generator=left).item()]
    return {"numbers": numbers, "drawn": wide.drawn}


def find_together(folder: Path) -> None:
    (folder / os.environ["RANK"]).write_text(json.dumps(found_by(Crew.of_launch())))


def test_processes_share_what_a_ratio_is_scored_and_fitted_on(tmp_path: Path) -> None:
    assert on_processes(2, find_together, tmp_path, tmp_path) == [0, 0]
    one, two = found_by(ALONE), [json.loads((tmp_path / rank).read_text()) for rank in "01"]
    assert [each["numbers"] for each in two] == [one["numbers"]] * 2
    assert sum(each["drawn"] for each in two) == one["drawn"] == 1100
