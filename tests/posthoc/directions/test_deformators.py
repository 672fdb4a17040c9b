from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.pretrained import Pretrained
from genkit.posthoc.directions.deformators import (
    Deformator,
    FixedDirections,
    LatentCoordinates,
    LinearDeformator,
    MLPDeformator,
    OrthogonalDeformator,
    ProjectiveDeformator,
    UnitColumns,
    laid_out,
)
from tests.posthoc.directions.fixture import CLOSE, read
from tests.shared import SHARED

CASES = (
    [case["name"] for case in read().config["deformators"]]
    if SHARED.joinpath("fixtures", "directions").exists()
    else []
)


def recorded(name: str) -> tuple[Deformator, dict[str, Any]]:
    """The deformator of a case with its weights, and its settings."""
    told = next(case for case in read().config["deformators"] if case["name"] == name)
    kinds: dict[str, Any] = {
        "LINEAR": lambda: LinearDeformator(told["directions"], told["out_dim"], told["bias"]),
        "PROJECTIVE": lambda: ProjectiveDeformator(told["directions"], told["out_dim"], told["bias"]),
        "ORTHO": lambda: OrthogonalDeformator(told["directions"], told["out_dim"]),
        "ID": lambda: LatentCoordinates(told["directions"], told["out_dim"]),
        "RANDOM": lambda: FixedDirections(told["directions"], told["out_dim"]),
        "FC": lambda: MLPDeformator(told["directions"], told["out_dim"], told["inner_dim"]),
    }
    made = kinds[told["type"]]()
    made.load_state_dict(read().parameters(name))
    return made.eval(), told


