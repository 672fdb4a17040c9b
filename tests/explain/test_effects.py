"""Effects against closed forms, the naive loop, and the recorded tensor of another implementation."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from genkit import foreign
from genkit.core.errors import CheckpointError, EvaluationError
from genkit.core.styled import Halfway, Styles
from genkit.explain.effects import PART, Effects, find_effects
from genkit.explain.encoded import Encoded, Range, Step
from genkit.explain.explainable import Explainable, Restartable
from genkit.explain.flips import sufficiency
from genkit.explain.selection import opposite
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from tests.explain.toy import DRIVER, Pixels, binary, images
from tests.shared import shared
from tests.training.tiny import on_processes


class Looked(nn.Module):
    """A StyleGAN2 whose images' w are given, not encoded: x is a number of a row in every pixel."""

    def __init__(self, network: StyleGAN2Generator, classifier: nn.Module, w: Tensor):
        super().__init__()
        self.network, self.classifier = network.eval(), classifier.eval()
        self.register_buffer("w", w)
        self.sample_shape = network.sample_shape
        self.attribute_layers = tuple(name for name in network.style_channels if not name.endswith("torgb"))
        self.colour_layers: tuple[str, ...] = ()

    def rows(self) -> Tensor:
        """Its images."""
        return torch.arange(len(self.w))[:, None, None, None].expand(-1, *self.sample_shape) / len(self.w)

    def encode(self, x: Tensor) -> Tensor:
        return self.w[(x[:, 0, 0, 0] * len(self.w)).round().long()]

    def joined(self, w: Tensor, p: Tensor) -> Tensor:
        return w

    def of_images(self, x: Tensor) -> Tensor:
        return self.encode(x)

    def styles_of(self, joined: Tensor) -> Styles:
        return self.network.styles(joined)

    def halfway(self, styles: Styles) -> dict[str, Halfway]:
        return self.network.halfway(styles)

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        return self.network.moved(state, style, channels, values)

    def pictured_styles(self, styles: Styles, start: Halfway | None = None) -> Tensor:
        return self.network.synthesise(styles, start=start).clamp(-1, 1)

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier(x)


