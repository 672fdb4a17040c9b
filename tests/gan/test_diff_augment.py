"""Effects of the augmentations on pixels and gradients, and their refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.gan.diff_augment import DiffAugment, cut_out, erase, recolour, translate, turn_hue
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty, score_gradient
from genkit.gan.networks.dcgan import DCGANCritic, DCGANGenerator
from tests.gan.game import Linear, linear_game, turn


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """`x` (H, W) shifted, zeros moving in."""
    out, (h, w) = torch.zeros_like(x), x.shape
    for i in range(h):
        for j in range(w):
            if 0 <= i - down < h and 0 <= j - right < w:
                out[i, j] = x[i - down, j - right]
    return out


def test_translation_moves_whole_images_by_up_to_a_fifth() -> None:
    x = torch.rand(200, 2, 8, 6) + 1
    shifts = set()
    for before, after in zip(x, translate(x), strict=True):
        found = [(a, b) for a in range(-3, 4) for b in range(-3, 4) if moved(before[0], a, b).equal(after[0])]
        assert len(found) == 1 and moved(before[1], *found[0]).equal(after[1])
        shifts |= set(found)
    assert shifts == {(a, b) for a in (-2, -1, 0, 1, 2) for b in (-1, 0, 1)}


def test_cutout_takes_boxes_of_half_the_side_from_whole_batches() -> None:
    x = torch.ones(64, 1, 8, 8)
    holes = (cut_out(x, probability=1.0) == 0).flatten(1).sum(1)
    assert holes.max() == 16 and holes.min() >= 4 and len(holes.unique()) > 3
    cut = [bool((cut_out(x) == 0).any()) for _ in range(300)]
    assert 0.2 < sum(cut) / 300 < 0.4
    assert cut_out(x, probability=0.0).equal(x)


def test_colour_keeps_what_it_should() -> None:
    x = torch.randn(500, 3, 4, 4)
    y = recolour(x)
    brightness = (y - x).mean((1, 2, 3))
    assert -0.5 <= brightness.min() < -0.4 and 0.4 < brightness.max() <= 0.5
    grey, chroma = y.mean(1, keepdim=True), x - x.mean(1, keepdim=True)
    factor = (y - grey).flatten(1).norm(dim=1) / chroma.flatten(1).norm(dim=1)
    assert factor.min() >= 0 and 2 < factor.max() <= 3, "saturation 0 to 2 times contrast 0.5 to 1.5"
    spread = (grey - grey.mean((2, 3), keepdim=True)).flatten(1).norm(dim=1)
    old = x.mean(1) - x.mean((1, 2, 3)).view(-1, 1, 1)
    ratio = spread / old.flatten(1).norm(dim=1)
    assert 0.5 <= ratio.min() < 0.55 and 1.45 < ratio.max() <= 1.5


def test_erasing_takes_boxes_of_one_shape_a_batch() -> None:
    x, seen = torch.ones(64, 1, 10, 20), set()
    for _ in range(40):
        gone = (erase(x, probability=1.0) == 0)[:, 0]
        sides = gone.any(2).sum(1).max().item(), gone.any(1).sum(1).max().item()
        assert gone.flatten(1).sum(1).max() == sides[0] * sides[1], "some box of 64 lies inside"
        seen.add(sides)
    heights, widths = {h for h, _ in seen}, {w for _, w in seen}
    assert min(heights) >= 2 and max(heights) <= 7 and min(widths) >= 4 and max(widths) <= 14 and len(seen) > 10
    assert erase(x, probability=0.0).equal(x)


def test_hues_turn_about_the_greys() -> None:
    x = torch.randn(400, 3, 2, 2)
    y = turn_hue(x, probability=1.0)
    torch.testing.assert_close(y.mean(1), x.mean(1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1), atol=1e-5, rtol=1e-5)
    red = torch.zeros(400, 3, 1, 1)
    red[:, 0] = 1
    turned = turn_hue(red, probability=1.0)[:, :, 0, 0] - 1 / 3
    angle = torch.atan2((turned[:, 1] - turned[:, 2]) / 2**0.5, turned[:, 0] * 1.5**0.5)
    assert angle.min() < -3 and angle.max() > 3 and angle.mean().abs() < 0.3
    still = (turn_hue(x) - x).flatten(1).abs().amax(1) < 1e-5
    assert 0.4 < still.float().mean() < 0.6


def test_the_penalty_sees_the_gradient_through_the_augmentation() -> None:
    """Of a linear critic behind a shift it is the weights, shifted back, and shorter where they fell out."""
    w = torch.arange(1.0, 17.0).view(1, 4, 4)
    view = DiffAugment(["translation"], translation=0.25)
    game = GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), Linear(torch.ones(1, 8, 8)), view=view)
    game.critic = Linear(w)
    gradients = score_gradient(game, torch.randn(40, 1, 4, 4), {})
    wanted = [moved(w[0], a, b).flatten() for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert all(any(g.equal(v) for v in wanted) for g in gradients) and len(gradients.unique(dim=0)) > 5
    real = game.judge(torch.randn(40, 1, 4, 4), {})
    torch.manual_seed(1)
    penalty = GradientPenalty(10)(turn(game, real, real, torch.rand(40)))
    torch.manual_seed(1)
    torch.rand(40)
    again = score_gradient(game, real.x, {}).norm(dim=1)
    torch.testing.assert_close(penalty, 10 * (again - 1).square().mean())


def test_real_and_fake_draw_independently_and_the_generator_learns_through_it() -> None:
    game = GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), DCGANCritic(8, 1, 4), view=DiffAugment())
    x = torch.randn(4, 1, 8, 8)
    assert not game.judge(x, {}).score.equal(game.judge(x, {}).score)
    game.rule.loss(game, x, {}, torch.randn(4, 3))["loss"].backward()
    assert all(p.grad is not None for p in game.generator.parameters())


def test_the_order_is_the_list_and_mistakes_are_one_line() -> None:
    x = torch.zeros(8, 1, 8, 8)
    assert (DiffAugment(["color", "cutout"], cutout_probability=1.0)(x) == 0).any()
    assert (DiffAugment(["cutout", "color"], cutout_probability=1.0)(x) != 0).all()
    for policy, message in (
        (["colour"], "did you mean 'color'"),
        ([], "at least one"),
        (["color"] * 2, "at most once"),
    ):
        with pytest.raises(RecipeError, match=message):
            DiffAugment(policy)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="cutout"):
        catalog.build({"type": "diff_augment", "cutout": 1.5})
    with pytest.raises(RecipeError, match="hue turns colours of 3 channels, the generator makes 1"):
        GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), DCGANCritic(8, 1, 4), view=DiffAugment(["hue"]))
    game = linear_game(1.0, 2.0)
    with pytest.raises(RecipeError, match=r"diff_augment changes images, and the generator makes \[2\]"):
        GANTraining(game.generator, game.critic, view=DiffAugment())
