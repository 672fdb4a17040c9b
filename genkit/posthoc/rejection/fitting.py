"""A ratio that is calibrated and judged on real samples which it was not trained on, and samplers that use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.catalog import convert
from genkit.core.condition import Condition
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator, Items, LatentGenerator
from genkit.posthoc.rejection.calibration import Calibrator, Isotonic, Platt, Reliability, reliability
from genkit.posthoc.rejection.density_ratio import DensityRatio
from genkit.posthoc.rejection.latent_samplers import LatentLangevin, LatentTransport, Steps
from genkit.posthoc.rejection.metropolis_hastings import Length, MetropolisHastings
from genkit.posthoc.rejection.rejection import Rejection, Samples
from genkit.posthoc.rejection.sampler import RatioSampler

SAMPLED, FEWEST_JUDGES = 10_000, 4
"""Real samples that a ratio is judged on at most, where nothing else is said, and at least."""
USEFUL = {
    "rejection": ("rate", "percentile", "gamma", "samples"),
    "mh": ("steps",),
    "ddls": ("steps", "step_size"),
    "dot": ("steps", "step_size"),
}
"""Sampler -> the settings of `sampler_over` that it takes."""
CALIBRATIONS: dict[str, type[Calibrator]] = {"platt": Platt, "isotonic": Isotonic}


@dataclass(frozen=True)
class Fitted:
    """A ratio and what is known of it.

    Attributes:
        ratio: ready for use.
        real: its logits of held-out real samples, which nothing was fitted to.
        before, after: how far the critic's scores, and the ratio, can be trusted on held-out samples.
    """

    ratio: DensityRatio
    real: Tensor
    before: Reliability
    after: Reliability

    def to_json(self) -> dict[str, Any]:
        return {"before": asdict(self.before), "after": asdict(self.after), "trusted": self.after.trusted}


def fitted(
    generator: Generator,
    ratio: DensityRatio,
    items: Items,
    rng: torch.Generator,
    calibration: str = "",
    n: int = SAMPLED,
    crew: Crew = ALONE,
    former: DensityRatio | None = None,
) -> Fitted:
    """Calibrates `ratio` on one half of held-out real samples and fresh ones, and judges it on the other.

    Args:
        items: real samples that the critic was not trained on; up to n of them are used.
        calibration: "platt", "isotonic", or "" for none.
        crew: processes that share the samples and find the same; each of them calls this.
        former: the ratio before it learned, whose scores `before` is of in place of those of `ratio`.

    Raises:
        GenkitError: fewer than four real samples, or scores that are not finite.
    """
    check_judges(items, n)
    read = [ratio.scores, former.eval().scores] if former else [ratio.scores]

    def scores(x: Tensor, condition: Condition) -> Tensor:
        return torch.stack([of(x, condition) for of in read], 1)

    real, made = Rejection(generator, ratio).compared(items, n, rng, scores, crew)
    if wrong := int((~torch.cat([real, made]).isfinite()).any(1).sum()):
        raise GenkitError(f"{wrong} of {2 * len(real)} scores are not finite; the critic has diverged: train it anew")
    half = len(real) // 2 if calibration else 0
    both, is_real = torch.cat([real[half:], made[half:]]), torch.arange(2 * (len(real) - half)) < len(real) - half
    score, before = both[:, 0], reliability(both[:, -1] - (former or ratio).prior, is_real)
    if calibration:  # to as many real samples as made ones, whatever the critic learned from
        ratio = DensityRatio(ratio.critic, ratio.head, CALIBRATIONS[calibration]()).to(generator.device)
        assert ratio.calibration is not None
        ratio.calibration.fit(torch.cat([real[:half, 0], made[:half, 0]]), torch.arange(2 * half) < half)
    with torch.no_grad():
        logits = ratio.of_scores(score.to(generator.device)).cpu()
    return Fitted(ratio, logits[is_real], before, reliability(logits, is_real))


def check_judges(items: Items, n: int = SAMPLED) -> None:
    """Raises GenkitError for fewer real samples than a ratio is judged on."""
    if min(n, len(items)) < FEWEST_JUDGES:
        raise GenkitError(
            f"{items.name}: a ratio is judged on at least {FEWEST_JUDGES} real samples, got {min(n, len(items))}"
        )


def sampler_over(
    generator: Generator,
    ratio: nn.Module,
    kind: str,
    *,
    rate: float | None = None,
    percentile: float | None = None,
    gamma: float | None = None,
    samples: int | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    starts: Tensor | None = None,
    options: Mapping[str, str] | None = None,
) -> RatioSampler:
    """A sampler by name: rejection, mh, ddls or dot.

    Args:
        rate, percentile, gamma, samples: of "rejection".
        steps: of the others: length of a chain, or moves of a latent.
        step_size: of those moves: eta of "ddls", the rate of "dot".
        starts: log ratios of real samples, where chains of "mh" begin.
        options: what a command calls those of the settings that it has, for messages.

    Raises:
        GenkitError: an argument that the sampler has no use for or that is out of range, or a generator that it cannot
            move.
    """
    given = {"rate": rate, "percentile": percentile, "gamma": gamma, "samples": samples}
    given |= {"steps": steps, "step_size": step_size}
    options = options or {name: name for name in given}
    _check_useful(kind, given, options)
    if kind == "rejection":
        if samples is not None:
            convert(Samples, samples, where=options["samples"])
        return Rejection(generator, ratio, rate, percentile, gamma, **_said({"samples": samples})).to(generator.device)
    if steps is not None:
        convert(Length if kind == "mh" else Steps, steps, where=options["steps"])
    if kind == "mh":
        chains = MetropolisHastings(generator, ratio, **_said({"length": steps}))
        if starts is not None:
            chains.start_from(starts)
        return chains.to(generator.device)
    latent: LatentGenerator = generator  # type: ignore[assignment]
    moves, size = (LatentLangevin, "eta") if kind == "ddls" else (LatentTransport, "rate")
    return moves(latent, ratio, **_said({"steps": steps, size: step_size})).to(generator.device)


def resampled(
    sampler: RatioSampler,
    kind: str,
    *,
    rate: float | None = None,
    steps: int | None = None,
    options: Mapping[str, str] | None = None,
) -> RatioSampler:
    """Another sampler over the ratio of `sampler`; one of its kind keeps the settings that are not given.

    Args:
        kind, rate, steps, options, and errors: as of `sampler_over`.
    """
    starts = sampler.starts if isinstance(sampler, MetropolisHastings) and len(sampler.starts) else None
    if kind != sampler.kind:
        given: Any = {"rate": rate, "steps": steps, "options": options}
        return sampler_over(sampler.generator, sampler.ratio, kind, **given)
    _check_useful(kind, {"rate": rate, "steps": steps}, options or {"rate": "rate", "steps": "steps"})
    own = {name: value for name, value in sampler.config.items() if name not in ("type", "generator", "ratio")}
    own |= {"rate": rate, "percentile": None, "gamma": None} if rate is not None else {}
    own |= {"length" if kind == "mh" else "steps": steps} if steps is not None else {}
    made: RatioSampler = type(sampler)(sampler.generator, sampler.ratio, **own)
    if starts is not None and isinstance(made, MetropolisHastings):
        made.start_from(starts)
    return made.to(sampler.device)


def _check_useful(kind: str, given: Mapping[str, Any], options: Mapping[str, str]) -> None:
    """Raises GenkitError for a setting that the sampler has no use for."""
    useful = USEFUL[kind]
    for name, value in given.items():
        if value is not None and name not in useful:
            takes = ", ".join(options[other] for other in useful if other in options)
            raise GenkitError(f"{options[name]} is not for the sampler {kind}, which takes {takes}")


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
