from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.generator import LatentGenerator
from genkit.core.styled import joined, noise_of
from genkit.gan.stylegan2.truncated import Truncated, truncated
from genkit.posthoc.directions.deformators import LatentCoordinates, UnitColumns
from genkit.posthoc.directions.directions import Directions, samples_of
from genkit.posthoc.directions.edited import Edited
from genkit.posthoc.directions.own_generator import OwnGenerator
from genkit.posthoc.directions.spaces import measured, space_of
from genkit.posthoc.rejection.latent_samplers import LatentLangevin, LatentTransport
from tests.contracts.specs import DCGAN_G, HVAE_N, PLAIN_DDPM, STYLEGAN2_G, VAE_N, seeded

GAN = {"type": "gan", "network": DCGAN_G}
STYLED = {"type": "gan", "network": STYLEGAN2_G}
LABELLED = {"type": "gan", "network": {**STYLEGAN2_G, "classes": 10}}
VAE = {"type": "vae", "network": VAE_N}
LEVELS = {"type": "vae", "network": HVAE_N}


def made(spec: dict[str, Any]) -> LatentGenerator:
    generator: LatentGenerator = seeded(spec).eval()
    for parameter in generator.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return generator


@pytest.mark.parametrize(
    ("spec", "name", "dim"),
    [
        (GAN, "z", 3),
        (STYLED, "z", 3),
        (STYLED, "z.noise.1", 64),
        (STYLED, "w", 4),
        (LABELLED, "w.0-1", 4),
        (LABELLED, "b8.conv1", 4),
        (VAE, "z", 3),
        (LEVELS, "z.1", 3),
    ],
)
def test_a_shift_of_zero_is_the_sample_and_others_move_it(spec: dict[str, Any], name: str, dim: int) -> None:
    generator = made(spec)
    space = space_of(generator, name)
    assert (space.name, space.dim) == (name, dim)
    latents, condition = samples_of(generator, [4, 5])
    with torch.no_grad():
        same = space.images(latents, condition, torch.zeros(2, dim))
        moved = space.images(latents, condition, torch.ones(2, dim))
    want = torch.cat([generator.sample(1, rng=torch.Generator().manual_seed(seed)) for seed in (4, 5)])
    torch.testing.assert_close(same.clamp(-1, 1), want, rtol=0, atol=1e-6)
    assert (moved - same).abs().amax((1, 2, 3)).min() > 1e-4
    assert space.vectors(latents, condition).shape == (2, dim)


def test_shifts_are_where_they_are_said_to_be() -> None:
    generator = made(STYLED)
    network: Any = generator.network
    (latents, condition), shift = samples_of(generator, [1, 2]), torch.randn(2, 4)
    w = network.to_w(latents)
    torch.testing.assert_close(
        space_of(generator, "w").images(latents, condition, shift),
        network.synthesise(w + shift[:, None], noise_of(latents)),
    )
    some = w.clone()
    some[:, 1:3] += shift[:, None]
    torch.testing.assert_close(
        space_of(generator, "w.1-2").images(latents, condition, shift), network.synthesise(some, noise_of(latents))
    )
    styles = network.styles(w)
    styles = {**styles, "b8.conv0": styles["b8.conv0"] + shift}
    torch.testing.assert_close(
        space_of(generator, "b8.conv0").images(latents, condition, shift),
        network.synthesise(styles, noise_of(latents)),
    )
    z = {**latents, "z": latents["z"] + shift[:, :3]}
    torch.testing.assert_close(space_of(generator).images(latents, condition, shift[:, :3]), generator(z))


