from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.processes import my_rows, whole_batch
from genkit.core.system import Batch, Learning, mixing_layer
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.mlp import MLPCritic, MLPGenerator


def game(classes: int = 0) -> GANTraining:
    return GANTraining(GAN(MLPGenerator(3, 2, 4, 1, classes)), MLPCritic(2, 4, 1, classes))


def test_data_must_have_the_shape_and_classes_that_the_generator_makes() -> None:
    space = ConditionSpace({"label": Labels(3)})
    game().check_data((2,), ConditionSpace())
    game().check_data((2,), space)
    game(3).check_data((2,), space)
    with pytest.raises(RecipeError, match=r"data: samples are \[3\], but the generator makes \[2\]"):
        game().check_data((3,), space)
    with pytest.raises(RecipeError, match="takes 4 classes of 'label', but the data have 3"):
        game(4).check_data((2,), space)
    with pytest.raises(RecipeError, match="takes 3 classes of 'label', but the data have 0"):
        game(3).check_data((2,), ConditionSpace())


def test_learners_are_found_at_any_depth_with_their_modules() -> None:
    class Inner(Learning):
        learners = {"small": ("a", "b.0")}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1))

    class Outer(Learning):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.ModuleList([nn.Sequential(Inner())])

    outer = Outer()
    inner = outer.inside[0][0]
    assert outer.all_learners() == {"small": [inner.a, inner.b[0]]}


def test_one_process_is_the_whole_batch_without_a_graph() -> None:
    values = torch.randn(3, requires_grad=True)
    assert whole_batch(values).equal(values) and not whole_batch(values).requires_grad
    assert my_rows(values) is values


def test_a_batch_is_as_long_as_its_rows() -> None:
    assert len(Batch(torch.zeros(3, 2), {}, torch.arange(3))) == 3


def test_batch_norm_mixes_samples_and_group_norm_does_not() -> None:
    assert mixing_layer(nn.Sequential(nn.BatchNorm2d(2))) == "batch norm" and not mixing_layer(nn.GroupNorm(1, 2))
    assert not mixing_layer(nn.BatchNorm2d(2).eval())


class Centred(nn.Module):
    """Takes off the mean over the batch."""

    mixes_samples = True


class Sometimes(nn.Module):
    @property
    def mixes_samples(self) -> bool:
        return self.training


def test_a_layer_of_ones_own_says_that_it_mixes_samples() -> None:
    assert mixing_layer(nn.Identity(), nn.Sequential(nn.ReLU(), Centred())) == "Centred"
    assert mixing_layer(Sometimes()) == "Sometimes" and not mixing_layer(Sometimes().eval())
