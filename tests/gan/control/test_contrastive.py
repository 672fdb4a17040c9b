from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.randomness import Noise
from genkit.gan.control.contrastive import Contrastive
from genkit.gan.control.measures import MeanColour
from genkit.gan.control.paired_ascent import PairedAscent
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.mlp import MLPGenerator
from genkit.gan.objectives import NonSaturating
from genkit.gan.slots import Turn
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.training import train
from genkit.training.log import read_metrics
from genkit.training.recipe import Recipe
from tests.contracts.specs import SPLIT_G, STYLEGAN2_C, contrastive
from tests.gan.control.fixture import CLOSE, Fixture, names_of, read, rows_of
from tests.gan.control.test_split_mapping import small
from tests.training.tiny import ADAM, on_processes


class Pooled(nn.Module):
    """The recorded toy predictor."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def embed(self, x: Tensor) -> Tensor:
        return F.linear(F.adaptive_avg_pool2d(x, 4).flatten(1), self.weight, self.bias)


def phase_one(recorded: Fixture) -> GANTraining:
    terms = []
    for name, told in recorded.config["toy_predictors"].items():
        toy = Pooled(*(recorded.weights[f"toy_predictor.{name}.{p}"] for p in ("weight", "bias")))
        distance: Any = "squared" if told["criterion"] == "embedding_loss" else "mean_absolute"
        terms.append(Contrastive(name, toy, told["tau_plus"], told["tau_minus"], distance, told["weight"]))
    rule = PairedAscent(rows_of(recorded.config["sub_groups_dict"]))
    return GANTraining(
        GAN(recorded.generator), recorded.critic, objective=NonSaturating(), penalties=list(terms), rule=rule
    )


def test_the_recorded_objective_and_the_gradients_of_every_parameter() -> None:
    recorded = read()
    system, io = phase_one(recorded), recorded.io
    for name in ("shape", "hue"):
        term = next(t for t in system.terms if t.name == f"contrastive_{name}")
        features = term.measure.embed(recorded.generator(recorded.latents(io["out.pairs.z"])))
        torch.testing.assert_close(features, io[f"out.phase1.features.{name}"], **CLOSE)
    terms = system.rule.loss(system, io["in.real"], {}, recorded.latents(io["out.pairs.z"]))  # type: ignore[operator]
    torch.testing.assert_close(terms["loss"], io["out.phase1.adv"], **CLOSE)
    for name in ("shape", "hue"):
        torch.testing.assert_close(terms[f"contrastive_{name}"], io[f"out.phase1.term.{name}"], **CLOSE)
    total = sum(terms.values())
    torch.testing.assert_close(total, io["out.phase1.total"], **CLOSE)
    total.backward()  # type: ignore[union-attr]
    norms = dict(zip(recorded.config["generator_param_order"], io["out.phase1.gradnorms"], strict=True))
    names = names_of(recorded.config)
    for ours, parameter in recorded.generator.named_parameters():
        slope = parameter.grad.norm() if parameter.grad is not None else torch.zeros(())
        torch.testing.assert_close(slope, norms[names[ours][0]], rtol=1e-3, atol=1e-5, msg=ours)


def game(*terms: Contrastive, rows: dict[str, int] | None = None, **rule: Any) -> GANTraining:
    generator = GAN(small())
    return GANTraining(
        generator, StyleGAN2Critic(16, widths=[4, 4, 4]), penalties=list(terms), rule=PairedAscent(rows, **rule)
    )


class Draws(Noise):
    """Noise of eight rows, as the generator's step is handed it."""

    def __init__(self) -> None:
        super().__init__(8, torch.Generator().manual_seed(0))


def test_the_generators_step_is_in_pairs_and_the_critics_is_not() -> None:
    system = game(rows={"hue": 2, "rest": 4})
    made: Any = system.rule.latents(system, Draws(), torch.zeros(8))  # type: ignore[operator]
    plain: Any = system.generator.latents(Draws())
    hue, rest = system.generator.network.slices["hue"], system.generator.network.slices["rest"]  # type: ignore[index]
    assert made["z"][1, hue].equal(made["z"][0, hue]) and made["z"][5, rest].equal(made["z"][4, rest])
    changed = (made["z"] != plain["z"]).any(0).sum(), (made["z"] != plain["z"]).any(1).nonzero().flatten().tolist()
    assert changed == (6, [1, 3, 5])
    assert all(a.equal(b) for a, b in zip(made["noise"], plain["noise"], strict=True))
    twice: Any = game(rows={"hue": 16}, batches=2)
    first, again = (twice.rule.latents(twice, Draws(), torch.zeros(8))["z"] for _ in range(2))
    assert first[1::2, hue].equal(again[::2, hue])


