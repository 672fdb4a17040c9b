from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.frozen import freeze
from genkit.posthoc.directions.deformators import OrthogonalDeformator, one_hot
from genkit.posthoc.directions.own_generator import OwnGenerator
from genkit.posthoc.directions.reconstructors import LeNetReconstructor
from genkit.posthoc.directions.training import DirectionsTraining
from tests.contracts.specs import DCGAN_G, SYSTEM_CASES, finished, make_trainer, seeded
from tests.posthoc.directions.fixture import read


class Tanh(nn.Linear):
    """The generator of the record."""

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 8, generator=rng)

    def generate(self, latents: Tensor, condition: object = None) -> Tensor:
        return self(latents).tanh().view(-1, 1, 32, 32)


def test_the_loss_of_the_record() -> None:
    """As in test_reconstructors, through the system; strength in units of 1."""
    told, io = next(c for c in read().config["training"] if c["name"] == "train_ortho"), read().of("train_ortho")
    weights = {k: read().parameters(f"train_ortho.{k}") for k in ("deformator", "reconstructor", "G")}
    network = Tanh(8, 1024)
    network.load_state_dict(weights["G"])
    system = DirectionsTraining(freeze(OwnGenerator(network)), OrthogonalDeformator(8, 8), LeNetReconstructor(8))
    system.directions.deformator.load_state_dict(weights["deformator"])
    system.reconstructor.load_state_dict(weights["reconstructor"])
    z, target, eps = (io[f"step0.{key}"] for key in ("z", "target", "eps"))
    terms = system.loss(z, {}, target, eps, one_hot(target, eps, 8))
    assert [terms[k].item() for k in ("direction", "strength")] == pytest.approx(told["losses"][0][:2], abs=1e-5)
    system.directions.unit.fill_(2.0)
    halved = system.loss(z, {}, target, eps, one_hot(target, eps / 2, 8))
    torch.testing.assert_close(halved["direction"], terms["direction"])


@pytest.mark.parametrize("name", ["directions_training-0", "directions_training-1"])
def test_gradients_reach_the_deformator_and_the_generator_stays(name: str) -> None:
    trainer = make_trainer(SYSTEM_CASES[name])
    system: Any = trainer.system
    before = [p.clone() for p in system.directions.generator.parameters()]
    first = system.directions.rows()
    scalars = trainer.iterate()
    assert not torch.equal(first, system.directions.rows())
    assert all(a.equal(b) for a, b in zip(before, system.directions.generator.parameters(), strict=True))
    assert {"directions/direction", "directions/strength", "directions/accuracy"} <= set(scalars)


def test_both_images_of_a_pair_are_of_one_class() -> None:
    spec = {**SYSTEM_CASES["directions_training-0"].spec}
    spec["generator"] = finished({"type": "gan", "network": {**DCGAN_G, "classes": 10}})
    system: Any = seeded(spec)
    seen = list[Tensor]()
    forward = system.directions.generator.forward
    system.directions.generator.forward = lambda z, condition: (seen.append(condition["label"]), forward(z, condition))[
        1
    ]
    case = SYSTEM_CASES["directions_training-0"]
    trainer = make_trainer(case)
    update = next(system.iteration(trainer.stream, 0))
    update.loss(**update.on)
    assert len(seen) == 2 and seen[0].equal(seen[1]) and len(seen[0].unique()) > 1


def test_parts_that_do_not_fit() -> None:
    spec = SYSTEM_CASES["directions_training-0"].spec
    for change, told in (
        ({"generator": {"type": "gan", "network": DCGAN_G}}, "directions are learned of a finished generator"),
        ({"reconstructor": {**spec["reconstructor"], "directions": 3}}, "3, but the deformator has 2"),
        ({"reconstructor": {**spec["reconstructor"], "channels": 3}}, r"takes images \[3, 8, 8\], and the generator"),
    ):
        with pytest.raises(RecipeError, match=told):
            seeded({**spec, **change})


def test_a_baseline_without_parameters_trains_its_reconstructor_alone() -> None:
    case = SYSTEM_CASES["directions_training-0"]
    spec = {**case.spec, "deformator": {"type": "fixed_directions", "directions": 2, "dim": 3}}
    trainer = make_trainer(type(case)(spec, case.data, case.order))
    system: Any = trainer.system
    rows, head = system.directions.rows(), system.reconstructor.fc_logits[0].weight.clone()
    trainer.iterate()
    assert system.directions.rows().equal(rows) and not system.reconstructor.fc_logits[0].weight.equal(head)


def test_the_unit_is_measured_or_said() -> None:
    case = SYSTEM_CASES["directions_training-1"]
    assert make_trainer(case).system.directions.unit == 1.0  # type: ignore[union-attr]
    spec = {k: v for k, v in case.spec.items() if k != "unit"}
    system: Any = make_trainer(type(case)(spec, case.data, case.order)).system
    assert system.directions.unit != 1.0
