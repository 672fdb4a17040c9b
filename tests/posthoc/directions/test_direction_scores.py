from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import EvaluationError, GenkitError
from genkit.posthoc.directions import direction_scores
from genkit.posthoc.directions.closed_form import closed_form, ganspace_of, sefa_of, style_weights
from genkit.posthoc.directions.deformators import FixedDirections
from genkit.posthoc.directions.direction_scores import rival, score, spearman, uniqueness
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.reconstructors import LeNetReconstructor, ResNet18Reconstructor
from genkit.posthoc.directions.spaces import space_of
from genkit.posthoc.directions.telling import reconstructor_for, told_apart
from tests.contracts.specs import DCGAN_G, STYLEGAN2_G, seeded
from tests.posthoc.directions.renderer import FACTORS, renderer
from tests.posthoc.directions.test_spaces import GAN, LABELLED, STYLED, made


def test_correlation_of_ranks() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert spearman(x, x**3) == pytest.approx(1) and spearman(x, -x.exp()) == pytest.approx(-1)
    assert spearman(x, torch.ones(4)) == 0
    scipy = pytest.importorskip("scipy.stats")
    a, b = torch.randint(5, (50,)).double(), torch.randint(5, (50,)).double()
    assert spearman(a, b) == pytest.approx(scipy.spearmanr(a, b).statistic)