@pytest.mark.parametrize("dim", [2, 3, 4, 6, 64, 128])
@pytest.mark.parametrize("scale", [0.001, 0.1, 0.2, 0.5, 1.0])
def test_a_rotation_is_exact_in_float32(dim: int, scale: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(dim)
        for _ in range(10):
            made, strengths = OrthogonalDeformator(dim, dim, scale), 6 * torch.eye(dim)
            half = made.log_mat_half.detach().double().requires_grad_()
            expected = 6 * torch.matrix_exp(half - half.T).T
            pull = torch.randn(dim, dim)
            torch.testing.assert_close(made(strengths), expected.float(), rtol=1e-6, atol=2e-6)
            (found,) = torch.autograd.grad((made(strengths) * pull).sum(), made.log_mat_half)
            (wanted,) = torch.autograd.grad((expected * pull).sum(), half)
            torch.testing.assert_close(found, wanted.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("directions", "dim"), [(5, 12), (12, 12), (20, 12)])
def test_random_directions_are_semi_orthogonal(directions: int, dim: int) -> None:
    matrix = FixedDirections(directions, dim).linear
    square = matrix.T @ matrix if directions <= dim else matrix @ matrix.T
    torch.testing.assert_close(square, torch.eye(len(square)), rtol=0, atol=1e-5)


def fitted(shifts: Tensor, told: dict[str, Any]) -> Tensor:
    """As the authors' code lays a shift out: wider ones are cut."""
    shape = told["shift_dim"] if isinstance(told["shift_dim"], list) else [told["shift_dim"]]
    if told["name"].endswith("cut"):
        with pytest.raises(GenkitError, match="shifts have 16 numbers and the latent 12"):
            laid_out(shifts, shape)
        shifts = shifts[:, :12]
    return laid_out(shifts, shape)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_of_the_authors_classes(name: str) -> None:
    (made, told), io = recorded(name), read().of(name)
    for given in ("onehot", "dense"):
        torch.testing.assert_close(fitted(made(io[given]), told), io[f"{given}_out"], **CLOSE)
    if not (parameters := dict(made.named_parameters())):
        return
    out = fitted(made(io["onehot"]), told)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    expected = {key.removeprefix("grad."): value for key, value in io.items() if key.startswith("grad.")}
    assert expected.keys() == (parameters.keys() if name != "fc" else set())
    for key, value in expected.items():
        scale = value.abs().max().clamp_min(1).item()
        torch.testing.assert_close(parameters[key].grad, value, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("name", [case for case in CASES if case.startswith("ortho")])
def test_the_rotation_is_the_exponential(name: str) -> None:
    made, _ = recorded(name)
    assert isinstance(made, OrthogonalDeformator)
    torch.testing.assert_close(made.matrix, read().of(name)["matrix"], **CLOSE)
    torch.testing.assert_close(made.matrix.T @ made.matrix, torch.eye(made.dim), rtol=0, atol=1e-5)


def test_the_network_in_training_mode_and_its_statistics() -> None:
    (made, _), io = recorded("fc"), read().of("fc")
    made.train()
    torch.testing.assert_close(made(io["dense"]), io["dense_out_train"], **CLOSE)
    for i in (1, 2, 3):
        torch.testing.assert_close(made.get_buffer(f"bn{i}.running_mean"), io[f"bn{i}_running_mean_after"], **CLOSE)


def test_projective_without_bias_is_unit_columns_on_single_directions() -> None:
    projective, _ = recorded("proj_k5_nobias")
    unit, io = UnitColumns(5, 12), read().of("proj_k5_nobias")
    unit.load_state_dict(read().parameters("proj_k5_nobias"))
    torch.testing.assert_close(unit(io["onehot"]), io["onehot_out"], **CLOSE)
    assert (unit(io["dense"]) - projective(io["dense"])).abs().max() > 0.1, "the one is linear, the other is not"


def small(name: str) -> Deformator:
    torch.manual_seed(0)
    return {
        "linear": lambda: LinearDeformator(4, 4),
        "unbiased": lambda: LinearDeformator(4, 4, bias=False, start="random"),
        "projective": lambda: ProjectiveDeformator(4, 4, start="random"),
        "unit": lambda: UnitColumns(4, 4),
        "orthogonal": lambda: OrthogonalDeformator(4, 4, scale=1.0),
        "mlp": lambda: MLPDeformator(4, 4, 8),
        "coordinates": lambda: LatentCoordinates(4, 4),
        "fixed": lambda: FixedDirections(4, 4),
    }[name]().eval()


@pytest.mark.parametrize(
    "name", ["linear", "unbiased", "projective", "unit", "orthogonal", "mlp", "coordinates", "fixed"]
)
def test_straight_ones_are_odd_lines_and_others_say_that_they_are_not(name: str) -> None:
    made, strengths = small(name), torch.tensor([-4.0, -1.0, 1.0, 4.0])
    shifts = made.along(2, strengths)
    line = strengths[:, None] * made.along(2, torch.ones(1))
    assert torch.allclose(shifts, line, atol=1e-5) == made.straight
    if made.straight:
        torch.testing.assert_close(shifts[:2], -shifts.flip(0)[:2])
    if name in ("unit", "orthogonal", "coordinates", "fixed"):
        torch.testing.assert_close(shifts.norm(dim=1), strengths.abs())


def test_fixed_directions_are_saved(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = FixedDirections(3, 7)
    torch.testing.assert_close(made.linear.T @ made.linear, torch.eye(3))
    again = Pretrained.from_pretrained(made.save_pretrained(tmp_path))
    assert isinstance(again, FixedDirections) and again.linear.equal(made.linear)
    rows = torch.randn(2, 7)
    assert FixedDirections.of(rows)(torch.eye(2)).equal(rows)
    with pytest.raises(GenkitError, match="none all zero"):
        FixedDirections.of(torch.zeros(2, 7))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: OrthogonalDeformator(13, 12), "a latent of 12 numbers has 12 orthogonal directions, got 13"),
        (lambda: LatentCoordinates(13, 12), "12 coordinates, got 13"),
        (lambda: UnitColumns(13, 12, "coordinates"), "12 coordinates, got 13"),
        (lambda: MLPDeformator(5, 12), "of 12 numbers it has 12"),
    ],
)
def test_more_directions_than_there_are(make: Any, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        make()


def test_an_unknown_number() -> None:
    with pytest.raises(GenkitError, match="no direction 4; there are 4, from 0 to 3"):
        small("unit").along(4, torch.ones(1))


def test_fewer_orthogonal_ones_are_the_first() -> None:
    made = OrthogonalDeformator(3, 8, scale=1.0)
    torch.testing.assert_close(made(torch.eye(3)).T, made.matrix[:, :3])