def test_a_term_pulls_at_its_own_pairs_alone() -> None:
    told = {"tau_plus": 0.0, "tau_minus": 1e-3, "weight": 3.0}
    system = game(Contrastive("hue", MeanColour(), **told), Contrastive("rest", MeanColour(), **told))  # type: ignore[arg-type]
    z: Any = system.rule.latents(system, Draws(), torch.zeros(8))  # type: ignore[operator]
    turn = Turn(system, "generator", torch.zeros(8, 3, 16, 16), {}, z)
    pairs = {"hue": [(4, 5)], "rest": [(6, 7)]}
    colour = (turn.fake.x.mean((2, 3)) + 1) / 2
    for term in system.terms:
        apart = [(colour[i] - colour[j]).abs().mean() for i, j in pairs[term.attribute]]  # type: ignore[index]
        others = [
            F.relu(1e-3 - (colour[i] - colour[j]).abs().mean())
            for i in range(8)
            for j in range(i)
            if (j, i) not in pairs[term.attribute]  # type: ignore[index]
        ]
        torch.testing.assert_close(term(turn), 3 * (torch.stack(apart).mean() + torch.stack(others).mean()))


def test_its_measure_is_frozen_and_learns_nothing() -> None:
    toy = Pooled(torch.randn(2, 48), torch.zeros(2))
    system = game(Contrastive("hue", toy, 0.0, 1.0))
    assert not any(p.requires_grad for p in toy.parameters()) and set(system.all_learners()) == {"critic", "generator"}
    z: Any = system.rule.latents(system, Draws(), torch.zeros(8))  # type: ignore[operator]
    system.terms[0](Turn(system, "generator", torch.zeros(8, 3, 16, 16), {}, z)).backward()
    assert toy.weight.grad is None and system.generator.network.synthesis.const.grad is not None  # type: ignore[union-attr]


class Half(Pooled):
    sample_shape = (3, 8, 8)

    def embed(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (3, 8, 8)
        return super().embed(x)


def test_a_measure_of_smaller_images_is_shown_smaller_ones() -> None:
    system = game(Contrastive("hue", Half(torch.randn(2, 48), torch.zeros(2)), 0.0, 1.0))
    z: Any = system.rule.latents(system, Draws(), torch.zeros(8))  # type: ignore[operator]
    assert system.terms[0](Turn(system, "generator", torch.zeros(8, 3, 16, 16), {}, z)).isfinite()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: game(Contrastive("hues", MeanColour(), 0.0, 1.0)), "no slice 'hues'; did you mean 'hue'"),
        (lambda: game(Contrastive("hue", MeanColour(), 1.0, 0.5)), "tau_plus, 1, lies below tau_minus, 0.5"),
        (lambda: game(Contrastive("hue", MeanColour(), 0.0, 1.0), rows={"rest": 4}), "no pairs share hue"),
        (lambda: game(rows={"hue": 3}), "rows: hue has 3, which do not go into pairs"),
        (lambda: game(rows={"hues": 4}), r"paired_ascent\.rows: no slice 'hues'; did you mean 'hue'"),
        (
            lambda: game().check_batch(4),
            "pairs of shape, hue, rest take 6 rows at least, and the generator's step has 4",
        ),
        (lambda: game(rows={"hue": 4, "rest": 4}).check_batch(6), "take 8 rows at least, and .* has 6"),
        (
            lambda: GANTraining(GAN(MLPGenerator(3)), nn.Identity(), rule=PairedAscent()),  # type: ignore[arg-type]
            "the latent of MLPGenerator has no slices",
        ),
        (
            lambda: GANTraining(
                GAN(small()),
                StyleGAN2Critic(16, widths=[4, 4, 4]),
                penalties=[Contrastive("hue", MeanColour(), 0.0, 1.0)],
            ),
            "no pairs share hue; take the rule paired_ascent",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make: Any, told: str) -> None:
    with pytest.raises(GenkitError, match=told):
        make()


def recipe(batch_size: int = 6) -> Recipe:
    system = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": SPLIT_G},
        "critic": STYLEGAN2_C,
        "penalties": [contrastive("shape", {"type": "mean_colour"}), contrastive("rest", {"type": "mean_colour"})],
        "rule": {"type": "paired_ascent", "rows": {"shape": 2, "rest": 4}},
    }
    tree = {
        "name": "pairs",
        "data": {"type": "digits", "split": "test", "size": 8},
        "system": system,
        "optimizers": {"critic": ADAM, "generator": ADAM},
        "train": {"steps": 3, "batch_size": batch_size},
        "every": {"log": 1},
    }
    return Recipe.from_dict(tree)


def test_a_batch_that_is_too_small_is_noticed_before_anything_is_trained() -> None:
    from genkit.training.preparation import checked

    with pytest.raises(RecipeError, match=r"train\.batch_size: pairs of shape, rest take 6 rows at least"):
        checked(recipe(batch_size=4))


def two(out: Path) -> None:
    train(recipe(), out)


def losses(run: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(run / "metrics.jsonl")]


def test_two_processes_see_the_pairs_of_the_whole_batch(tmp_path: Path) -> None:
    """Rows 2 and 3 are a pair; the first of them is the last of the first process."""
    one = losses(train(recipe(), tmp_path / "one"))
    assert on_processes(2, two, tmp_path, tmp_path / "two") == [0, 0]
    assert {"generator/contrastive_shape", "generator/contrastive_rest"} <= set(one[-1])
    for a, b in zip(one, losses(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, abs=1e-5, rel=1e-5)
