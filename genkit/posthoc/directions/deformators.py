"""Deformators: from numbered strengths to shifts of a latent. Voynov & Babenko 2020, arXiv:2002.03754, Sec. 3.2."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.precision import wide
from genkit.core.pretrained import Pretrained

HowMany = Annotated[int, Field(ge=1, le=4096)]
FirstMatrix = Literal["coordinates", "random"]


class Deformator(Pretrained, nn.Module, ABC):
    """A: strengths (B, K), mostly one of them not zero, -> shifts (B, dim), both in units of the latent's deviation.

    Args:
        directions: K, how many there are.
        dim: width of the latent.

    Attributes:
        straight: whether direction k is a line through zero: A(e 1_k) = e A(1_k). Others depend on the strength.
    """

    straight = True

    def __init__(self, directions: HowMany, dim: HowMany):
        super().__init__()
        self.directions, self.dim = directions, dim

    @abstractmethod
    def forward(self, strengths: Tensor) -> Tensor:
        """(B, directions) -> (B, dim), with a graph."""

    def along(self, number: int, strengths: Tensor) -> Tensor:
        """Shifts (n, dim) of one direction at strengths (n,); none at strength 0.

        Raises:
            GenkitError: there is no direction of this number.
        """
        check_number(number, self.directions)
        shifts = self(one_hot(torch.full_like(strengths, number, dtype=torch.int64), strengths, self.directions))
        return torch.where((strengths != 0)[:, None], shifts, 0)


class LinearDeformator(Deformator):
    """A(x) = W x + b. The length of a column is free, so that its reconstructor can be pleased by longer shifts.

    Args:
        directions: K; more than dim are allowed.
        dim: width of the latent.
        bias: whether there is b, as in the authors' code: directions are no lines through zero then.
        start: W of "coordinates", zeros elsewhere, or "random", 0.1 N(0, 1).
    """

    def __init__(self, directions: HowMany, dim: HowMany, bias: bool = True, start: FirstMatrix = "coordinates"):
        super().__init__(directions, dim)
        self.linear = nn.Linear(directions, dim, bias=bias)
        self.straight = not bias
        with torch.no_grad():
            self.linear.weight.copy_(started(directions, dim, start))

    def forward(self, strengths: Tensor) -> Tensor:
        shifts: Tensor = self.linear(strengths)
        return shifts


class ProjectiveDeformator(LinearDeformator):
    """A(x) = (W x + b) |x| / |W x + b|: the "unit columns" of the paper, as its authors compute them, sample by sample.

    With b the direction depends on the strength, and A(-x) is not -A(x). `UnitColumns` is without these faults.
    """

    def forward(self, strengths: Tensor) -> Tensor:
        shifts = super().forward(strengths)
        return shifts * (strengths.norm(dim=1, keepdim=True) / shifts.norm(dim=1, keepdim=True))


class UnitColumns(Deformator):
    """A(x) = W x with columns of length one: every direction is a line, and A(-x) = -A(x). The one to begin with.

    On strengths of one direction it is `ProjectiveDeformator` without b.

    Args:
        directions: K; more than dim are allowed.
        dim: width of the latent.
        start: as of `LinearDeformator`, before columns are normalised.
    """

    def __init__(self, directions: HowMany, dim: HowMany, start: FirstMatrix = "random"):
        super().__init__(directions, dim)
        if start == "coordinates" and directions > dim:
            raise RecipeError(f"directions: a latent of {dim} numbers has {dim} coordinates, got {directions}")
        self.linear = nn.Linear(directions, dim, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(started(directions, dim, start))

    def forward(self, strengths: Tensor) -> Tensor:
        return strengths @ nn.functional.normalize(self.linear.weight, dim=0).T


class OrthogonalDeformator(Deformator):
    """A(x) = exp(L - L^T) x: a rotation, so that directions stay orthogonal and of length one.

    The authors' is square; of fewer directions than numbers of the latent these are its first columns here.

    Args:
        directions: at most dim.
        dim: width of the latent.
        scale: L starts as scale N(0, 1): 0.001 is near the coordinates, 1 the authors' random start.

    Raises:
        RecipeError: more directions than there are orthogonal ones.
    """

    def __init__(self, directions: HowMany, dim: HowMany, scale: Annotated[float, Field(ge=0, le=10)] = 0.001):
        super().__init__(directions, dim)
        check_orthogonal(directions, dim)
        self.log_mat_half = nn.Parameter(scale * torch.randn(dim, dim))

    @property
    def matrix(self) -> Tensor:
        """exp(L - L^T), (dim, dim); in float64, since torch's of small float32 matrices is right to 3e-4 only."""
        return torch.matrix_exp(wide(self.log_mat_half - self.log_mat_half.T)).to(self.log_mat_half)

    def forward(self, strengths: Tensor) -> Tensor:
        return strengths @ self.matrix[:, : self.directions].T


