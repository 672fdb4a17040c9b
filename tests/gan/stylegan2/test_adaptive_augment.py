from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.gan.stylegan2.adaptive_augment import AdaptiveAugment
from genkit.training.checkpoint import load_checkpoint
from genkit.training.saving import save_checkpoint
from tests.contracts.specs import gan_case, make_trainer
from tests.contracts.test_systems import run


def test_p_follows_the_signs_of_real_scores_of_several_steps() -> None:
    view = AdaptiveAugment(target=0.6, images=1000, every=2)
    at = []
    for score in (3.0, 1.0, 2.0, 2.0, -1.0, 0.5, -1.0, -1.0):
        view.adapt(view.observe(torch.full((50,), score)))
        at.append(round(view.p.item(), 6))
    assert at == [0.0, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.0], "r_t of 1, 1, 0 and -1, each of two steps"
    view.adapt(view.observe(-torch.ones(50)))
    view.adapt(view.observe(-torch.ones(50)))
    assert view.p.item() == 0


def test_within_a_game_p_moves_after_critic_steps_and_a_resume_goes_on(tmp_path: Path) -> None:
    view = {"type": "adaptive_augment", "images": 40, "target": -1, "every": 3}
    case = gan_case((), images=True, critic_steps=2, view=view)
    straight, first, second = make_trainer(case), make_trainer(case), make_trainer(case, seed=5)
    second.stream.seed = 0
    want = run(straight, 5)
    assert straight.system.view.signs[1:].tolist() == [8, 1], "images and critic steps since the third move"
    assert want[0]["critic/augment_p"] == 0 < want[4]["critic/augment_p"] and "critic/real_sign" in want[0]
    before = run(first, 2)
    load_checkpoint(second, save_checkpoint(first, tmp_path))
    assert before + run(second, 3) == want


def test_the_critic_sees_changed_images_and_a_gradient_comes_back() -> None:
    torch.manual_seed(0)
    for channels in (1, 3):
        view, x = AdaptiveAugment(p=1.0), torch.randn(4, channels, 8, 8, requires_grad=True)
        seen = view(x)
        assert seen.shape == x.shape and (seen - x).abs().amax((1, 2, 3)).min() > 0.1
        seen.square().sum().backward()
        assert x.grad.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.parametrize("kinds", [["blit"], ["geom"], ["color"], ["blit", "geom"]])
def test_each_kind_alone(kinds: list[str]) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 8, 8)
    assert (AdaptiveAugment(kinds, p=1.0)(x) - x).abs().max() > 0.1
    torch.testing.assert_close(AdaptiveAugment(kinds)(x), x, rtol=0, atol=1e-5)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(RecipeError, match="kinds: got 'colour'; did you mean 'color'"):
        AdaptiveAugment(["colour"])  # type: ignore[list-item]
    with pytest.raises(RecipeError, match="kinds: each of blit, geom, color at most once"):
        AdaptiveAugment([])
    generator = {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3}}
    with pytest.raises(RecipeError, match="adaptive_augment changes square images of 1 or 3 channels"):
        spec = {"type": "gan_training", "generator": generator, "critic": {"type": "mlp_critic"}}
        catalog.build({**spec, "view": {"type": "adaptive_augment"}})