@pytest.mark.parametrize(
    ("spec", "name", "told"),
    [
        (PLAIN_DDPM, "z", "directions are of a latent, and a DDPM has none"),
        (GAN, "w", "no space 'w': a GAN has no styles"),
        (GAN, "zz", "no space 'zz'; did you mean 'z'"),
        (STYLED, "b8.conv", "no space 'b8.conv'; did you mean 'b8.conv1'"),
        (STYLED, "w.1-9", "no layers '1-9' of w: give FIRST-LAST from 0 to 3"),
        (STYLED, "w.2-1", "no layers '2-1' of w"),
        (LEVELS, "z", "its latents are 2 tensors, so name one of them as the space: z.0 [3], z.1 [3]"),
        (LEVELS, "z.2", "name one of them"),
    ],
)
def test_what_is_no_space(spec: dict[str, Any], name: str, told: str) -> None:
    with pytest.raises(GenkitError, match=re.escape(told)):
        space_of(seeded(spec), name)


def test_the_unit_is_the_deviation_of_the_latent() -> None:
    assert measured(space_of(made(GAN))).unit == pytest.approx(1, abs=0.02)
    generator = made(STYLED)
    found = measured(space_of(generator, "w"), n=2000)
    z = torch.randn(2000, 3, generator=torch.Generator().manual_seed(9))
    w = generator.network.mapping(z)  # type: ignore[operator]
    assert found.unit == pytest.approx(w.var(0).mean().sqrt().item(), rel=0.1)
    assert found.unit != pytest.approx(1, abs=0.05)
    torch.testing.assert_close(found.mean, w.mean(0), rtol=0, atol=0.16 * found.unit)
    assert measured(space_of(generator, "w"), n=300).unit == measured(space_of(generator, "w"), n=300).unit


def test_edits_add_up() -> None:
    generator, rng = made(STYLED), torch.Generator().manual_seed
    for space, dim in (("z", 3), ("w", 4), ("b8.conv1", 4)):
        direction = UnitColumns(2, dim)
        once = Edited(generator, direction, 5.0, 1, space)
        twice = Edited(Edited(generator, direction, 2.0, 1, space), direction, 3.0, 1, space)
        torch.testing.assert_close(twice.sample(3, rng=rng(0)), once.sample(3, rng=rng(0)))
        assert (once.sample(3, rng=rng(0)) - generator.sample(3, rng=rng(0))).abs().max() > 1e-3
    inner = Edited(generator, UnitColumns(1, 3), 2.0)
    outer = Edited(inner, UnitColumns(1, 4), 2.0, space="w")
    z = {"z": torch.ones(1, 3)}
    w = generator.network.to_w({"z": z["z"] + inner._shift(z)})  # type: ignore[operator]
    torch.testing.assert_close(outer.moved_styles(z, {}).w, w + outer._shift(z)[:, None])


@pytest.mark.parametrize("order", list(permutations(["z", "w.1-2", "b8.conv0", "b8.conv1", "b8.conv0"]))[::13])
@pytest.mark.parametrize("spec", [STYLED, LABELLED], ids=["plain", "labelled"])
def test_edits_of_different_spaces_add_up_in_any_order(
    spec: dict[str, Any], order: tuple[str, ...], tmp_path: Path
) -> None:
    generator = edited = made(spec)
    network: Any = generator.network
    for space in order:
        edited = Edited(edited, LatentCoordinates(2, 3 if space == "z" else 4), 2.0, 1, space)
    z, condition = samples_of(generator, [1, 2])
    shift = torch.tensor([[0.0, 2.0, 0.0, 0.0]]).expand(2, -1)
    with torch.no_grad():
        w = network.to_w({**z, "z": z["z"] + shift[:, :3]}, condition).clone()
        w[:, 1:3] += shift[:, None]
        of_w = network.styles(joined(network, w, condition))
        styles = {**of_w, "b8.conv0": of_w["b8.conv0"] + 2 * shift, "b8.conv1": of_w["b8.conv1"] + shift}
        wanted = network.synthesise(styles, noise_of(z))
        torch.testing.assert_close(edited(z, condition), wanted)
        again = Edited.from_pretrained(edited.save_pretrained(tmp_path))
        torch.testing.assert_close(again(z, condition), wanted)
        torch.testing.assert_close(space_of(edited, "b8.conv0").vectors(z, condition), styles["b8.conv0"])


