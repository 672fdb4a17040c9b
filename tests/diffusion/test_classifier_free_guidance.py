from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.core.errors import ConditionError, GenkitError, RecipeError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.classifier_guidance import ClassifierGuided
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.multistep import DPMSolver
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral, Denoising
from tests.contracts.specs import DDPM as DDPM_SPEC
from tests.contracts.specs import seeded
from tests.diffusion.test_classifier_guidance import guide
from tests.diffusion.toys import Toy

CLASSES = 3


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ddpm(variance: bool = True, **network: Any) -> DDPM:
    process = Process(100, schedule="linear", variance="learned_range" if variance else "fixed_small")
    toy = Toy(**{"classes": CLASSES, "unlabelled": True, "variance": variance, **network})
    return DDPM(toy, process, Ancestral("5"))


@pytest.mark.parametrize("variance", [False, True])
@pytest.mark.parametrize("scale", [0.5, 2.0, 7.5])
def test_the_guided_answer_against_two_calls(scale: float, variance: bool) -> None:
    model = ddpm(variance)
    guided = ClassifierFreeGuided(model, scale)
    torch.manual_seed(0)
    x, timestep, label = torch.randn(4, 1, 4, 4), torch.tensor([3.0, 50, 99, 0]), torch.tensor([0, 1, 2, 0])
    got = guided.output(x, timestep, label)
    with_label, without = model.output(x, timestep, label), model.output(x, timestep, torch.full((4,), CLASSES))
    torch.testing.assert_close(got[:, :1], (1 - scale) * without[:, :1] + scale * with_label[:, :1])
    assert got[:, 1:].equal(with_label[:, 1:]), "a learned variance is the labelled one's"
    assert got.shape == (4, 1 + variance, 4, 4) and not got.allclose(with_label)


@pytest.mark.parametrize(("scale", "rows"), [(0.0, 3), (1.0, 3), (0.5, 6), (2.0, 6)])
def test_both_ends_cost_one_evaluation_and_all_else_one_of_twice_the_batch(scale: float, rows: int) -> None:
    guided = ClassifierFreeGuided(ddpm(), scale)
    guided.sample(3, rng=rng())
    assert guided.generator.network.rows == [rows] * 5
    guided.generator.network.rows.clear()
    guided.solver = DPMSolver(4)
    guided.sample(3, rng=rng())
    assert guided.generator.network.rows == [rows] * 4


def test_scale_one_is_the_labelled_model() -> None:
    model = ddpm()
    wanted = {"label": [0, 2]}
    got = ClassifierFreeGuided(model, 1.0).sample(2, condition=wanted, rng=rng())
    assert got.equal(model.sample(2, condition=wanted, rng=rng()))
    near = ClassifierFreeGuided(model, 1 + 1e-6).sample(2, condition=wanted, rng=rng())
    torch.testing.assert_close(near, got, rtol=0, atol=1e-3)


def test_scale_zero_is_the_model_without_a_label() -> None:
    model = ddpm()
    guided = ClassifierFreeGuided(model, 0.0)
    assert not guided.conditions
    with pytest.raises(ConditionError, match="takes no condition 'label'"):
        guided.sample(2, condition={"label": 1})
    none = torch.full((2,), CLASSES)
    denoising = Denoising(model.process, lambda x_t, timestep: model.output(x_t, timestep, none))
    with torch.no_grad():
        want = model.solver.run(denoising, Rows(2, rng()), (1, 4, 4)).clamp(-1, 1)
    assert guided.sample(2, rng=rng()).equal(want)
    end, near = (ClassifierFreeGuided(ddpm(variance=False), scale) for scale in (0.0, 1e-6))
    same = near.sample(2, condition={"label": 0}, rng=rng())
    torch.testing.assert_close(same, end.sample(2, rng=rng()), rtol=0, atol=1e-3)


def test_a_higher_scale_leads_further_from_no_label() -> None:
    """Label 0 adds less noise than no label does, so that its images are brighter."""
    means = [
        ClassifierFreeGuided(ddpm(False), s).sample(16, condition={"label": 0} if s else None, rng=rng()).mean().item()
        for s in (0.0, 0.5, 1.0, 2.0)
    ]
    assert means == sorted(means) and means[-1] - means[0] > 0.2, means


def test_a_model_without_label_dropout_is_refused_in_one_line() -> None:
    unlabelled = (ddpm(unlabelled=False), ddpm(classes=0, unlabelled=False), ClassifierFreeGuided(ddpm()))
    for model in unlabelled:
        with pytest.raises(GenkitError, match=r"needs a model trained with label_dropout .* take a noisy") as refusal:
            ClassifierFreeGuided(model)
        assert "\n" not in str(refusal.value)


def test_labels_and_their_faults() -> None:
    guided = ClassifierFreeGuided(ddpm(), 2.0)
    for wrong in (CLASSES, -1):
        with pytest.raises(ConditionError, match="takes 0 to 2"):
            guided.sample(2, condition={"label": wrong})
    with pytest.raises(RecipeError, match="ddim400"):
        guided.solver = DDIM("ddim400")
        guided.sample(2)


def test_guided_by_label_and_by_classifier() -> None:
    """The shift of the classifier comes on top."""
    model = ddpm(False, classes=2)
    free = ClassifierFreeGuided(model, 2.0)
    both = ClassifierGuided(free, guide(), 5.0)
    for label, sign in ((0, -1), (1, 1)):
        wanted = {"label": label}
        alone = free.sample(8, condition=wanted, rng=rng()).mean()
        assert sign * (both.sample(8, condition=wanted, rng=rng()).mean() - alone) > 1e-2


def test_save_and_load(tmp_path: Path) -> None:
    guided = ClassifierFreeGuided(seeded(DDPM_SPEC), 3.0)
    guided.solver = DDIM("ddim5", eta=0.5)
    again = Generator.from_pretrained(guided.save_pretrained(tmp_path))
    assert isinstance(again, ClassifierFreeGuided) and again.scale == 3 and again.config == guided.config
    assert vars(again.solver) == vars(guided.solver)
    assert again.sample(2, rng=rng()).equal(guided.eval().sample(2, rng=rng()))
