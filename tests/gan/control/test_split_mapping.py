from __future__ import annotations

from typing import Any

import pytest
import torch

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.randomness import Noise
from genkit.gan.control.split_mapping import slices_of
from genkit.gan.gan import GAN
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.path_length import path_lengths
from genkit.gan.stylegan2.truncated import Truncated
from tests.gan.control.fixture import CLOSE, Fixture, read
from tests.gan.stylegan2.test_generator import small as plain

SPLIT = {"shape": 3, "hue": 2, "rest": 4}


def small(**arguments: Any) -> StyleGAN2Generator:
    return plain(**{"latent_dim": 9, "style_dim": 9, "split": SPLIT, "mid": 7, "mixing": 0.0} | arguments)


@pytest.fixture(scope="module")
def recorded() -> Fixture:
    return read()


def test_the_recorded_w_images_and_swapped_slices(recorded: Fixture) -> None:
    network, io = recorded.generator, recorded.io
    torch.testing.assert_close(network.mapping(io["in.z"]), io["out.map.w"], **CLOSE)
    torch.testing.assert_close(network(recorded.latents(io["in.z"])), io["out.gen.img"], **CLOSE)
    torch.testing.assert_close(network(io["in.z"]), io["out.gen.img_buffer_noise"], **CLOSE)
    for name, at in network.slices.items():
        z = io["in.z"].clone()
        z[:, at] = io["in.z_other"][:, at]
        torch.testing.assert_close(network.mapping(z), io[f"out.swap.{name}.w"], **CLOSE)
        torch.testing.assert_close(network(recorded.latents(z)), io[f"out.swap.{name}.img"], **CLOSE)


def test_the_recorded_truncation_slice_by_slice(recorded: Fixture) -> None:
    network, io, psi = recorded.generator, recorded.io, recorded.config["truncation"]
    network.w_avg.copy_(io["in.w_mean"])
    images = Truncated(GAN(network), dict.fromkeys(network.slices, psi))(recorded.latents(io["in.z"]))
    torch.testing.assert_close(images, io["out.trunc.img"], **CLOSE)


def test_the_recorded_path_gradient(recorded: Fixture) -> None:
    network, io = recorded.generator, recorded.io
    latents = recorded.latents(io["in.z"])
    w = network.to_w(latents).detach().requires_grad_()
    image = network.synthesise(w, latents["noise"])
    (slope,) = torch.autograd.grad((image * io["in.pl_noise"]).sum() / 32, w, retain_graph=True)
    torch.testing.assert_close(slope, io["out.pl.grad"], rtol=1e-4, atol=1e-4)
    lengths = path_lengths(image, w, io["in.pl_noise"])
    torch.testing.assert_close(lengths, io["out.pl.lengths"], **CLOSE)


def test_a_slice_of_w_is_a_function_of_that_slice_of_z_alone_bit_for_bit() -> None:
    network = small()
    assert network.slices == slices_of(SPLIT) == {"shape": slice(0, 3), "hue": slice(3, 5), "rest": slice(5, 9)}
    z = torch.randn(6, 9)
    w = network.mapping(z)
    for name, at in network.slices.items():
        other = z.clone()
        other[:, at] = torch.randn(6, at.stop - at.start)
        moved = network.mapping(other)
        for each, where in network.slices.items():
            assert moved[:, where].equal(w[:, where]) == (each != name)


def test_truncation_of_a_named_slice_leaves_the_others() -> None:
    network = small().eval()
    network.measure(Noise(500))
    seen = list[torch.Tensor]()
    network.synthesise = lambda w, noise=None: seen.append(w) or torch.zeros(2, 3, 16, 16)  # type: ignore[assignment]
    z = torch.randn(2, 9)
    Truncated(GAN(network), {"hue": 0.25})(z)
    w, mean, hue = network.to_w(z), network.w_avg, network.slices["hue"]
    torch.testing.assert_close(seen[0][..., hue], mean[hue] + 0.25 * (w[..., hue] - mean[hue]))
    for name in ("shape", "rest"):
        assert seen[0][..., network.slices[name]].equal(w[..., network.slices[name]])
    with pytest.raises(GenkitError, match="psi: no slice 'hues' of w; did you mean 'hue'"):
        Truncated(GAN(network), {"hues": 0.5})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"split": {"shape": 3, "hue": 2}},
            r"split: shape 3 \+ hue 2 = 5 must equal latent_dim, 9, and style_dim, 9",
        ),
        ({"style_dim": 8}, "must equal latent_dim, 9, and style_dim, 8"),
        ({"mixing": 0.9}, "mixing: images of two latents would share no slice .* set 0 with a split, got 0.9"),
        ({"classes": 3}, "classes: a label would be part of every slice; set 0 with a split, got 3"),
        ({"split": {"a b": 9}}, "split: a slice is called by letters, digits and _, got 'a b'"),
    ],
)
def test_what_does_not_go_with_a_split_is_refused_in_one_line(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        small(**arguments)
