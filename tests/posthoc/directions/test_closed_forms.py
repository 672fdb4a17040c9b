"""SeFa and GANSpace."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError
from genkit.posthoc.directions.closed_form import closed_form
from genkit.posthoc.directions.deformators import FixedDirections
from genkit.posthoc.directions.edited import Edited
from genkit.posthoc.directions.ganspace import ganspace, ganspace_z
from genkit.posthoc.directions.sefa import sefa, signed
from genkit.posthoc.directions.spaces import measured, space_of
from tests.contracts.specs import DCGAN_G, STYLEGAN2_G, seeded
from tests.posthoc.directions.fixture import read
from tests.training.tiny import on_processes

EXACT = {"rtol": 0.0, "atol": 1e-9}


def same_rows(rows: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(rows, signed(expected), **EXACT)
    assert (rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all()


def test_sefa_of_normalised_rows_and_others() -> None:
    io = read().of("sefa")
    for suffix, normalised in (("", True), ("_unnormalised", False)):
        found = sefa(io["weight"], normalised=normalised)
        same_rows(found.rows, io[f"directions{suffix}"])
        torch.testing.assert_close(found.strengths, io[f"eigenvalues{suffix}"], **EXACT)
    assert sefa(io["weight"], 3).rows.equal(sefa(io["weight"]).rows[:3])


def test_the_first_directions_of_sefa_move_most() -> None:
    a = torch.randn(40, 6, dtype=torch.float64)
    found = sefa(a, normalised=False)
    moved = (a @ found.rows.T).square().sum(0)
    torch.testing.assert_close(moved, found.strengths)
    assert (moved.diff() < 0).all()


def test_ganspace_of_w() -> None:
    io = read().of("ganspace")
    found = ganspace(io["w"])
    same_rows(found.rows, io["components"])
    torch.testing.assert_close(found.strengths, io["stdev"], **EXACT)
    torch.testing.assert_close(found.mean, io["mean"], **EXACT)


def test_ganspace_of_activations() -> None:
    io = read().of("ganspace_z")
    same_rows(ganspace(io["act"], 4).rows, io["act_components"])
    found, expected = ganspace_z(io["z"], io["act"], 4), io["z_directions"]
    torch.testing.assert_close(found.rows, expected * (found.rows * expected).sum(1, keepdim=True).sign(), **EXACT)


@pytest.mark.parametrize("method", ["sefa", "ganspace"])
def test_an_edit_changes_no_direction(method: str) -> None:
    generator = seeded({"type": "gan", "network": DCGAN_G})
    rows = closed_form(method, space_of(generator, "z"), 2)(torch.eye(2))
    edited = Edited(generator, FixedDirections.of(torch.eye(generator.network.latent_dim)[:1]), 1.5)
    torch.testing.assert_close(closed_form(method, space_of(edited, "z"), 2)(torch.eye(2)), rows)


def searched(crew: Crew) -> dict[str, Any]:
    """Directions of w by each method and its unit, with the latents that were mapped to w and the decompositions."""
    generator = seeded({"type": "gan", "network": STYLEGAN2_G}).eval()
    space, mapped = space_of(generator, "w"), list[int]()
    to_w = generator.network.to_w

    def counted(latents: Any, condition: Any = None) -> Tensor:
        mapped.append(len(latents["z"]))
        return to_w(latents, condition)

    with (
        patch.object(generator.network, "to_w", counted),
        patch("torch.linalg.svd", wraps=torch.linalg.svd) as svd,
        patch("torch.linalg.eigh", wraps=torch.linalg.eigh) as eigh,
    ):
        rows = [closed_form(method, space, 3, 1, crew)(torch.eye(3)).tolist() for method in ("sefa", "ganspace")]
        unit = measured(space, 1000, 1, crew).unit.item()
    return {"rows": rows, "unit": unit, "mapped": sum(mapped), "solved": [svd.call_count, eigh.call_count]}


def search_together(folder: Path) -> None:
    (folder / os.environ["RANK"]).write_text(json.dumps(searched(Crew.of_launch())))


def test_processes_share_the_latents_and_one_of_them_decomposes(tmp_path: Path) -> None:
    assert on_processes(2, search_together, tmp_path, tmp_path) == [0, 0]
    one, two = searched(ALONE), [json.loads((tmp_path / rank).read_text()) for rank in "01"]
    assert all(each["rows"] == one["rows"] and each["unit"] == one["unit"] for each in two)
    assert one["mapped"] == 11_001 and sum(each["mapped"] for each in two) == 11_002, "SeFa looks at one, in each"
    assert max(each["mapped"] for each in two) < 6000
    assert [each["solved"] for each in two] == [[1, 1], [0, 0]]


def test_components_that_do_not_vary_give_no_direction() -> None:
    z, flat = torch.randn(100, 3), torch.cat([torch.randn(100, 2), torch.zeros(100, 2)], 1)
    assert ganspace_z(z, flat).rows.shape == (2, 3)
    with pytest.raises(GenkitError, match="the activations vary along 2 components, got 3"):
        ganspace_z(z, flat, 3)


def test_what_has_no_components_is_refused() -> None:
    with pytest.raises(GenkitError, match="1 latents of 3 numbers span 0, got 1"):
        ganspace(torch.randn(1, 3))
    with pytest.raises(GenkitError, match="5 latents of 3 numbers span 3, got 4"):
        ganspace(torch.randn(5, 3), 4)
    with pytest.raises(GenkitError, match="1 of the 12 numbers looked at are not finite"):
        ganspace(torch.randn(4, 3).put_(torch.tensor([4]), torch.tensor([torch.nan])))
    with pytest.raises(GenkitError, match="12 of the 12 weights of the affine map are not finite"):
        sefa(torch.full((4, 3), torch.inf))
    with pytest.raises(GenkitError, match="a latent of 3 numbers has 3 orthogonal directions, got 4"):
        sefa(torch.randn(4, 3), 4)
