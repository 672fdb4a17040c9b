"""Parts of the sampling contract that no generator of the catalog shows; the rest is in tests/contracts."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event, Thread

import pytest
import torch
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import ConditionError, GenkitError
from genkit.core.evaluating import evaluating
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.randomness import Randomness, Rows
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator


class Echo(Generator):
    """Says its label, in double precision."""

    sample_shape = (1,)
    conditions = ConditionSpace({"label": Labels(4)})

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def _sample(self, condition: dict[str, Tensor], rows: Rows) -> Tensor:
        self.batches.append(len(rows))
        return condition["label"].double()[:, None]


def test_samples_are_float32_and_labels_go_to_their_rows() -> None:
    x = torch.cat(list(Echo().stream(5, 2, condition={"label": [3, 1, 0, 2, 1]})))
    assert x.flatten().tolist() == [3, 1, 0, 2, 1] and x.dtype == torch.float32


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 9]])
def test_stream_refuses_wrong_conditions_before_the_first_batch(labels: list[int]) -> None:
    echo = Echo()
    with pytest.raises(ConditionError):
        next(echo.stream(5, 2, condition={"label": labels}))
    assert echo.batches == []


def test_a_generator_without_tensors_is_on_the_cpu() -> None:
    assert Echo().device == torch.device("cpu")


class Split(LatentGenerator):
    """Its latent is a tree; its samples are all the numbers of one side by side."""

    sample_shape = (3,)

    def latents(self, randomness: Randomness) -> dict:
        return {"z": randomness.normal(1), "noise": (randomness.uniform(2),)}

    def forward(self, z: dict, condition: object = None) -> Tensor:
        return torch.cat([z["z"], z["noise"][0]], dim=1)


class PriorAlone(Split):
    latents = LatentGenerator.latents

    def prior(self, n: int, rng: torch.Generator | None = None) -> dict:
        return {"z": torch.randn(n, 1, generator=rng), "noise": (torch.rand(n, 2, generator=rng),)}


@pytest.mark.parametrize("kind", [Split, PriorAlone])
def test_latents_that_are_trees_are_drawn_leaf_by_leaf(kind: type[Split]) -> None:
    """Each row from its own stream, so that a sample does not depend on its batch."""
    rng = torch.Generator().manual_seed
    whole, rows = kind().sample(5, rng=rng(0)), Rows(5, rng(0))
    assert whole.equal(torch.cat([rows.normal(1), rows.uniform(2)], dim=1))
    assert torch.cat(list(kind().stream(5, 2, rng=rng(0)))).equal(whole)
    drawn = kind().prior(4, rng(1))
    assert drawn["z"].shape == (4, 1) and drawn["noise"][0].shape == (4, 2)
    assert drawn["noise"][0].min() >= 0


def test_modes_come_back_after_an_error() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)).train()
    module[1].eval()
    with pytest.raises(RuntimeError), evaluating(module):
        assert not any(m.training for m in module.modules())
        raise RuntimeError
    assert module.training and module[0].training and not module[1].training


def test_the_last_of_several_threads_gives_the_mode_back() -> None:
    module, part = nn.Sequential(nn.Linear(1, 1)).train(), Event()
    with ExitStack() as first:
        first.enter_context(evaluating(module))

        def second() -> None:
            with evaluating(module[0]):
                part.set()
                over.wait()

        over, thread = Event(), Thread(target=second)
        thread.start()
        part.wait()
        first.close()
        assert module.training and not module[0].training, "the other thread is still at it"
        over.set()
        thread.join()
    assert module.training and module[0].training


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_precision_are_one_line(dtype: torch.dtype) -> None:
    gan = GAN(MLPGenerator(3, 2, 8, 1)).to(dtype)
    with pytest.raises(GenkitError, match=rf"a GAN of {dtype} weights cannot sample, for noise is float32"):
        gan.sample(2)
    assert gan.float().sample(2).shape == (2, 2)