@pytest.mark.parametrize("spec", [STYLED, LABELLED], ids=["plain", "labelled"])
def test_what_is_truncated_is_edited_from_where_it_is(spec: dict[str, Any], tmp_path: Path) -> None:
    whole = made(spec)
    network: Any = whole.network
    with torch.no_grad():
        network.w_avg.add_(0.5)
    near = Truncated(whole, 0.5)  # type: ignore[arg-type]
    edited = Edited(Edited(near, LatentCoordinates(2, 4), 2.0, 1, "w"), LatentCoordinates(2, 4), 2.0, 0, "b8.conv1")
    z, condition = samples_of(whole, [1, 2])
    with torch.no_grad():
        w = truncated(network.to_w(z, condition), network.w_avg, 0.5)
        w[..., 1] += 2
        styles = network.styles(joined(network, w, condition))
        styles = {**styles, "b8.conv1": styles["b8.conv1"] + torch.tensor([2.0, 0, 0, 0])}
        wanted = network.synthesise(styles, noise_of(z))
        torch.testing.assert_close(edited(z, condition), wanted)
        again = Edited.from_pretrained(edited.save_pretrained(tmp_path))
        torch.testing.assert_close(again(z, condition), wanted)
    assert measured(space_of(near, "w")).unit == pytest.approx(0.5 * measured(space_of(whole, "w")).unit.item())


def test_an_edit_of_another_latent() -> None:
    with pytest.raises(GenkitError, match="directions of 4 numbers, and the latent z has 3"):
        Edited(made(GAN), UnitColumns(2, 4))
    with pytest.raises(GenkitError, match="no direction 2; there are 2"):
        Edited(made(GAN), UnitColumns(2, 3), number=2)
    with pytest.raises(GenkitError, match="strength: input should be a finite number, got nan"):
        Edited(made(GAN), UnitColumns(2, 3), float("nan"))
    with pytest.raises(GenkitError, match=r"unit: input should be greater than 0, got 0\.0"):
        Edited(made(GAN), UnitColumns(2, 3), unit=0.0)


def test_the_edit_of_directions_is_their_strip() -> None:
    for spec, space, dim in ((GAN, "z", 3), (LABELLED, "w", 4)):
        found = Directions(made(spec), UnitColumns(2, dim), space)
        found.measure()
        strip = found.strip(1, [-2.0, 0.0, 3.0], [7, 8])
        assert strip.shape == (2, 3, 1, 8, 8)
        for column, strength in enumerate((-2.0, 0.0, 3.0)):
            edited = found.edited(1, strength)
            for row, seed in enumerate((7, 8)):
                x = edited.sample(1, rng=torch.Generator().manual_seed(seed))[0]
                torch.testing.assert_close(strip[row, column], x, rtol=0, atol=1e-5)
        picture, columns = found.pictured(torch.Generator().manual_seed(0))
        assert len(picture) == 2 * columns


def test_names_and_numbers() -> None:
    found = Directions(made(GAN), UnitColumns(3, 3), names=["", "darker"])
    assert [found.number(name) for name in ("0", 2, "darker")] == [0, 2, 1]
    assert found.called(0) == "direction 0" and found.called(1) == "darker"
    with pytest.raises(GenkitError, match="no direction is called 'dark'; did you mean 'darker'"):
        found.number("dark")
    with pytest.raises(GenkitError, match="there are 3, from 0 to 2"):
        found.number(3)
    for names in (["a", "a"], ["Bold", "BOLD"], ["a"] * 4, ["3"]):
        with pytest.raises(GenkitError, match=r"each once .* and none a number"):
            found.name(names)


