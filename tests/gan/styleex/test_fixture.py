"""The networks and losses of StylEx against recorded outputs of ports of the released ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genkit.gan.objectives import Hinge, NonSaturating
from genkit.gan.styleex.encoded_terms import agreement_loss
from genkit.gan.styleex.likeness import mean_distance
from genkit.gan.stylegan2.truncated import truncated
from tests.gan.styleex.fixture import CLOSE, Fixture, concatenated, read


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return read()


def test_encoder_classifier_and_what_is_joined(recorded: Fixture) -> None:
    generator, io, x = recorded.generator, recorded.io, recorded.io["in.real"]
    torch.testing.assert_close(generator.encode(x), io["out.enc.w"], **CLOSE)
    torch.testing.assert_close(generator.logits(x), io["out.cls.logits_real"], **CLOSE)
    torch.testing.assert_close(generator.condition_of(x)["probabilities"], io["out.cls.prob_real"], **CLOSE)
    torch.testing.assert_close(generator.of_images(x), io["out.dlatent"], **CLOSE)


def test_stylespace_and_reconstructions(recorded: Fixture) -> None:
    generator, io, x = recorded.generator, recorded.io, recorded.io["in.real"]
    styles = generator.styles_of(io["out.dlatent"])
    torch.testing.assert_close(concatenated(styles, torgb=False), io["out.style.blocks"], **CLOSE)
    # The port scales the styles of toRGB, where the weights are scaled here.
    gain = torch.cat([torch.full((v.shape[1],), v.shape[1] ** -0.5) for k, v in styles.items() if "torgb" in k])
    torch.testing.assert_close(gain * concatenated(styles, torgb=True), io["out.style.torgb"], **CLOSE)
    assert [styles[name].shape[1] for name in generator.attribute_layers] == recorded.config["style_sizes"]
    torch.testing.assert_close(generator({"seen": x}, recorded.p), io["out.rec.img_unclamped"], **CLOSE)
    torch.testing.assert_close(generator.pictured_styles(styles), io["out.rec.img"], **CLOSE)
    torch.testing.assert_close(generator.reconstructed(x), io["out.rec.img"], **CLOSE)
    torch.testing.assert_close(generator.logits(generator.reconstructed(x)), io["out.cls.logits_rec"], **CLOSE)


def test_sampled_w_and_its_truncation(recorded: Fixture) -> None:
    network, io = recorded.generator.network, recorded.io
    w = network.to_w(io["in.z"])
    torch.testing.assert_close(w[:, 0], io["out.map.w"], **CLOSE)
    drawn = truncated(w, network.w_avg, recorded.config["truncation"])
    torch.testing.assert_close(drawn[:, -1], io["out.map.w_trunc"], **CLOSE)
    made = recorded.generator(io["in.z"], recorded.p).clamp(-1, 1)
    torch.testing.assert_close(made, io["out.gen.img_from_z_with_real_labels"], **CLOSE)


def test_a_moved_coordinate(recorded: Fixture) -> None:
    """One style of one layer, moved as the search moves it."""
    generator, io, at = recorded.generator, recorded.io, recorded.config["probe_s"]
    sizes = recorded.config["style_sizes"]
    layer = next(k for k in range(len(sizes)) if at < sum(sizes[: k + 1]))
    name, channel = generator.attribute_layers[layer], at - sum(sizes[:layer])
    for direction, bound in enumerate(("min", "max")):
        styles = {k: v.clone() for k, v in generator.styles_of(io["out.dlatent"]).items()}
        styles[name][:, channel] = io[f"out.att.{bound}"][at]
        images = generator.pictured_styles(styles)
        torch.testing.assert_close(images, io[f"out.att.probe_img.{direction}"], **CLOSE)
        effect = generator.logits(images) - io["out.cls.logits_rec"]
        torch.testing.assert_close(effect, io["out.att.effect"][:, direction, at], rtol=1e-3, atol=1e-4)


def outputs(recorded: Fixture, x: Tensor) -> Tensor:
    return recorded.critic.head(recorded.critic.features(x))


def test_outputs_and_scores_of_the_critic(recorded: Fixture) -> None:
    critic, io = recorded.critic, recorded.io
    for name, x in (("real", io["in.real"]), ("rec", io["out.rec.img"])):
        torch.testing.assert_close(outputs(recorded, x), io[f"out.disc.outputs_{name}"], **CLOSE)
        torch.testing.assert_close(critic(x, recorded.p), io[f"out.disc.score_{name}"], **CLOSE)


def test_losses_of_a_reconstruction(recorded: Fixture) -> None:
    io, encode = recorded.io, recorded.generator.encode
    x, made = io["in.real"], io["out.rec.img"]
    pixels, vectors = mean_distance(x, made), mean_distance(encode(x), encode(made))
    kl = agreement_loss(io["out.cls.logits_real"], io["out.cls.logits_rec"])
    torch.testing.assert_close(pixels, io["out.loss.l1_x"], **CLOSE)
    torch.testing.assert_close(vectors, io["out.loss.l1_w"], **CLOSE)
    torch.testing.assert_close(kl, io["out.loss.kl"], **CLOSE)
    likeness = (stretched(x) - stretched(made)).square().mean()
    torch.testing.assert_close(likeness, io["out.loss.percept_standin"], **CLOSE)
    whole = pixels + 0.1 * likeness + 0.1 * vectors
    torch.testing.assert_close(whole, io["out.loss.rec_with_mse_in_place_of_lpips"], **CLOSE)


def stretched(x: Tensor) -> Tensor:
    """Each image from -1 to 1, as the reproduction does before it compares."""
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return 2 * (x - low) / (high - low) - 1


def test_losses_of_the_game(recorded: Fixture) -> None:
    io = recorded.io
    real, fake = io["out.disc.score_real"], io["out.disc.score_rec"]
    logistic, hinge = NonSaturating(), Hinge()
    critic = logistic.critic_real(real).mean() + logistic.critic_fake(fake).mean()
    torch.testing.assert_close(critic, io["out.loss.logistic_d"], **CLOSE)
    torch.testing.assert_close(-logistic.reward(fake).mean(), io["out.loss.logistic_g"], **CLOSE)
    # The sign of a score is the other one in the reproduction.
    critic = hinge.critic_real(-real).mean() + hinge.critic_fake(-fake).mean()
    torch.testing.assert_close(critic, io["out.loss.hinge_d"], **CLOSE)
    torch.testing.assert_close(-hinge.reward(-fake).mean(), io["out.loss.hinge_g"], **CLOSE)


def test_its_gradient_penalty_is_of_real_images(recorded: Fixture) -> None:
    x = recorded.io["in.real"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(recorded.critic(x, recorded.p).sum(), x)
    penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(penalty, recorded.io["out.loss.gp10"], **CLOSE)