def test_uniqueness_is_what_lies_outside_the_others() -> None:
    rows = torch.tensor([[3.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    torch.testing.assert_close(uniqueness(rows), torch.tensor([0.5, 0.5, 1.0, 0.0]).double(), atol=1e-6, rtol=0)
    assert uniqueness(torch.stack([rows[0], 2 * rows[0], rows[1]])).tolist()[:2] == pytest.approx([0, 0], abs=1e-6)


def test_true_factors_are_known_for_what_they_are() -> None:
    generator, factors = renderer()
    found = Directions(generator, FixedDirections.of(torch.cat([factors, -factors[2:3]])))
    scored = score(found, steps=0, seeds=6, reach=2.0)
    down, across, size, light, again = scored.each
    assert (down.strongest, across.strongest, light.strongest) == (*FACTORS[:2], "brightness")
    assert min(down.moves["down"], across.moves["across"], size.moves["area"], light.moves["brightness"]) > 0.85
    assert light.moves["area"] == 0 and abs(light.moves["down"]) < 0.5, "a drift that nobody sees does not count"
    assert again.moves["area"] == pytest.approx(-size.moves["area"], abs=0.05)
    assert down.uniqueness > 0.9 and light.uniqueness > 0.3, "a larger box and a lighter one are alike in part"
    assert max(size.uniqueness, again.uniqueness) < 0.1
    assert not scored.accuracy and down.accuracy is None


def test_directions_that_do_nothing_are_told_by_chance() -> None:
    generator, factors = renderer()
    null = torch.linalg.svd(factors).Vh[4:]
    seen, unseen = (told_apart(Directions(generator, FixedDirections.of(rows)), 60) for rows in (factors, null))
    assert unseen.accuracy == pytest.approx(0.25, abs=0.06)
    assert seen.accuracy > 0.6 and len(seen.each) == 4 and seen.error < unseen.error
    assert seen == told_apart(Directions(generator, FixedDirections.of(factors)), 60), "a function of the seed"


def test_every_one_of_many_directions_is_tried() -> None:
    generator, factors = renderer()
    many = Directions(generator, FixedDirections.of(factors.repeat(100, 1)))
    assert all(0 <= share <= 1 for share in told_apart(many, 1).each)


def test_baselines_are_scored_alike() -> None:
    generator, factors = renderer()
    found = Directions(generator, FixedDirections.of(factors))
    found.unit.fill_(1.5)
    scored = score(found, steps=2, seeds=2)
    assert set(scored.accuracy) == {"own", "random", "coordinate"} and scored.each[0].accuracy is not None
    many = Directions(generator, FixedDirections(9, 8))
    assert set(score(many, steps=2, seeds=2).accuracy) == {"own", "random"}, "eight coordinates are no nine directions"
    other = rival(found, "coordinate")
    assert other.unit == 1.5 and other.rows().equal(torch.eye(8)[:4])
    assert set(scored.to_json()) == {"accuracy", "settings", "directions"}


def test_few_pictures_at_a_time_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, factors = renderer()
    found = Directions(generator, FixedDirections.of(factors))
    whole = score(found, steps=0, seeds=5)
    monkeypatch.setattr(direction_scores, "LOOKED_AT", 2 * 9 * 32 * 32)
    for one, other in zip(whole.each, score(found, steps=0, seeds=5).each, strict=True):
        assert one.moves == pytest.approx(other.moves) and one.effect == pytest.approx(other.effect)
        assert one.uniqueness == pytest.approx(other.uniqueness)


def test_random_directions_are_compared_to_others() -> None:
    generator, _ = renderer()
    deformator = closed_form("random", space_of(generator), 3, seed=4)
    found = Directions(generator, deformator)
    rows = {name: them.rows() for name, them in direction_scores._rivals(found, 4, lambda: None)}
    assert (rows["own"] - rows["random"]).abs().max() > 0.1


class Bright(nn.Module):
    classes, class_names, sample_shape = 2, ("dark", "light"), (1, 32, 32)

    def forward(self, x: Tensor) -> Tensor:
        light = 8 * (x.mean((1, 2, 3)) + 0.75)
        return torch.stack([-light, light], 1)


def test_a_classifier_is_a_property_too() -> None:
    generator, factors = renderer()
    found = Directions(generator, FixedDirections.of(factors[3:]))
    scored = score(found, steps=0, seeds=3, reach=2.0, classifier=Bright())
    assert scored.each[0].moves["P(light)"] == pytest.approx(-scored.each[0].moves["P(dark)"])
    assert scored.each[0].moves["P(light)"] > 0.9
    wrong = Bright()
    wrong.sample_shape = (3, 32, 32)
    with pytest.raises(EvaluationError, match=r"takes images of \[3, 32, 32\]"):
        score(found, steps=0, seeds=1, classifier=wrong)


def test_reconstructors_by_the_size_of_images() -> None:
    assert isinstance(reconstructor_for((1, 28, 28), 3), LeNetReconstructor)
    assert isinstance(reconstructor_for((3, 1024, 1024), 3), ResNet18Reconstructor)


def test_sefa_of_the_first_layer_and_of_styles() -> None:
    generator = made({"type": "gan", "network": {**DCGAN_G, "classes": 10}})
    weight = generator.network.stem.weight[:, :3].double()  # type: ignore[union-attr, index]
    found = sefa_of(space_of(generator), 3)
    rows = torch.nn.functional.normalize(weight, dim=1)
    expected = torch.linalg.eigh(rows.T @ rows)
    torch.testing.assert_close(found.strengths, expected.eigenvalues.flip(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        (found.rows @ expected.eigenvectors.flip(1)).abs(), torch.eye(3).double(), rtol=0, atol=1e-4
    )
    for spec in (STYLED, LABELLED):
        styled = made(spec)
        network, space = styled.network, space_of(styled, "w.1-2")
        affine = style_weights(space)  # type: ignore[arg-type]
        w = torch.randn(2, 4)
        layers = ["b8.conv0", "b8.conv1"]
        styles = network.styles(w)  # type: ignore[operator]
        moved = torch.cat([styles[name][1] - styles[name][0] for name in layers])
        torch.testing.assert_close(affine @ (w[1] - w[0]), moved, rtol=1e-4, atol=1e-5)
        names = ["b4.conv1", *layers, "b8.torgb"]
        whole = torch.cat([styles[name][1] - styles[name][0] for name in names])
        torch.testing.assert_close(style_weights(space_of(styled, "w")) @ (w[1] - w[0]), whole, rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


def test_ganspace_of_w_and_of_z() -> None:
    generator = made(STYLED)
    found = ganspace_of(space_of(generator, "w"), 3)
    w = generator.network.mapping(torch.randn(20_000, 3, generator=torch.Generator().manual_seed(8)))  # type: ignore[operator]
    assert (found.strengths.diff() <= 0).all()
    torch.testing.assert_close((w @ found.rows.T.float()).std(0), found.strengths.float(), rtol=0.05, atol=0)
    of_z = ganspace_of(space_of(made(GAN)), 2)
    weight = made(GAN).network.stem.weight.double()  # type: ignore[union-attr]
    gains = (weight @ of_z.rows.T).norm(dim=0)
    assert gains[0] > gains[1] and gains[0] > weight.norm() / 3**0.5


def test_what_has_no_closed_form() -> None:
    with pytest.raises(GenkitError, match="a latent of 3 numbers has 3 orthogonal directions, got 4"):
        closed_form("coordinate", space_of(made(GAN)), 4)
    with pytest.raises(
        GenkitError, match=r"SeFa is of the affine maps of a latent, in z or w; the style b8\.conv1 has none"
    ):
        closed_form("sefa", space_of(made(STYLED), "b8.conv1"), 2)
    with pytest.raises(GenkitError, match="gives its latent z to no affine layer first"):
        closed_form("sefa", space_of(seeded({"type": "gan", "network": STYLEGAN2_G})), 2)
