"""The generator: what is joined, what a classifier sees, what fits; networks with appended probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from genkit.core.catalog import build
from genkit.core.errors import ConditionError, GenkitError, RecipeError
from genkit.core.frozen import is_frozen
from genkit.core.generator import Generator
from genkit.core.randomness import Noise
from genkit.gan.gan import GAN
from genkit.gan.styleex.styleex import StyleEx
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.truncated import Truncated
from tests.gan.styleex.game import SMALL, Halves, Pictures, pictures, styleex


def test_probabilities_are_joined_after_the_mapping_to_every_layer() -> None:
    generator, x = styleex(), pictures()
    network = generator.network
    w, p = generator.encode(x), generator.condition_of(x)["probabilities"]
    assert generator.of_images(x).equal(torch.cat([w, p], 1)) and network.w_avg.shape == w[0].shape
    z = torch.randn(6, 5)
    assert network.to_w(z, {"probabilities": p}).equal(network.to_w(z)), "the mapping knows nothing of them"
    one, other = (generator.styles_of(generator.joined(w, q)) for q in (p, p.flip(1)))
    assert all(not torch.allclose(one[name], other[name]) for name in network.style_channels)
    plus = network.spread(w)
    torch.testing.assert_close(
        network.synthesise(generator.joined(plus, p)), network.synthesise(generator.joined(w, p))
    )
    with pytest.raises(GenkitError, match=r"w: \(B, 8\) or \(B, 4, 8\) are accepted, got \[6, 6\]"):
        network.styles(w)
    with pytest.raises(ConditionError, match="needs the condition 'probabilities'"):
        generator(z)


def test_the_classifier_sees_images_cut_to_its_range_and_is_finished() -> None:
    classifier = Halves()
    generator = styleex(classifier)
    assert is_frozen(classifier) and not any(p.requires_grad for p in classifier.parameters())
    found = generator.logits(3 * pictures())
    assert classifier.seen[-1].abs().max() == 1 and found.dtype == torch.float32
    x = pictures().requires_grad_()
    generator.logits(x).sum().backward()
    assert x.grad is not None and x.grad.abs().min() > 0
    assert not generator.condition_of(x)["probabilities"].requires_grad
    assert generator.conditions["probabilities"].names == ("left", "right") and generator.made == ("probabilities",)
    assert generator.attribute_layers == ("b4.conv1", "b8.conv0", "b8.conv1")
    assert generator.colour_layers == ("b4.torgb", "b8.torgb")


def test_a_temperature_makes_it_less_certain_and_changes_no_decision() -> None:
    plain, warm, x = styleex(), styleex(), pictures()
    warm.temperature = 4.0
    assert warm.logits(x).equal(plain.logits(x) / 4)
    sure, unsure = (generator.condition_of(x)["probabilities"] for generator in (plain, warm))
    assert (unsure.amax(1) < sure.amax(1)).all() and unsure.argmax(1).equal(sure.argmax(1))


def test_images_as_latents_are_encoded() -> None:
    generator, x = styleex().eval(), pictures()
    latents = generator.encoded_latents(x, Noise(6, torch.Generator().manual_seed(0)))
    p = generator.condition_of(x)
    torch.testing.assert_close(generator.to_w(latents, p)[:, 2], generator.of_images(x))
    torch.testing.assert_close(generator({"seen": x}, p).clamp(-1, 1), generator.reconstructed(x))
    assert generator.reconstructed(x).equal(generator.reconstructed(x)) and generator.reconstructed(x).abs().max() <= 1


def test_it_can_know_nothing_of_the_classifier() -> None:
    generator, x = styleex(appended=0), pictures()
    assert generator.made == () and not generator.conditions and generator.condition_of(x) == {}
    assert generator.of_images(x).equal(generator.encode(x)) and generator.logits(x).shape == (6, 2)
    assert generator.joined(generator.encode(x), torch.full((6, 2), 0.5)).equal(generator.encode(x))


def test_samples_over_data_have_the_probabilities_of_real_images() -> None:
    generator, items = styleex(), Pictures()
    known = generator.condition_of(items.x)["probabilities"]
    asked = generator.over(items).conditions.resolve({}, 7, Noise(7, torch.Generator().manual_seed(0)))
    apart = (asked["probabilities"][:, None] - known).abs().sum(2).min(1).values
    assert apart.max() < 1e-6
    given = generator.over(items).conditions.resolve({"probabilities": "left"}, 7, Noise(7))["probabilities"]
    assert given.equal(torch.tensor([[1.0, 0.0]]).expand(7, 2))
    drawn = generator.conditions.resolve({}, 7, Noise(7, torch.Generator().manual_seed(0)))["probabilities"]
    assert (drawn[:, None] - known).abs().sum(2).min(1).values.max() > 1e-3


@pytest.mark.parametrize("appended", [0, 2])
def test_its_picture_is_of_reconstructions_below_originals(appended: int) -> None:
    generator, items = styleex(appended=appended).train(), Pictures()
    shown, columns = generator.over(items).pictured(torch.Generator().manual_seed(0))
    assert shown.shape == (64, 1, 8, 8) and columns == 8 and generator.training
    torch.testing.assert_close(shown[8:16], generator.eval().reconstructed(shown[:8]), rtol=1e-4, atol=1e-5)
    assert generator.pictured(torch.Generator().manual_seed(0))[0].shape == (64, 1, 8, 8), "samples, without data"


def test_w_is_truncated_and_probabilities_are_not() -> None:
    generator, z = styleex().eval(), torch.randn(3, 5)
    p = {"probabilities": torch.tensor([[0.2, 0.8]]).expand(3, 2)}
    torch.testing.assert_close(Truncated(generator, 1.0)(z, p), generator(z, p))
    flat = Truncated(generator, 0.0)(z, p)
    torch.testing.assert_close(flat[0], flat[1])
    other = {"probabilities": p["probabilities"].flip(1)}
    assert not torch.allclose(Truncated(generator, 0.0)(z, other), flat)
    assert Truncated(generator).over(Pictures()).sample(2).shape == (2, 1, 8, 8)


def test_saved_with_its_classifier(tmp_path: Any) -> None:
    torch.manual_seed(0)
    parts = {
        "network": {"type": "stylegan2_generator", "latent_dim": 5, "style_dim": 6, "depth": 2, "appended": 2, **SMALL},
        "encoder": {"type": "stylegan2_encoder", "style_dim": 6, **SMALL},
        "classifier": {"type": "classifier", "size": 8, "classes": 2, "width": 4, "class_names": ["a", "b"]},
    }
    generator = build({"type": "styleex", **parts})
    found = Generator.from_pretrained(generator.save_pretrained(tmp_path / "weights"))
    assert isinstance(found, StyleEx) and found.conditions["probabilities"].names == ("a", "b")
    assert found.reconstructed(pictures()).equal(generator.eval().reconstructed(pictures()))


def test_the_encoder_is_the_critics_body() -> None:
    encoder, critic = StyleGAN2Encoder(style_dim=6, **SMALL), StyleGAN2Critic(group=1, **SMALL)
    body = {k: v for k, v in critic.state_dict().items() if not k.startswith("head")}
    encoder.load_state_dict(body, strict=False)
    assert encoder.features(pictures()).equal(critic.features(pictures()))
    half = encoder(pictures())[:3]
    torch.testing.assert_close(half, encoder(pictures()[:3])), "an image alone is the same"


def test_scores_are_weighed_by_probabilities() -> None:
    critic = StyleGAN2Critic(outputs=2, **SMALL)
    outputs, p = critic.head(critic.features(pictures())), torch.rand(6, 1)
    p = torch.cat([p, 1 - p], 1)
    score = critic(pictures(), {"probabilities": p})
    torch.testing.assert_close(score, p[:, 0] * outputs[:, 0] + p[:, 1] * outputs[:, 1])
    with pytest.raises(ConditionError, match="needs the condition 'probabilities'"):
        critic(pictures(), {})
    with pytest.raises(ConditionError, match=r"takes probabilities \(B, 2\), got \[6, 3\]"):
        critic(pictures(), {"probabilities": torch.full((6, 3), 1 / 3)})


PUBLISHED = {"size": 256}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_of_the_published_networks() -> None:
    """Those of configuration F (counted in the official port), and what StylEx adds to them."""
    with torch.device("meta"):
        generator, critic = StyleGAN2Generator(appended=2, **PUBLISHED), StyleGAN2Critic(outputs=2, **PUBLISHED)
        encoder = StyleGAN2Encoder(**PUBLISHED)
    styles = sum(generator.style_channels.values())
    assert styles == 5760 + 2944 and count(generator) == 30_034_338 + 2 * styles
    assert sum(v for k, v in generator.style_channels.items() if "torgb" not in k) == 5760
    assert count(critic) == 28_864_129 + 513
    assert count(encoder) == 28_864_129 - 9 * 512 - 513 + 512 * 513


class Nameless(nn.Module):
    sample_shape = (1, 8, 8)


def fit(**changed: Any) -> StyleEx:
    network: dict[str, Any] = {"latent_dim": 5, "style_dim": 6, "depth": 2, "appended": 2} | SMALL
    encoder: dict[str, Any] = {"style_dim": 6} | SMALL
    made = StyleGAN2Generator(**network | changed.get("network", {}))
    return StyleEx(made, StyleGAN2Encoder(**encoder | changed.get("encoder", {})), changed.get("classifier", Halves()))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"network": {"appended": 3}}, "network.appended: the classifier has 2 classes, got 3; set it to 2, or to 0"),
        ({"network": {"appended": 0, "classes": 2}}, "leave out classes and split"),
        ({"network": {"classes": 2}}, "appended: .* neither classes nor split"),
        ({"network": {"appended": 1}}, "appended: 0 .* or at least 2 are accepted, got 1"),
        ({"encoder": {"style_dim": 5}}, r"encoder: it makes 5 numbers of \[1, 8, 8\], but the network takes 6"),
        ({"encoder": {"size": 16, "widths": [4] * 3}}, r"encoder: it makes 6 numbers of \[1, 16, 16\]"),
        ({"classifier": Nameless()}, "classifier: Nameless does not say that it has `classes`"),
        ({"encoder": {"channels": 3}, "network": {"channels": 3}}, r"classifier: it takes images of \[1, 8, 8\], but"),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_line(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason) as refusal:
        fit(**changed)
    assert "\n" not in str(refusal.value)


def test_a_critic_of_several_scores_needs_probabilities() -> None:
    from genkit.gan.gan import GANTraining

    with pytest.raises(RecipeError, match="outputs: a critic of 3 labels has one score"):
        StyleGAN2Critic(outputs=2, classes=3, **SMALL)
    plain = GAN(StyleGAN2Generator(5, style_dim=6, depth=2, **SMALL))
    with pytest.raises(RecipeError, match="scores of 2 classes, and the generator takes no probabilities; set outputs"):
        GANTraining(plain, StyleGAN2Critic(outputs=2, **SMALL))
    with pytest.raises(RecipeError, match="scores of 3 classes, and the generator takes probabilities of 2 classes"):
        GANTraining(styleex(), StyleGAN2Critic(outputs=3, **SMALL))
