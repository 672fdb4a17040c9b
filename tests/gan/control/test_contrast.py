"""Pairs, distances and the contrastive loss, against outputs of the authors' code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.gan.control.contrast import (
    contrastive_loss,
    distances,
    equal_rows,
    gram,
    mean_colour,
    paired,
    pairs_of,
    sharing,
)
from genkit.gan.control.split_mapping import slices_of
from tests.gan.control.fixture import CLOSE, Fixture, read, rows_of, split_of

TERMS = {
    "embedding_loss": "squared",
    "dog_id_loss": "squared",
    "expression_loss": "mean_absolute",
    "orientation_loss": "mean_absolute",
    "age_loss": "mean_absolute",
    "recon_gamma_loss": "mean_absolute",
    "classification_loss": "mean_absolute",
    "style_loss": "gram",
    "hair_loss": "colour",
}


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return read()


@pytest.mark.parametrize(("z", "groups"), [("z", "sub_groups_dict"), ("z512", "sub_groups_dict_16")])
def test_the_recorded_pairs(recorded: Fixture, z: str, groups: str) -> None:
    places = recorded.config[groups]
    made = paired(recorded.io[f"in.{z}"], slices_of(split_of(places)), rows_of(places))
    assert made.equal(recorded.io[f"out.pairs.{z}"])


def same_of(recorded: Fixture, group: str) -> Tensor:
    """Of each pair of the sixteen recorded rows, whether it shares the group's slice."""
    at = slices_of(split_of(recorded.config["sub_groups_dict_16"]))[group]
    return sharing(recorded.io["out.pairs.z512"][:, at])


@pytest.mark.parametrize("name", TERMS)
def test_the_recorded_terms(recorded: Fixture, name: str) -> None:
    term, io = recorded.config["contrast_terms"][name], recorded.io
    given = io[f"in.emb.{name}"].clone().requires_grad_()
    features = mean_colour(given[:, :3], given[:, 3:]) if name == "hair_loss" else given
    d = distances(features, TERMS[name])  # type: ignore[arg-type]
    table = io[f"out.contrast.{name}.dist"][..., None]
    torch.testing.assert_close(d, table[tuple(torch.tril_indices(16, 16, -1))][:, 0], **CLOSE)
    same = same_of(recorded, term["group"])
    loss = term["weight"] * contrastive_loss(d, same, term["tau_plus"], term["tau_minus"])
    torch.testing.assert_close(loss, io[f"out.contrast.{name}.loss"], **CLOSE)
    (slope,) = torch.autograd.grad(loss, given)
    torch.testing.assert_close(slope, io[f"out.contrast.{name}.grad"], **CLOSE)


def test_the_recorded_term_with_intermediate_layers(recorded: Fixture) -> None:
    """The first layer pulls at the pairs of the other groups: consecutive rows among all that are not of the group."""
    told, io = recorded.config["contrast_terms"]["with_intermediate"], recorded.io
    rows = torch.arange(16)
    others = rows[rows_of(recorded.config["sub_groups_dict_16"])["id"] :]
    i, j = torch.tril_indices(16, 16, -1)
    of_others = (j >= others[0]) & (i == j + 1) & ((j - others[0]) % 2 == 0)
    same = same_of(recorded, "id")
    taus = list(zip(told["lower_thres"], told["upper_thres"], strict=True))
    loss = told["last_layer_weight"] * contrastive_loss(
        distances(io["in.emb.embedding_loss"], "squared"), same, told["last_lower_thres"], told["last_upper_thres"]
    )
    for k, (weight, focus, tau) in enumerate(
        zip(told["intermediate_layers_weights"], told["focus_on_list"], taus, strict=False)
    ):
        shared = of_others if focus.startswith("not") else same
        loss = loss + weight * contrastive_loss(
            distances(io[f"in.emb.intermediate.{k}"], "mean_absolute"), shared, *tau
        )
    torch.testing.assert_close(loss, io["out.contrast.with_intermediate.loss"], **CLOSE)


def test_every_pair_shares_exactly_its_groups_slice() -> None:
    slices, rows = slices_of({"a": 2, "b": 3, "c": 1}), {"b": 4, "a": 2}
    z = torch.randn(8, 6)
    made = paired(z, slices, rows)
    for name, at in slices.items():
        i, j = pairs_of(torch.arange(8))
        found = {(int(b), int(a)) for a, b, same in zip(i, j, sharing(made[:, at]), strict=True) if same}
        assert found == {"b": {(0, 1), (2, 3)}, "a": {(4, 5)}, "c": set()}[name]
    assert made[[0, 2, 4, 6, 7]].equal(z[[0, 2, 4, 6, 7]])


@pytest.mark.parametrize(("batch", "rows"), [(12, [4, 4, 4]), (14, [6, 4, 4]), (7, [2, 2, 2]), (5, [2, 2, 0])])
def test_a_batch_is_divided_equally(batch: int, rows: list[int]) -> None:
    assert list(equal_rows(batch, ["a", "b", "c"]).values()) == rows


def test_hinges_rest_where_images_are_alike_and_apart_enough() -> None:
    d, same = torch.tensor([0.1, 0.3, 0.9, 2.0]), torch.tensor([True, True, False, False])
    assert contrastive_loss(d, same, 0.2, 1.0).item() == pytest.approx((0.0 + 0.1) / 2 + (0.1 + 0.0) / 2)
    none = torch.zeros(4, dtype=torch.bool)
    assert contrastive_loss(d, none, 0.2, 1.0).item() == pytest.approx((0.9 + 0.7 + 0.1) / 4), "no pair, no pull"


def test_colours_of_next_to_nothing_are_at_no_distance() -> None:
    x, mask = torch.ones(3, 3, 20, 20), torch.zeros(3, 1, 20, 20)
    mask[0], mask[1, 0, :2], mask[2, 0, 0, :3] = 1, 1, 1
    x[1] = -1
    features = mean_colour(x * mask, mask)
    torch.testing.assert_close(features[:, 0], torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(distances(features, "colour"), torch.tensor([1.0, 0.0, 0.0]))


def test_texture_does_not_know_where() -> None:
    maps = torch.randn(2, 3, 4, 4)
    found = gram(maps)
    torch.testing.assert_close(found[0, 1, 2], (maps[0, 1] * maps[0, 2]).sum() / 48)
    torch.testing.assert_close(gram(maps.flip(3)), found)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"agee": 2}, "group agee has no slice; did you mean 'age'"),
        ({"age": 3}, "group age has pairs of rows, an even number, got 3"),
        ({"age": -2}, "an even number, got -2"),
        ({"age": 4, "hair": 2}, "6 rows are asked for, of 5"),
    ],
)
def test_rows_that_are_no_pairs_are_refused(rows: dict[str, int], message: str) -> None:
    with pytest.raises(GenkitError, match=message):
        paired(torch.zeros(5, 4), {"age": slice(0, 2), "hair": slice(2, 4)}, rows)


def test_a_small_soft_mask_is_divided_by_its_sum() -> None:
    x, mask = torch.zeros(2, 3, 6, 6), torch.zeros(2, 1, 6, 6)
    x[0, :, 0, 0], mask[0, 0, 0, 0] = 0.25, 0.5
    found = mean_colour(x, mask)
    assert found[0, :3].tolist() == [0.75] * 3 and found[1].tolist() == [0.5] * 3 + [0.0]
