from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.randomness import Noise
from genkit.core.styled import Styled
from genkit.gan.gan import GAN
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.contracts.specs import STYLEGAN2_C, STYLEGAN2_G, gan_case, make_trainer

PARAMETERS = {
    (32, "f"): (21_523_475, 21_507_073),
    (32, "e"): (21_523_475, 21_507_073),
    (64, "f"): (27_032_600, 26_488_833),
    (64, "e"): (23_819_544, 23_407_361),
    (128, "f"): (29_328_669, 28_389_121),
    (128, "e"): (24_525_213, 23_882_369),
    (256, "f"): (30_034_338, 28_864_129),
    (256, "e"): (24_767_458, 24_001_089),
    (512, "f"): (30_276_583, 28_982_849),
    (512, "e"): (24_860_935, 24_030_753),
    (1024, "f"): (30_370_060, 29_012_513),
    (1024, "e"): (24_900_764, 24_038_161),
}
"""Of the generator and the discriminator, counted from the official PyTorch port."""
STYLESPACE = {32: (3584, 2048), 64: (4608, 2560), 256: (5760, 2944), 512: (5952, 3008), 1024: (6048, 3040)}
"""Channels of convolutions and of torgb, configuration F."""


def small(**arguments: object) -> StyleGAN2Generator:
    torch.manual_seed(0)
    network = StyleGAN2Generator(
        **{"latent_dim": 6, "size": 16, "widths": [8, 6, 4], "style_dim": 5, "depth": 2} | arguments
    )
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.3)
    return network


@pytest.mark.parametrize(("size", "config"), PARAMETERS)
def test_published_parameter_counts(size: int, config: str) -> None:
    with torch.device("meta"):
        pair = StyleGAN2Generator(size=size, config=config), StyleGAN2Critic(size=size, config=config)
    assert tuple(sum(p.numel() for p in network.parameters()) for network in pair) == PARAMETERS[size, config]
    if config == "f" and size in STYLESPACE:
        channels = pair[0].style_channels
        rgb = sum(n for name, n in channels.items() if name.endswith("torgb"))
        assert (sum(channels.values()) - rgb, sum(channels.values()) - (sum(channels.values()) - rgb)) == STYLESPACE[
            size
        ]


def test_a_torgb_reads_the_vector_of_the_next_first_convolution() -> None:
    network = small()
    assert network.style_layers == {
        "b4.conv1": 0, "b4.torgb": 1, "b8.conv0": 1, "b8.conv1": 2, "b8.torgb": 3, "b16.conv0": 3, "b16.conv1": 4,
        "b16.torgb": 5,
    }  # fmt: skip
    assert isinstance(network, Styled)
    w = torch.randn(2, 6, 5)
    before = network.styles(w)
    for layer in range(6):
        moved = network.styles(w + (torch.arange(6) == layer).float()[:, None])
        changed = {name for name in before if not moved[name].equal(before[name])}
        assert changed == {name for name, index in network.style_layers.items() if index == layer}


def test_one_channel_of_stylespace_can_be_moved_by_name() -> None:
    network = small().eval()
    styles = network.styles(torch.randn(2, 5))
    image = network.synthesise(styles)
    assert image.equal(network.synthesise(styles)), "the noise of the buffers"
    styles["b8.conv1"] = styles["b8.conv1"] + 3 * torch.eye(6)[2]
    assert (network.synthesise(styles) - image).abs().max() > 1e-3
    with pytest.raises(GenkitError, match=r"no layer 'b8.conv2' has a style; did you mean 'b8.conv[01]'"):
        network.synthesise({**styles, "b8.conv2": styles["b8.conv1"]})
    with pytest.raises(GenkitError, match=r"the style of b8\.conv1 is missing"):
        network.synthesise({k: v for k, v in styles.items() if k != "b8.conv1"})
    with pytest.raises(GenkitError, match=r"\(B, 5\) or \(B, 6, 5\) are accepted, got \[2, 6\]"):
        network.synthesise(torch.randn(2, 6))
    with pytest.raises(GenkitError, match="one map for each of 5 convolutions, got 1"):
        network.synthesise(styles, [torch.zeros(1, 1, 4, 4)])


def test_noise_reaches_every_convolution_and_latents_carry_it() -> None:
    network = small().eval()
    latents = network.latents(Noise(2, torch.Generator().manual_seed(0)))
    assert [n.shape[-1] for n in latents["noise"]] == [4, 8, 8, 16, 16] and set(latents) == {"z", "noise"}
    image = network(latents)
    for i, noise in enumerate(latents["noise"]):
        others = [*latents["noise"][:i], noise + 1, *latents["noise"][i + 1 :]]
        assert (network({**latents, "noise": others}) - image).abs().max() > 1e-3


def test_mixing_is_drawn_in_training_alone_and_reaches_from_its_crossover_on() -> None:
    network = small().train()
    latents = network.latents(Noise(4000, torch.Generator().manual_seed(0)))
    counts = torch.bincount(latents["crossover"], minlength=7)
    assert counts[0] == 0 and abs(counts[6] / 4000 - 0.1) < 0.02 and ((counts[1:6] / 4000 - 0.18).abs() < 0.03).all()
    assert "other" not in network.eval().latents(Noise(2)) and "other" not in small(mixing=0.0).latents(Noise(2))
    z, other = torch.randn(2, 1, 6).expand(2, 7, 6)
    w = network.to_w({"z": z, "other": other, "crossover": torch.arange(7)})
    first, second = network.mapping(z[:1]), network.mapping(other[:1])
    for crossover, rows in enumerate(w):
        assert rows[:crossover].allclose(first) and rows[crossover:].allclose(second)