class Mine:
    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        return 2 * torch.randn(n, 5, generator=rng)

    def generate(self, latents: Tensor, condition: object = None) -> Tensor:
        return latents[:, :4].view(-1, 1, 2, 2) / 10


def test_two_methods_of_ones_own_are_enough() -> None:
    generator = OwnGenerator(Mine())
    assert generator.sample_shape == (1, 2, 2)
    found = Directions(generator, UnitColumns(2, 5))
    found.measure()
    assert found.unit.item() == pytest.approx(2, abs=0.05)
    strip = found.strip(0, [0, 1], [3])
    moved = (strip[0, 1] - strip[0, 0]).flatten() * 10
    torch.testing.assert_close(moved, found.unit * found.rows()[0, :4])

    class Flat(Mine):
        def generate(self, latents: Tensor, condition: object = None) -> Tensor:
            return latents

    with pytest.raises(GenkitError, match=r"got \[4, 5\] and \[4, 5\]"):
        OwnGenerator(Flat())

    class Five(Mine):
        def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
            return super().sample_latents(5, rng)

    with pytest.raises(GenkitError, match=r"got \[5, 5\] and \[5, 1, 2, 2\] for n = 4"):
        OwnGenerator(Five())

    class Listed(Mine):
        def generate(self, latents: Tensor, condition: object = None) -> Any:
            return [latents]

    with pytest.raises(GenkitError, match=r"a Listed is asked for .* both give tensors; it raises an AttributeError"):
        OwnGenerator(Listed())

    class Bytes(Mine):
        def generate(self, latents: Tensor, condition: object = None) -> Tensor:
            return super().generate(latents).to(torch.uint8)

    with pytest.raises(GenkitError, match=r"tensors of floating point .*; got a Tensor of torch\.uint8"):
        OwnGenerator(Bytes())
    with pytest.raises(GenkitError, match=r"sample_latents and generate; an object has no sample_latents"):
        OwnGenerator(object())  # type: ignore[arg-type]

    class Alone(Mine):
        def generate(self, latents: Tensor) -> Tensor:  # type: ignore[override]
            return super().generate(latents)

    assert OwnGenerator(Alone()).sample(2, rng=torch.Generator().manual_seed(0)).shape == (2, 1, 2, 2)
    with pytest.raises(GenkitError, match=r"generate\(latents\) of an Alone cannot be asked for one of 3 classes"):
        OwnGenerator(Alone(), classes=3)


class Labelled(nn.Module):
    """Of one's own, in training: a network with statistics and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.seen = list[Any]()

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 5, generator=rng)

    def generate(self, latents: Tensor, condition: Any = None) -> Tensor:
        self.seen.append(condition)
        return self.norm(latents)[:, :4].view(-1, 1, 2, 2) / 10 + condition["label"].view(-1, 1, 1, 1)


def test_ones_own_network_stays_as_it_is_and_is_asked_for_classes() -> None:
    network = Labelled()
    generator = OwnGenerator(network, classes=3)
    assert network.training and not network.norm.num_batches_tracked and not network.norm.running_mean.any()
    assert generator.conditions.classes == 3
    x = generator.sample(2, condition={"label": 1})
    assert network.seen[-1]["label"].tolist() == [1, 1] and x.mean() > 0.5
    assert Directions(generator, UnitColumns(2, 5)).strip(0, [0, 1], [3]).shape[:2] == (1, 2)


def test_latents_of_ones_own_are_moved_where_they_are_said_to_be_normal() -> None:
    class Ratio(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).sum(1)

    with pytest.raises(RecipeError, match=r"an OwnGenerator has none, or does not say so \(standard_normal\)"):
        LatentLangevin(OwnGenerator(Mine()), Ratio())
    generator = OwnGenerator(Mine(), standard_normal=True)
    for sampler in (LatentLangevin, LatentTransport):
        assert sampler(generator, Ratio(), steps=2).sample(3).shape == (3, 1, 2, 2)
