"""Path length regularisation of a generator with styles. Karras et al. 2020, arXiv:1912.04958, sec. 3.2, Eq. (4)."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.errors import RecipeError
from genkit.core.precision import full
from genkit.core.processes import network_normal, process_count, whole_batch_with_graph
from genkit.core.styled import Styled, joined_w, noise_of
from genkit.gan.slots import Pair, StepInterval, Term, Turn


def path_lengths(image: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """|J^T y| / sqrt(pixels of a map), J = d image / d w: (B,), with a graph.

    Args:
        image: (B, C, H, W), a function of w.
        w: W+ (B, layers, width), with what is joined to it; the square is summed over width and averaged over layers.
        y: N(0, I), shaped like the image.
    """
    along = (image * y).sum() / (image.shape[2] * image.shape[3]) ** 0.5
    (slope,) = torch.autograd.grad(along, w, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()


class PathLength(Term):
    """weight * E (|J^T y| - a)^2, a the moving mean of |J^T y|.

    As in the authors' code the penalty is differentiated through the batch's own part of a as well. Of B samples of
    the step it is measured on every `shrink`th, B // shrink or one of them, made once more. a starts at 0, so that the
    first penalties are large.

    Args:
        weight: 2 in the authors' code.
        every: generator steps from one in which it counts to the next: 4 in all code, 8 in the paper; see `Term`.
        pace: share of the batch's mean in each update of a.
        shrink: 2 in the authors' code: half of a batch is enough.
    """

    name = "path_length"
    of = "generator"
    coupled = True
    differentiates_twice = True
    mean: Tensor

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0)] = 2.0,
        every: StepInterval = 4,
        pace: Annotated[float, Field(gt=0, le=1)] = 0.01,
        shrink: Annotated[int, Field(ge=1, le=64)] = 2,
    ):
        super().__init__(every)
        self.weight, self.pace, self.shrink = weight, pace, shrink
        self.register_buffer("mean", torch.zeros(()))

    def check(self, gan: Pair) -> None:
        network = getattr(gan.generator, "network", None)
        if not isinstance(network, Styled):
            raise RecipeError(
                f"path_length: {type(network).__name__} has no styles to measure paths of; use a stylegan2_generator"
            )

    def forward(self, turn: Turn) -> Tensor:
        generator: Any = turn.gan.generator
        batch = len(tree.leaves(turn.z)[0])
        self._check_share(batch)
        measured = max(1, batch // self.shrink)
        z, y = tree.map(lambda rows: rows[:: self.shrink][:measured], (turn.z, dict(turn.y)))
        w = joined_w(generator, z, y)
        w = w if w.requires_grad else w.requires_grad_()  # where the mapping is frozen
        image = full(generator.network.synthesise(w, noise_of(z)))
        return self.penalty(path_lengths(image, w, network_normal(image, *image.shape[1:])))

    def _check_share(self, rows: int) -> None:
        """Raises RecipeError where the rows measured would depend on the number of processes."""
        if process_count() > 1 and rows % self.shrink:
            raise RecipeError(
                f"path_length.shrink: {rows} rows a process are no multiple of {self.shrink}, so other rows would be "
                f"measured than by one; set train.batch_size to a multiple of {self.shrink * process_count()}"
            )

    def penalty(self, lengths: Tensor) -> Tensor:
        """A scalar of lengths (B,), those of all processes together; a moves on."""
        lengths = whole_batch_with_graph(lengths)
        mean = torch.lerp(self.mean.clone(), lengths.mean(), self.pace)
        self.mean.copy_(mean.detach())
        return self.weight * (lengths - mean).square().mean()
