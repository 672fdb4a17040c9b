"""Interchange: every system through the same commands, every sampler over every generator that has what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from benchmarks.small_recipes import few_statistics
from genkit.cli.main import main
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.pretrained import Pretrained
from genkit.core.table import CATALOG
from genkit.data.digits import digits
from genkit.posthoc.directions.deformators import FixedDirections
from genkit.posthoc.directions.edited import Edited
from genkit.posthoc.directions.spaces import space_of
from genkit.posthoc.rejection.latent_samplers import LatentLangevin, LatentTransport
from genkit.posthoc.rejection.metropolis_hastings import MetropolisHastings
from genkit.posthoc.rejection.rejection import Rejection
from tests.contracts.short_loops import shorten
from tests.contracts.specs import GENERATORS, SYSTEMS, SystemCase, seeded

STEPS = 3
SCORED = {
    "attribute_training": "attributes",
    "classifier_training": "accuracy",
    "domain_adaptation": "accuracy",
    "noisy_classifier_training": "accuracy",
}
"""System whose product is no generator -> the way to score it; all others are compared with their data."""

NOT_SCORED = {"directions_training": "genkit directions scores them beside others, see tests/cli/test_directions.py"}


def write(case: SystemCase, path: Path) -> Path:
    adam = {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}
    recipe = {
        "name": "tiny",
        "data": case.data,
        "system": case.spec,
        "optimizers": dict.fromkeys(sorted(set(case.order)), adam),
        "train": {"steps": STEPS, "batch_size": 8, "threads": 1, "trackers": []},
        "every": {"log": 1, "grid": 0, "checkpoint": 1},
    }
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def weights_of(run: Path) -> dict[str, Tensor]:
    return Pretrained.from_pretrained(run).state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOG["systems"])
def test_every_system_trains_resumes_samples_and_is_scored_by_the_same_commands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few_statistics(monkeypatch.setattr)
    case = SYSTEMS[name][0]
    recipe = write(case, tmp_path / "tiny.yaml")
    assert main(["train", str(recipe), "--out", "straight"]) == 0
    assert main(["train", str(recipe), "train.steps=1", "--out", "run"]) == 0
    assert main(["train", str(recipe), "--out", "run", "--resume"]) == 0
    product, straight = weights_of(tmp_path / "run"), weights_of(tmp_path / "straight")
    assert product.keys() == straight.keys() and all(product[key].equal(straight[key]) for key in product)

    loaded = Pretrained.from_pretrained(tmp_path / "run")
    again = Pretrained.from_pretrained(loaded.save_pretrained(tmp_path / "again"))
    assert type(again) is type(loaded)
    if isinstance(loaded, Generator):
        assert main(["sample", "run", "-n", "4", "--out", "samples"]) == 0
        assert len(list((tmp_path / "samples").iterdir())) >= 1
        x, y = (made.sample(2, rng=torch.Generator().manual_seed(3)) for made in (loaded, again))
        assert x.equal(y)
    if name not in NOT_SCORED:
        extractor = [] if name in SCORED or len(loaded.sample_shape) == 1 else ["--extractor", "mnist-classifier"]
        against = json.dumps(case.data.get("source", case.data))
        words = ["evaluate", "run", "--against", against, "--metrics", SCORED.get(name, "fd,pr"), "-n", "20"]
        assert main([*words, *extractor, "--json", "scores.json"]) == 0
        assert json.loads((tmp_path / "scores.json").read_text())


class Brightness(nn.Module):
    """A ratio of anything: the mean of a sample."""

    def forward(self, x: Tensor, condition: Any = None) -> Tensor:
        return x.double().flatten(1).mean(1)


def moved(generator: Generator) -> Edited:
    """Along a random direction of its latents, the first of several."""
    for name in ("z", "z.0", "z.z"):
        try:
            space = space_of(generator, name)
        except GenkitError as reason:
            last = reason
        else:
            return Edited(generator, FixedDirections(1, space.dim), 1.0, space=name)
    raise last


SAMPLERS: dict[str, Callable[[Any], Generator]] = {
    "rejection": lambda generator: Rejection(generator, Brightness(), rate=0.6, samples=20),
    "metropolis_hastings": lambda generator: MetropolisHastings(generator, Brightness(), length=2),
    "latent_langevin": lambda generator: LatentLangevin(generator, Brightness(), steps=1),
    "latent_transport": lambda generator: LatentTransport(generator, Brightness(), steps=1),
    "edited": moved,
}
"""Sampler -> itself around a generator; `test_the_samplers_are_all_here` holds the list."""

OTHERS = {
    "cascade": "joins a base and an upsampler",
    "classifier_guided": "of a diffusion model and a classifier of its noisy images",
    "classifier_free_guided": "of a diffusion model that was trained with label dropout",
    "ddim_latents": "of a diffusion model",
    "truncated": "of a network with a w",
    "controlled": "of a split latent, with encoders",
}
"""Generators around another one that take one family alone; the contracts hold each with what it is made for."""

ITEMS = digits("test", 8)


def has_what_it_needs(sampler: str, generator: Generator) -> bool:
    if sampler in ("rejection", "metropolis_hastings"):
        return True
    return isinstance(generator, LatentGenerator) and (sampler == "edited" or generator.standard_normal)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", GENERATORS)
def test_every_sampler_goes_over_every_generator_that_has_what_it_needs(name: str, sampler: str) -> None:
    generator = seeded(GENERATORS[name][0])
    shorten(generator)
    if not has_what_it_needs(sampler, generator):
        with pytest.raises(GenkitError, match="latent"):
            SAMPLERS[sampler](generator)
        return
    around = SAMPLERS[sampler](generator).over(ITEMS)
    first, second = (around.sample(2, rng=torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.shape == (2, *generator.sample_shape) and first.isfinite().all()
    assert first.equal(second), "a function of the seed"


def test_the_samplers_are_all_here() -> None:
    around = {name for name, specs in GENERATORS.items() if "generator" in specs[0] or "base" in specs[0]}
    assert around == SAMPLERS.keys() | OTHERS.keys()