def test_the_mean_of_w_is_measured_for_the_averaged_copy_and_follows_from_weights_and_seed() -> None:
    network = {**STYLEGAN2_G, "classes": 10}
    case = gan_case((), images=True, network=network, critic=STYLEGAN2_C)
    trainer, again = make_trainer(case), make_trainer(case)
    for made in (trainer, again):
        made.iterate()
    before = torch.get_rng_state()
    network, other = trainer.averaged().network, again.averaged().network
    assert network.w_avg.equal(other.w_avg) and torch.get_rng_state().equal(before)
    label = {"label": torch.arange(20_000) % 10}
    mean = network.mapping(torch.randn(20_000, network.latent_dim), label).mean(0)
    assert network.w_avg.any() and (network.w_avg - mean).abs().max() < 0.1 * mean.abs().max()
    assert not trainer.system.generator.network.w_avg.any(), "of no use in training"


def test_classes_steer_through_the_mapping() -> None:
    network = small(classes=3).eval()
    z = torch.randn(1, 6).expand(3, 6)
    w = network.mapping(z, {"label": torch.tensor([0, 1, 1])})
    assert (w[0] - w[1]).abs().max() > 1e-2 and w[1].allclose(w[2])


@pytest.mark.parametrize("arguments", [{"size": 24}, {"widths": [4, 4]}, {"size": 16, "widths": [4] * 4}])
def test_what_does_not_fit_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"nearest 16|widths: one for each map of 4, 8, 16 pixels; got"):
        small(**arguments)


def gradients(network: nn.Module, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(x.square().mean(), list(network.parameters())))


def test_compiled_as_one_graph_with_its_gradients() -> None:
    """fullgraph: no line that the compiler does not follow."""
    network = small().train()
    latents = network.latents(Noise(3, torch.Generator().manual_seed(0)))
    image = network(latents)
    compiled = torch.compile(network, backend="eager", fullgraph=True)(latents)
    torch.testing.assert_close(compiled, image)
    for a, b in zip(gradients(network, compiled), gradients(network, image), strict=True):
        torch.testing.assert_close(a, b)


def test_channels_last_stays_and_changes_nothing_else() -> None:
    network = small().eval()
    latents = network.latents(Noise(3, torch.Generator().manual_seed(0)))
    image = network(latents)
    layouts: list[bool] = []
    network.to(memory_format=torch.channels_last)
    for module in network.synthesis.blocks:
        block = network.synthesis.blocks[module]
        block.conv1.register_forward_hook(
            lambda m, given, y: layouts.append(y.is_contiguous(memory_format=torch.channels_last))
        )
    torch.testing.assert_close(network(latents), image)
    assert layouts == [True] * 3


def test_bf16_runs_the_maps_and_keeps_styles_and_images_precise() -> None:
    network = small().eval()
    latents = network.latents(Noise(3, torch.Generator().manual_seed(0)))
    image, maps = network(latents), []
    network.synthesis.blocks["b16"].conv1.register_forward_hook(lambda m, given, y: maps.append(y.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        lower, styles = network(latents), network.styles(network.to_w(latents))
    assert maps == [torch.bfloat16] and lower.dtype == torch.float32
    assert all(style.dtype == torch.float32 for style in styles.values())
    assert (lower - image).abs().max() < 0.03 * image.abs().max()


def test_differentiable_twice_by_weights_and_styles() -> None:
    network = small().double()
    w = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)

    def image(w: Tensor) -> Tensor:
        return network.synthesise(w).square().mean((1, 2, 3))

    assert torch.autograd.gradgradcheck(image, w, nondet_tol=1e-12)


def test_sampled_images_are_cut_and_latents_are_a_tree() -> None:
    generator = GAN(small()).eval()
    generator.network.synthesis.blocks["b16"].torgb.bias.data.fill_(5.0)
    assert generator.sample(2).max() == 1 and generator(generator.prior(2)).max() > 1


def test_a_synthesis_goes_on_from_every_layer_bit_for_bit() -> None:
    network = small().eval()
    styles, noise = network.styles(torch.randn(3, 5)), network.latents(Noise(3))["noise"]
    for given in (None, noise):
        whole, states = network.synthesise(styles, given), network.halfway(styles, given)
        assert list(states) == list(network.style_channels)
        for name, state in states.items():
            later = list(states)[list(states).index(name) :]
            unread = {k: v if k in later else v * torch.nan for k, v in styles.items()}
            assert network.synthesise(unread, given, state).equal(whole)
    moved = {**styles, "b8.conv1": styles["b8.conv1"] + 1}
    assert network.synthesise(moved, start=states["b8.conv1"]).equal(
        network.synthesise(moved, [*noise[:2], *[None] * 3])
    )


@pytest.mark.parametrize("grad", [True, False])
def test_moved_channels_of_one_image_are_those_of_whole_styles(grad: bool) -> None:
    network = small().eval()
    styles, channels, values = network.styles(torch.randn(1, 5)), torch.tensor([3, 0]), torch.randn(2, 3)
    with torch.set_grad_enabled(grad):
        for name in network.style_channels:
            every = {k: v.repeat(6, 1) for k, v in styles.items()}
            every[name][torch.arange(6), channels.repeat_interleave(3)] = values.flatten()
            start = network.moved(network.halfway(styles)[name], styles[name], channels, values)
            images = network.synthesise({**every, name: every[name] * torch.nan}, start=start)
            torch.testing.assert_close(images, network.synthesise(every), rtol=1e-5, atol=1e-5)
    assert images.requires_grad == grad