class Toy(nn.Module):
    """The classifier of the fixture."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, width, 3, stride=2, padding=1), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.leaky_relu(self.conv(x), 0.2).mean((2, 3)))


def coloured(n: int = 3) -> Looked:
    """One whose colour layers are searched as well."""
    found = small(n)
    found.colour_layers = tuple(name for name in found.network.style_channels if name.endswith("torgb"))
    return found


def small(n: int = 3) -> Looked:
    torch.manual_seed(0)
    network = StyleGAN2Generator(4, 16, widths=[6, 5, 4], style_dim=5, depth=1)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.3)
    return Looked(network, Toy(4, 3), torch.randn(n, 5))


def naive(encoded: Encoded) -> Tensor:
    """One pass of the whole network for each image, direction and coordinate."""
    generator, bounds = encoded.generator, Range.of(encoded.flat)
    effect = torch.zeros(len(encoded), 2, encoded.coordinates.count, encoded.logits.shape[1])
    with torch.no_grad():
        for n in range(len(encoded)):
            for s in range(encoded.coordinates.count):
                for d, target in enumerate((bounds.low, bounds.high)):
                    flat = encoded.flat[n : n + 1].clone()
                    flat[0, s] = target[s]
                    styles = encoded.coordinates.put(encoded.rows(torch.tensor([n])), flat)
                    effect[n, d, s] = generator.logits(generator.pictured_styles(styles))[0] - encoded.logits[n]
    return effect


def test_effects_of_a_linear_generator_in_closed_form() -> None:
    generator, x = binary(gain=4.0), images(7)
    found = find_effects(Encoded(generator, x), shift=0.5)
    s = x.flatten(1)
    expected = torch.zeros(7, 2, 5, 2)
    for d, target in enumerate((s.min(0).values, s.max(0).values)):
        expected[:, d, DRIVER, 1] = 2.0 * 0.5 * (target - s)[:, DRIVER]
        expected[:, d, DRIVER, 0] = -2.0 * 0.5 * (target - s)[:, DRIVER]
    torch.testing.assert_close(found.effect, expected)
    assert found.towards(1).shape == (int((s[:, DRIVER] <= 0).sum()), 2, 5)
    assert isinstance(generator, Explainable) and not isinstance(generator, Restartable)


def test_changes_are_pictured_many_at_a_time() -> None:
    generator = binary()
    encoded = Encoded(generator, images(4))
    generator.seen.clear()
    find_effects(encoded, rows=96)
    assert generator.seen == [6, 4] * 4, "both directions of three and of two channels, for each image"
    generator.seen.clear()
    find_effects(encoded, rows=4)
    assert generator.seen == [4, 2, 4] * 4


@pytest.mark.parametrize("made", [small, coloured])
@pytest.mark.parametrize("rows", [5, 96])
def test_effects_of_a_network_are_those_of_the_naive_loop(made: Callable[[], Looked], rows: int) -> None:
    generator = made()
    assert isinstance(generator, Restartable)
    encoded = Encoded(generator, generator.rows())
    found = find_effects(encoded, rows=rows)
    expected = naive(encoded)
    assert (found.effect - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (expected.abs().amax((0, 1, 3)) > 1e-3 * expected.abs().max()).all(), "every coordinate does something"
    layers = [encoded.coordinates.place(s)[0] for s in range(encoded.coordinates.count)]
    assert [*dict.fromkeys(layers)] == [*generator.attribute_layers, *generator.colour_layers]


def test_colour_layers_can_be_left_out_as_the_authors_do() -> None:
    generator = coloured()
    rows = generator.rows()
    whole, part = Encoded(generator, rows), Encoded(generator, rows, colours=False)
    assert [*part.coordinates.channels] == [*generator.attribute_layers]
    n = part.coordinates.count
    assert n < whole.coordinates.count and part.flat.equal(whole.flat[:, :n])
    assert find_effects(part).effect.equal(find_effects(whole).effect[:, :, :n])


def test_only_layers_behind_the_changed_one_run_again() -> None:
    generator, ran = small(1), list[str]()
    encoded = Encoded(generator, generator.rows())
    for name, layer in generator.network.synthesis._layers():
        layer.register_forward_hook(lambda module, given, y, name=name: ran.append(name))
    names = [name for name, _ in generator.network.synthesis._layers()]
    find_effects(encoded)
    expected = names + [n for k, name in enumerate(names) if "conv" in name for n in names[k + 1 :]]
    assert ran == expected


def test_a_search_that_was_left_goes_on(tmp_path: Path) -> None:
    generator, told = binary(), list[tuple[int, int]]()
    encoded = Encoded(generator, images(9))

    def left(done: int, total: int) -> None:
        if done >= 2 * PART * 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_effects(encoded, folder=tmp_path, progress=left)
    whole = find_effects(encoded)
    generator.seen.clear()
    again = find_effects(encoded, folder=tmp_path, progress=lambda *at: told.append(at))
    assert len(generator.seen) == 2 * (9 - 2 * PART), "two passes for each image that was left"
    assert again.effect.equal(whole.effect) and told[0] == (20, 90) and told[-1] == (90, 90)


@pytest.mark.parametrize("damage", ["cut", "foreign", "flipped"])
def test_a_damaged_or_foreign_part_is_computed_again(damage: str, tmp_path: Path) -> None:
    encoded = Encoded(binary(), images(2 * PART))
    whole = find_effects(encoded, folder=tmp_path)
    path, other = sorted(tmp_path.glob("*/part-*"))
    content = path.read_bytes()
    flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    path.write_bytes({"cut": content[:-5], "foreign": other.read_bytes(), "flipped": flipped}[damage])
    assert find_effects(encoded, folder=tmp_path).effect.equal(whole.effect)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("generator", "seed", "shift", "what"),
    [(binary(gain=3.0), 0, 1.0, "generator"), (binary(), 1, 1.0, "images"), (binary(), 0, 2.0, "shift")],
)
def test_searches_in_one_folder_keep_out_of_each_others_way(
    generator: Pixels, seed: int, shift: float, what: str, tmp_path: Path
) -> None:
    first = find_effects(Encoded(binary(), images(4)), folder=tmp_path)
    (about,) = tmp_path.glob("*/search.json")
    kept = {path: path.read_bytes() for path in about.parent.iterdir()}
    other = Encoded(generator, images(4, seed))
    found = find_effects(other, shift, folder=tmp_path)
    assert found.effect.equal(find_effects(other, shift).effect) and not found.effect.equal(first.effect)
    (new,) = set(tmp_path.glob("*/search.json")) - {about}
    differ = {name for name, value in json.loads(new.read_text()).items() if value != json.loads(kept[about])[name]}
    assert differ == {what}
    assert {path: path.read_bytes() for path in about.parent.iterdir()} == kept


def test_a_folder_for_searches_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    with pytest.raises(CheckpointError, match="kept"):
        find_effects(Encoded(binary(), images(4)), folder=tmp_path / "kept")


def search(folder: Path) -> None:
    generator, totals = small(5), set[int]()
    encoded = Encoded(generator, generator.rows())
    found = find_effects(encoded, folder=folder / "kept", progress=lambda done, total: totals.add(total))
    mine = {"effect": found.effect, "passes": torch.tensor(list(totals)) // (2 * encoded.coordinates.count)}
    torch.save(mine, folder / f"{os.environ['RANK']}.pt")


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    assert on_processes(2, search, tmp_path, tmp_path) == [0, 0]
    generator = small(5)
    whole = find_effects(Encoded(generator, generator.rows())).effect
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(each["effect"].equal(whole) for each in both)
    assert [each["passes"].tolist() for each in both] == [[len(whole) - PART], [PART]], "images, each by one of them"
    assert len(list((tmp_path / "kept").glob("*/part-*"))) == 3


def test_a_classifier_that_gives_no_number_is_told_of() -> None:
    class Broken(Pixels):
        def logits(self, x: Tensor) -> Tensor:
            y = super().logits(x)
            return torch.where(x.flatten(1)[:, :1] > 0.75, y * torch.nan, y)

    weights = binary().weights
    x = images(4).clamp(-0.5, 0.5)
    with pytest.raises(EvaluationError, match=r"says \[nan, nan\] of image 2; finite logits"):
        Encoded(Broken(weights), torch.cat([x[:2], torch.full_like(x[:1], 0.9), x[3:]]))
    with pytest.raises(EvaluationError, match=r"of image 0 under a changed coordinate, number"):
        find_effects(Encoded(Broken(weights), x), shift=40.0)


# --- the recorded tensor ---


@pytest.fixture(scope="module")
def recorded() -> tuple[dict[str, Any], dict[str, Tensor], Looked]:
    folder = shared("fixtures", "stylex")
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "weights.safetensors")
    io, wide = load_file(folder / "io.safetensors"), config["z_dim"] + config["n_classes"]
    own = {k.removeprefix("generator."): v for k, v in weights.items() if k.startswith("generator.")}
    own |= {k: torch.zeros([wide] * v.dim()) for k, v in own.items() if k.startswith("mapping.")}
    network = foreign.load("stylegan2/ada", own, {})  # its mapping is of no use here: w has the probabilities appended
    toy = Toy(6, config["n_classes"])
    toy.load_state_dict({k.removeprefix("classifier."): v for k, v in weights.items() if k.startswith("classifier.")})
    return config, io, Looked(network, toy, io["out.dlatent"])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found(recorded: tuple[dict[str, Any], dict[str, Tensor], Looked]) -> tuple[Encoded, Effects]:
    encoded = Encoded(recorded[2], recorded[2].rows())
    return encoded, find_effects(encoded, recorded[0]["shift_size"])


def test_the_recorded_effects(recorded: Any, found: tuple[Encoded, Effects]) -> None:
    (config, io, _), (encoded, effects) = recorded, found
    close: dict[str, float] = {"rtol": 1e-4, "atol": 2e-5}
    assert list(effects.coordinates.channels.values()) == config["style_sizes"]
    torch.testing.assert_close(encoded.flat, io["out.style.blocks"], **close)
    torch.testing.assert_close(encoded.images(torch.arange(12)), io["out.rec.img"], **close)
    torch.testing.assert_close(effects.logits, io["out.cls.logits_rec"], **close)
    torch.testing.assert_close(effects.range.low, io["out.att.min"], **close)
    torch.testing.assert_close(effects.range.high, io["out.att.max"], **close)
    assert (effects.effect - io["out.att.effect"]).abs().max() < 1e-4
    for d in (0, 1):
        moved = effects.range.moved(encoded.flat, [Step(d, config["probe_s"])], config["shift_size"])
        torch.testing.assert_close(encoded.images(torch.arange(12), moved), io[f"out.att.probe_img.{d}"], **close)


def test_the_recorded_share_of_flips(recorded: Any, found: tuple[Encoded, Effects]) -> None:
    """All images, each towards the other class, by the merged list or its opposite."""
    (config, io, _), (encoded, effects) = recorded, found
    merged = [Step(*step) for step in config["results"]["notebook.merged_to_class0"]]
    towards = {0: merged, 1: [opposite(step) for step in merged]}
    counts = [len(encoded.outside(y)) for y in (0, 1)]
    both = [sufficiency(encoded, effects.range, towards[y], y) for y in (0, 1)]
    shares = [sum(c * s for c, s in zip(counts, each, strict=True)) / sum(counts) for each in zip(*both, strict=True)]
    assert shares == pytest.approx(config["results"]["own.sufficiency_flip_rate_by_k"])
    for y in (0, 1):
        index = encoded.outside(y)
        images = encoded.images(index, effects.range.moved(encoded.flat[index], towards[y], 1.0))
        torch.testing.assert_close(images, io["out.att.img_all_merged"][index], rtol=1e-4, atol=2e-5)
