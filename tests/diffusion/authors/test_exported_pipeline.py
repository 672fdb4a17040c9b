"""The pipeline class that exported folders bring along: labels, guidance, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from genkit.core.randomness import Rows
from genkit.diffusion.authors import exported_pipeline
from genkit.diffusion.authors.diffusers_chain import chain_of
from genkit.diffusion.authors.exported_pipeline import LabelledPatchPipeline
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.solvers import Ancestral
from tests.diffusion.authors.pipelines import ddpm


def made(**network: Any) -> tuple[DDPM, LabelledPatchPipeline]:
    network = {"size": 16, "patch": 2, "classes": 3, "unlabelled": True, **network}
    generator = ddpm(Ancestral("5"), network=network, steps=20, variance="learned_range")
    ours: Any = generator.network
    none = ours.classes if ours.unlabelled else None
    scheduler = chain_of(generator).scheduler
    return generator, LabelledPatchPipeline(ours.unet, scheduler, patch=2, steps=5, no_label=none)


def images(pipeline: LabelledPatchPipeline, n: int = 2, **asked: Any) -> torch.Tensor:
    streams = Rows(n, torch.Generator().manual_seed(0)).streams
    found: torch.Tensor = pipeline(generator=streams, output_type="pt", **asked).images
    return 2 * found - 1


@pytest.mark.parametrize("scale", [0, 1, 2.5])
def test_guidance_without_a_classifier_is_genkits(scale: float) -> None:
    generator, pipeline = made()
    guided = ClassifierFreeGuided(generator, scale)
    condition = {"label": [0, 2]} if scale else None
    ours = guided.sample(2, condition=condition, rng=torch.Generator().manual_seed(0))
    theirs = images(pipeline, labels=[0, 2], guidance_scale=scale)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=5e-4)


def test_no_label_is_scale_zero_and_labels_matter() -> None:
    _, pipeline = made()
    without = images(pipeline, batch_size=2)
    assert torch.equal(without, images(pipeline, batch_size=2, labels=1, guidance_scale=0))
    assert (without - images(pipeline, labels=[1, 1])).abs().max() > 0.01


def test_steps_and_the_scheduler_can_be_exchanged() -> None:
    _, pipeline = made()
    asked: list[int] = []
    pipeline.unet.register_forward_hook(lambda *_: asked.append(1))
    assert images(pipeline, labels=[0, 1], num_inference_steps=4).isfinite().all() and len(asked) == 4
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    assert images(pipeline, labels=[0, 1]).isfinite().all() and len(asked) == 9


def test_kinds_of_output() -> None:
    _, pipeline = made()
    (pil,) = pipeline(labels=1, return_dict=False)
    assert pil[0].size == (16, 16) and pil[0].mode == "L"
    assert pipeline(labels=[1, 2], output_type="np").images.shape == (2, 16, 16, 1)
    assert pipeline(batch_size=3, output_type="pt").images.shape == (3, 1, 16, 16)


@pytest.mark.parametrize(
    ("network", "asked", "said"),
    [
        ({}, {"labels": [0, 4]}, "2 labels from 0 to 3 are needed"),
        ({}, {"labels": [0], "batch_size": 2}, "2 labels"),
        ({"unlabelled": False}, {}, "needs labels"),
        ({"unlabelled": False}, {"labels": [1], "guidance_scale": 2}, "trained with labels alone"),
        ({"classes": 0, "unlabelled": False}, {"labels": [1]}, "takes no labels"),
        ({"classes": 0, "unlabelled": False}, {"guidance_scale": 2}, "trained without labels"),
    ],
)
def test_what_it_refuses(network: dict[str, Any], asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(**network)[1](**asked)


def test_its_file_needs_no_genkit() -> None:
    assert "import genkit" not in (text := Path(exported_pipeline.__file__).read_text()) and "from genkit" not in text
