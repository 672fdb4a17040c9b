from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import BeyondTraining, ConditionError, GenkitError, RecipeError
from genkit.core.frozen import freeze
from genkit.core.randomness import Noise
from genkit.data.digits import digits
from genkit.gan.control.control_training import ControlTraining
from genkit.gan.control.controlled import Controlled, spread
from genkit.gan.control.encoder import ControlEncoder
from genkit.gan.control.measures import MeanColour
from genkit.gan.gan import GAN
from genkit.gan.stylegan2.equalised import dense
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.gan.control.fixture import CLOSE, read
from tests.gan.control.test_split_mapping import small

HUE, SIZE, SHAPE = Values(0, 1, cyclic=True), Values(2, 6, unit="px"), Labels(3, ["disc", "square", "cross"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_recorded_encoder_its_image_and_one_step() -> None:
    recorded = read()
    told, io, network = recorded.config["controller"], recorded.io, recorded.generator
    at = network.slices[told["group"]]
    layers = dense([told["in_dim"], *[told["mid_dim"]] * (told["n_mlp"] - 1), at.stop - at.start], told["lr_mlp"])
    names = {f"{i}.{p}": f"controller.fc_stack.{i}.{p}" for i in range(4) for p in ("weight", "bias")}
    layers.load_state_dict({ours: recorded.weights[theirs] for ours, theirs in names.items()})
    made = layers(io["in.controls"])
    torch.testing.assert_close(made, io["out.phase2.pred_w"], **CLOSE)
    latents = recorded.latents(io["in.z"])
    w = network.to_w(latents).clone()
    loss = (made - w[:, 0, at]).abs().mean()
    torch.testing.assert_close(loss, io["out.phase2.l1"], **CLOSE)
    w[:, :, at] = made[:, None]
    torch.testing.assert_close(network.synthesise(w, latents["noise"]), io["out.phase2.img"], **CLOSE)
    loss.backward()
    norms = torch.stack([p.grad.norm() for p in layers.parameters()])  # type: ignore[union-attr]
    torch.testing.assert_close(norms, io["out.phase2.gradnorms"], rtol=1e-3, atol=1e-6)
    share = told["reg_every"] / (told["reg_every"] + 1)
    torch.optim.Adam(layers.parameters(), told["lr"] * share, (0.0, 0.99**share)).step()
    for ours, theirs in names.items():
        torch.testing.assert_close(layers.state_dict()[ours], io[f"after.{theirs}"], rtol=1e-4, atol=1e-5)


def test_what_an_encoder_is_told() -> None:
    assert ControlEncoder(SHAPE, 3).encoded(torch.tensor([2, 0])).equal(torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    half = torch.full((1, 3), 1 / 3)
    assert ControlEncoder(SHAPE, 3).encoded(half) is half, "probabilities, as measures read them"
    torch.testing.assert_close(ControlEncoder(SIZE, 3).encoded(torch.tensor([2.0, 5.0])), torch.tensor([[-1.0], [0.5]]))
    told = ControlEncoder(HUE, 3).encoded(torch.tensor([0.0, 0.25, 0.5]))
    torch.testing.assert_close(told, torch.tensor([[1.0, 0], [0, 1], [-1, 0]]), atol=1e-6, rtol=0)


def controlled(**arguments: Any) -> Controlled:
    generator = GAN(small()).eval()
    generator.network.measure(Noise(200))  # type: ignore[operator]
    encoders = {"hue": ControlEncoder(HUE, 2, 8), "shape": ControlEncoder(SHAPE, 3, 8)}
    return Controlled(generator, encoders, **arguments).eval()


def slices_of_w(made: Controlled, **condition: Any) -> tuple[Tensor, Tensor]:
    """w before and after the controls, of four latents."""
    w = made.generator.network.mapping(torch.randn(4, 9, generator=rng()))  # type: ignore[operator]
    return w, made.controlled_w(w, {k: torch.as_tensor(v) for k, v in condition.items()})


def test_without_a_wish_it_is_the_gan_bit_for_bit() -> None:
    made = controlled()
    assert made.sample(5, rng=rng()).equal(made.generator.sample(5, rng=rng()))


def test_a_slice_that_is_asked_for_is_the_encoders_and_all_else_stays() -> None:
    made = controlled()
    before, after = slices_of_w(made, hue=[0.2, torch.nan, 0.7, 0.2], shape=[-1, -1, 2, 0])
    hue, shape, rest = (made.generator.network.slices[k] for k in ("hue", "shape", "rest"))  # type: ignore[index]
    assert after[..., rest].equal(before[..., rest])
    assert after[1].equal(before[1]) and after[0, shape].equal(before[0, shape])
    torch.testing.assert_close(after[[0, 2, 3], hue], made.encoders[0](torch.tensor([0.2, 0.7, 0.2])))
    torch.testing.assert_close(after[2:, shape], made.encoders[1](torch.tensor([2, 0])))


def test_samples_of_several_wishes_by_name_and_what_is_refused() -> None:
    made = controlled()
    both = made.sample(3, condition={"hue": 0.6, "shape": "cross"}, rng=rng())
    alone = made.sample(3, condition={"hue": 0.6}, rng=rng())
    assert (both - alone).abs().amax((1, 2, 3)).min() > 1e-4
    assert both.equal(made.sample(3, condition={"hue": 1.6, "shape": 2}, rng=rng())), "a hue lies on a circle"
    with pytest.raises(ConditionError, match="takes no condition 'hues'; did you mean 'hue'"):
        made.sample(1, condition={"hues": 0.5})
    with pytest.raises(ConditionError, match="no class is called 'circle'"):
        made.sample(1, condition={"shape": "circle"})


def test_a_number_beyond_what_was_learned_is_taken_with_a_warning() -> None:
    made = Controlled(GAN(small()), {"hue": ControlEncoder(SIZE, 2, 8)})
    with pytest.warns(BeyondTraining, match=r"'hue': 7 px is beyond what was learned, 2 to 6 px"):
        made.sample(1, condition={"hue": 7.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.sample(1, condition={"hue": 6.0})


def test_truncation_is_of_what_is_drawn_not_of_what_is_asked_for() -> None:
    made = controlled(psi={"hue": 0.0, "rest": 0.5})
    before, after = slices_of_w(made, hue=[0.2, torch.nan, 0.7, 0.2])
    mean, slices = made.generator.network.w_avg, made.generator.network.slices
    torch.testing.assert_close(after[1, slices["hue"]], mean[slices["hue"]])  # type: ignore[index]
    torch.testing.assert_close(after[0, slices["hue"]], made.encoders[0](torch.tensor([0.2]))[0])  # type: ignore[index]
    rest = slices["rest"]  # type: ignore[index]
    torch.testing.assert_close(after[..., rest], mean[rest].lerp(before[..., rest], 0.5))  # type: ignore[index]


def test_a_sweep_is_samples_that_differ_in_one_wish() -> None:
    made = controlled()
    strip = made.sweep("hue", torch.tensor([0.1, 0.5]), 3, rng(), shape="disc")
    for k, hue in enumerate((0.1, 0.5)):
        sampled = made.sample(3, condition={"hue": hue, "shape": 0}, rng=rng())
        torch.testing.assert_close(strip[:, k], sampled, rtol=0, atol=1e-5)
    with pytest.raises(ConditionError, match="takes no condition 'hues'; did you mean 'hue'"):
        made.sweep("hues", torch.zeros(1), 1, rng())


def test_values_from_the_least_to_the_largest() -> None:
    torch.testing.assert_close(spread(SIZE, 5), torch.tensor([2.0, 3, 4, 5, 6]))
    uneven = Values(0.3, 0.7)
    assert spread(uneven, 8)[-1] == torch.tensor(0.7), "and not a rounding error beyond it"
    torch.testing.assert_close(spread(HUE, 4), torch.tensor([0.0, 0.25, 0.5, 0.75]))
    assert spread(SHAPE, 8).tolist() == [0, 0, 0, 1, 1, 1, 2, 2] and spread(Labels(20), 8).tolist() == list(range(8))


def test_its_picture_has_a_row_an_attribute() -> None:
    images, columns = controlled().pictured(rng())
    assert (len(images), columns) == (24, 8) and images.isfinite().all()


# Training


class Brightness(nn.Module):
    """A measure with a closed form: how bright an image is."""

    column = Values(-1, 1)

    def embed(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None]

    def read(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))


def training(**arguments: Any) -> ControlTraining:
    generator = GAN(small(channels=1, size=8, widths=[8, 6]))
    return ControlTraining(freeze(generator), {"rest": Brightness()}, **{"pairs": 300, "width": 16} | arguments)


def trainer(system: ControlTraining, batch: int = 64) -> Trainer:
    data = digits("test", 8)
    return Trainer(system.train(), Stream(data, batch, seed=0), {"encoders": Adam(lr=3e-3)}, steps=400)


def test_pairs_are_a_function_of_the_seed_and_say_what_the_images_show() -> None:
    system = training()
    w, shown = system.drawn_pairs()
    again, _ = training().drawn_pairs()
    assert w.shape == (300, 9) and shown["rest"].shape == (300,) and again.equal(w)
    assert not training(seed=1).drawn_pairs()[0].equal(w)
    assert shown["rest"].std() > 0 and len(w.unique(dim=0)) == 300
    network = system.controlled.generator.network
    drawn = system.controlled.latents(Noise(128, rng=torch.Generator().manual_seed(_pairs_seed())))
    torch.testing.assert_close(w[:128], network.to_w(drawn)[:, 0])  # type: ignore[operator]
    torch.testing.assert_close(shown["rest"][:128], network(drawn).clamp(-1, 1).mean((1, 2, 3)))  # type: ignore[operator]


def _pairs_seed() -> int:
    from genkit.core.randomness import stable_seed

    return stable_seed(0, "pairs")


def test_encoders_learn_and_nothing_else_moves() -> None:
    system = training()
    gan = {k: v.clone() for k, v in system.controlled.generator.state_dict().items()}
    made = trainer(system)
    losses = [made.iterate()["encoders/rest"].item() for _ in range(150)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert all(v.equal(gan[k]) for k, v in system.controlled.generator.state_dict().items())


def test_the_loss_is_the_mean_distance_of_slices() -> None:
    system = training()
    w, y = torch.randn(5, 9), torch.rand(5)
    at = system.controlled.slices["rest"]
    expected = (system.controlled.encoders[0](y) - w[:, at]).abs().mean()
    torch.testing.assert_close(system.loss(w, {"rest": y})["rest"], expected)


def test_what_it_leaves_is_whole(tmp_path: Path) -> None:
    system = training()
    assert list(system.products) == ["controlled"]
    system.controlled.save_pretrained(tmp_path / "w")
    again = Controlled.from_pretrained(tmp_path / "w")
    wish = {"rest": 0.3}
    assert again.sample(3, condition=wish, rng=rng()).equal(system.controlled.sample(3, condition=wish, rng=rng()))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: ControlTraining(GAN(small()), {"hue": Brightness()}),
            "generator: controls are learned of a finished GAN",
        ),
        (lambda: ControlTraining(freeze(GAN(small())), {}), "controls: needs one at least, as SLICE: MEASURE"),
        (
            lambda: ControlTraining(freeze(GAN(small())), {"hues": Brightness()}),
            "no slice 'hues' of the latent; did you",
        ),
        (lambda: Controlled(GAN(small()), {"hue": ControlEncoder(HUE, 3)}), r"encoders\.hue\.dim: the slice has 2"),
        (lambda: controlled(psi={"hues": 0.5}), "psi: no slice 'hues' of w"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make: Any, told: str) -> None:
    with pytest.raises(GenkitError, match=told):
        make()


def test_a_measure_that_reads_no_value_controls_nothing() -> None:
    from genkit.core import catalog
    from tests.contracts.specs import SPLIT_G, finished

    spec = {"type": "control_training", "generator": finished({"type": "gan", "network": SPLIT_G})}
    with pytest.raises(RecipeError, match=r"controls\.rest: 'mean_colour' does not make a Readable.*lacks"):
        catalog.build({**spec, "controls": {"rest": {"type": "mean_colour"}}})
    assert isinstance(MeanColour(), nn.Module)