class MLPDeformator(Deformator):
    """A(x) = x + a residual network of four layers: directions become curves, the same from every latent.

    Batch norms couple the strengths of a batch in training.

    Args:
        directions: as many as the latent has numbers.
        dim: width of the latent.
        width: of its hidden layers.

    Raises:
        RecipeError: another number of directions.
    """

    straight = False

    def __init__(self, directions: HowMany, dim: HowMany, width: HowMany = 1024):
        super().__init__(directions, dim)
        if directions != dim:
            raise RecipeError(f"directions: an mlp_deformator adds to its input, so of {dim} numbers it has {dim}")
        self.fc1, self.fc2, self.fc3 = nn.Linear(dim, width), nn.Linear(width, width), nn.Linear(width, width)
        self.fc4 = nn.Linear(width, dim)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm1d(width) for _ in range(3))

    def forward(self, strengths: Tensor) -> Tensor:
        h1 = self.fc1(strengths)
        h2 = self.fc2(nn.functional.elu(self.bn1(h1)))
        h3 = self.fc3(nn.functional.elu(self.bn2(h2 + h1)))
        shifts: Tensor = self.fc4(nn.functional.elu(self.bn3(h3 + h2 + h1))) + strengths
        return shifts


class LatentCoordinates(Deformator):
    """A(x) = x, with zeros where there are fewer directions: the coordinates of the latent. A baseline, not trained.

    Raises:
        RecipeError: more directions than coordinates.
    """

    def __init__(self, directions: HowMany, dim: HowMany):
        super().__init__(directions, dim)
        if directions > dim:
            raise RecipeError(f"directions: a latent of {dim} numbers has {dim} coordinates, got {directions}")

    def forward(self, strengths: Tensor) -> Tensor:
        return nn.functional.pad(strengths, (0, self.dim - self.directions))


class FixedDirections(Deformator):
    """A(x) = M x of a matrix that is not trained: a random one, or the directions that a closed form has found.

    A random M is semi-orthogonal: its columns are orthogonal and of length one where the latent has so many, else its
    rows are. M is a buffer, so that it is saved and moved with the rest; in the authors' code it is neither.

    Args:
        directions: K; more than dim are allowed.
        dim: width of the latent.
    """

    linear: Tensor

    def __init__(self, directions: HowMany, dim: HowMany):
        super().__init__(directions, dim)
        self.register_buffer("linear", nn.init.orthogonal_(torch.empty(dim, directions)))

    @classmethod
    def of(cls, rows: Tensor) -> FixedDirections:
        """The directions (K, dim) that are given.

        Raises:
            GenkitError: they are no such matrix, or one of them is zero or not finite.
        """
        if rows.dim() != 2 or not rows.isfinite().all() or not rows.any(1).all():
            raise GenkitError(f"directions are (K, dim) finite numbers, none all zero, got {list(rows.shape)}")
        found = cls(*rows.shape)
        found.linear.copy_(rows.T)
        return found

    def forward(self, strengths: Tensor) -> Tensor:
        return strengths @ self.linear.T


def started(directions: int, dim: int, start: FirstMatrix) -> Tensor:
    """W (dim, directions) before training."""
    return torch.eye(dim, directions) if start == "coordinates" else 0.1 * torch.randn(dim, directions)


def one_hot(target: Tensor, strengths: Tensor, directions: int) -> Tensor:
    """Strengths (n,) at the numbers `target` (n,), zeros elsewhere: (n, directions)."""
    return nn.functional.one_hot(target, directions).to(strengths.dtype) * strengths[:, None]


def laid_out(shifts: Tensor, shape: Sequence[int]) -> Tensor:
    """Shifts (B, n) as the latent lies, (B, *shape); zeros where the latent has more numbers.

    The authors' code cuts wider shifts without a word.

    Raises:
        GenkitError: shifts are wider than the latent.
    """
    numbers = torch.Size(shape).numel()
    if shifts.shape[1] > numbers:
        raise GenkitError(
            f"shifts have {shifts.shape[1]} numbers and the latent {numbers}; make the deformator's dim that"
        )
    return nn.functional.pad(shifts, (0, numbers - shifts.shape[1])).view(-1, *shape)


def check_orthogonal(directions: int, dim: int) -> None:
    """Raises RecipeError where a latent has no so many orthogonal directions."""
    if directions > dim:
        raise RecipeError(
            f"directions: a latent of {dim} numbers has {dim} orthogonal directions, got {directions}; ask for fewer, "
            "or take learned ones (unit_columns)"
        )


def check_number(number: int, directions: int) -> None:
    """Raises GenkitError where there is no direction of this number."""
    if not 0 <= number < directions:
        raise GenkitError(f"no direction {number}; there are {directions}, from 0 to {directions - 1}")
