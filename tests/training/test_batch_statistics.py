"""Batch norms of averaged weights: statistics of what those weights see, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.run_contents import contents
from genkit.core.frozen import freeze
from genkit.training import train
from genkit.training.batch_statistics import SAMPLES, measure_statistics, tracked_norms
from genkit.training.recipe import Recipe
from tests.contracts.specs import SYSTEM_CASES, SystemCase, make_trainer
from tests.training.tiny import images

NORMED = {name: case for name, case in SYSTEM_CASES.items() if tracked_norms(make_trainer(case).ema.module)}


def test_every_kind_of_product_with_batch_norms_is_here() -> None:
    kinds = {case.spec["type"] for case in NORMED.values()}
    assert kinds == {
        "gan_training",
        "classifier_training",
        "domain_adaptation",
        "vae_training",
        "attribute_training",
    } | {"directions_training"}


@pytest.mark.parametrize("case", NORMED.values(), ids=NORMED.keys())
def test_statistics_are_of_the_averaged_weights_and_leave_no_trace(case: SystemCase) -> None:
    trainer = make_trainer(case)
    trainer.iterate()
    live = {k: v.clone() for k, v in trainer.system.state_dict().items()}
    position, noise = trainer.stream.position, torch.get_rng_state()
    borrowed = [norm.running_mean.clone() for norm in tracked_norms(trainer.ema.module)]
    product = trainer.averaged()
    own = [norm.running_mean.clone() for norm in tracked_norms(product)]
    assert not all(a.equal(b) for a, b in zip(own, borrowed, strict=True))
    assert all(v.equal(live[k]) for k, v in trainer.system.state_dict().items())
    assert trainer.stream.position == position and torch.get_rng_state().equal(noise)
    assert not any(m.training for m in product.modules())
    measure_statistics(trainer.system, product, trainer.stream)
    assert all(norm.running_mean.equal(mean) for norm, mean in zip(tracked_norms(product), own, strict=True))


def test_a_first_norm_has_mean_and_variance_of_its_input() -> None:
    trainer = make_trainer(SYSTEM_CASES["gan_training-7"])
    product = trainer.ema.module
    seen: list[torch.Tensor] = []
    norm = tracked_norms(product)[0]
    norm.register_forward_hook(lambda m, given, out: seen.append(given[0].clone()))
    trainer.averaged()
    assert sum(map(len, seen)) == SAMPLES
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variances = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)
    assert norm.momentum == nn.BatchNorm2d(1).momentum


def test_they_are_measured_once_an_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, calls = make_trainer(SYSTEM_CASES["gan_training-7"]), []
    monkeypatch.setattr("genkit.training.trainer.measure_statistics", lambda *_: calls.append(1))
    for _ in range(3):
        trainer.averaged()
    trainer.iterate()
    trainer.averaged()
    assert len(calls) == 2


def test_grids_and_checkpoints_on_the_way_change_nothing(tmp_path: Path) -> None:
    def recipe(**every: int) -> Recipe:
        return images(6, norm="batch", every=every)

    train(recipe(grid=0, checkpoint=0), tmp_path / "plain")
    train(recipe(grid=1, checkpoint=2), tmp_path / "looked at")
    plain, looked = (contents(tmp_path / name)["files"] for name in ("plain", "looked at"))
    assert plain == looked
    kept = load_file(sorted((tmp_path / "plain/checkpoints").glob("step-*"))[-1] / "ema.safetensors")
    saved = load_file(tmp_path / "plain/weights/model.safetensors")
    assert kept.keys() == saved.keys() and all(kept[k].equal(saved[k]) for k in kept)


def test_those_of_a_frozen_part_stay() -> None:
    made = nn.Sequential(nn.BatchNorm2d(1), freeze(nn.BatchNorm2d(2)))
    assert tracked_norms(made) == [made[0]]
