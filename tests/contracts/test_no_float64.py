"""Nothing on a device that has no float64 is float64: every generator and every system."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genkit.core import catalog
from genkit.core.generator import Density
from genkit.core.scores_images import ScoresImages
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.training.optimizers import Optimizer
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.no_float64 import without_float64
from tests.contracts.specs import GENERATOR_SPECS, SYSTEM_CASES, Spec, SystemCase, seeded
from tests.contracts.test_generators import ITEMS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("spec", GENERATOR_SPECS.values(), ids=GENERATOR_SPECS.keys())
def test_samples_and_likelihoods(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = seeded(spec).over(ITEMS)
    for part in generator.modules():
        if isinstance(part, DiffusionGenerator) and "steps" not in part.solver.config:
            part.process = part.process.with_settings(kept="2")
    with without_float64(monkeypatch) as device:
        generator.to(device)
        x = generator.sample(3, rng=torch.Generator().manual_seed(0))
        assert x.device == device and x.shape == (3, *generator.sample_shape)
        images = torch.zeros(2, *generator.sample_shape)
        if isinstance(generator, Density):
            generator.log_likelihood(images.to(device), rng=torch.Generator().manual_seed(0))
        if isinstance(generator, ScoresImages):
            generator.image_scores(images.to(device), rng=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("case", SYSTEM_CASES.values(), ids=SYSTEM_CASES.keys())
def test_iterations(case: SystemCase, monkeypatch: pytest.MonkeyPatch) -> None:
    system, data = seeded(case.spec).train(), catalog.build(case.data)
    system.setup(data)
    step = catalog.convert(Optimizer, {"type": "adamax", "lr": 1e-3})
    with without_float64(monkeypatch) as device:
        engine: Any = SimpleNamespace(
            device=device, num_processes=1, process_index=0, mixed_precision="no", scaler=None, autocast=nullcontext
        )
        stream = Stream(data, 8, seed=0, device=device)
        trainer = Trainer(system, stream, dict.fromkeys(system.all_learners(), step), steps=20, accelerator=engine)
        trainer.iterate()
