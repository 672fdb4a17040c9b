"""Techniques of three papers over three pairs, alone and together; and what is refused, with its reason.

docs/systems/gan_toolbox.md has the table; it is checked here against what happens.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.frozen import learnable
from genkit.gan.gan import GANTraining
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import (
    AGREEMENT,
    CLASSIFIER,
    DCGAN_C,
    DCGAN_G,
    MLP_C,
    MLP_G,
    RECONSTRUCTION,
    RESNET_C,
    RESNET_G,
    SPLIT_G,
    STYLEEX,
    STYLEGAN2_C,
    STYLEGAN2_G,
    TRANSGAN_C,
    TRANSGAN_G,
    WEIGHT_N,
    contrastive,
    finished,
)

Spec = dict[str, Any]

PAIRS: dict[str, tuple[Spec, Spec]] = {
    "dcgan": (DCGAN_G, DCGAN_C),
    "resnet": (RESNET_G, RESNET_C),
    "transgan": (TRANSGAN_G, TRANSGAN_C),
    "stylegan2": (STYLEGAN2_G, STYLEGAN2_C),
}


def techniques(critic: Spec) -> dict[str, Spec]:
    """Name -> the slots it fills; ratio clipping's classifier is a critic of the pair's kind."""
    return {
        "ratio_clipping": {"rule": {"type": "ratio_clipping", "classifier": critic, "steps": 2}},
        "reweighting": {"fake_weighting": {"type": "softmax_weighting"}},
        "robust_weights": {"real_weighting": {"type": "robust_weights", "network": WEIGHT_N, "outlier_share": 0.2}},
        "closed_form": {"real_weighting": {"type": "closed_form_weights", "outlier_share": 0.2}},
        "diff_augment": {"view": {"type": "diff_augment"}},
        "super_resolution": {"cotasks": [{"type": "super_resolution"}]},
        "locality_mask": {"schedules": [{"type": "locality_mask", "widths": [4, 6], "until": [1, 2]}]},
    }


NAMES = list(techniques({}))


def game(pair: str, names: list[str], **others: Any) -> GANTraining:
    torch.manual_seed(0)
    network, critic = PAIRS[pair]
    slots = {slot: value for name in names for slot, value in techniques(critic)[name].items()}
    if "super_resolution" in names:
        network = {**network, "low_resolution": True}
    spec = {"generator": {"type": "gan", "network": network}, "critic": critic, "penalties": [{"type": "r1"}]}
    built: GANTraining = catalog.build({"type": "gan_training", **spec, **slots, **others})
    return built


class Pictures:
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def __len__(self) -> int:
        return len(self.x)

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: torch.Tensor) -> torch.Tensor:
        return self.x[index]

    def condition(self, index: torch.Tensor) -> dict[str, torch.Tensor]:
        return {}


def play(system: GANTraining, looked_at: int = 2) -> dict[str, torch.Tensor]:
    """Two iterations: every term finite, every matrix of every learner moved; the terms of one of them."""
    rules = dict.fromkeys(system.all_learners(), Adam(lr=1e-3, betas=(0.0, 0.9)))
    trainer = Trainer(system.train(), Stream(Pictures(), 4, seed=0), rules, steps=2)
    before = {name: p.clone() for name, p in system.named_parameters()}
    scalars = [trainer.iterate() for _ in range(2)]
    assert all(value.isfinite() for row in scalars for value in row.values())
    learning = {id(p) for p in learnable(system)}
    moving = {name: p for name, p in system.named_parameters() if p.dim() > 1 and id(p) in learning}
    still = {name for name, p in moving.items() if p.equal(before[name])}
    assert not still, f"{sorted(still)} did not learn"
    return scalars[looked_at - 1]


def possible(pair: str, names: tuple[str, ...]) -> bool:
    weights = {"robust_weights", "closed_form"} <= set(names)
    small_image = pair != "stylegan2" or "super_resolution" not in names
    return not weights and small_image and (pair == "transgan" or "locality_mask" not in names)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", NAMES)
def test_alone(pair: str, name: str) -> None:
    if not possible(pair, (name,)):
        with pytest.raises(RecipeError, match=r"has no attention to mask|low_resolution"):
            game(pair, [name])
        return
    play(game(pair, [name]))


@pytest.mark.parametrize("pair", PAIRS)
def test_by_twos(pair: str) -> None:
    for names in combinations(NAMES, 2):
        if possible(pair, names):
            play(game(pair, list(names)))


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("objective", ["wasserstein", "hinge", "non_saturating"])
@pytest.mark.parametrize("weights", ["robust_weights", "closed_form"])
def test_all_together(pair: str, objective: str, weights: str) -> None:
    other = {"robust_weights": "closed_form", "closed_form": "robust_weights"}[weights]
    names = [name for name in NAMES if name != other and possible(pair, (name,))]
    scalars = play(game(pair, names, objective={"type": objective}))
    assert {"critic/effective_sample_size", "critic/robust_effective_sample_size", "critic/r1"} <= set(scalars)
    assert {"generator/clipped", "classifier/real"} <= set(scalars)
    assert ("generator/super_resolution" in scalars) == (pair != "stylegan2")


PAIRED: Spec = {
    "generator": {"type": "gan", "network": SPLIT_G},
    "rule": {"type": "paired_ascent", "rows": {"shape": 2, "rest": 2}},
    "penalties": [{"type": "r1"}, {"type": "path_length", "every": 1}, contrastive("shape", {"type": "mean_colour"})],
}


@pytest.mark.parametrize("name", ["reweighting", "robust_weights", "closed_form", "diff_augment"])
@pytest.mark.parametrize("objective", ["wasserstein", "hinge", "non_saturating"])
def test_pairs_that_share_a_slice(name: str, objective: str) -> None:
    scalars = play(game("stylegan2", [name], **PAIRED, objective={"type": objective}))
    assert {"generator/contrastive_shape", "generator/path_length", "critic/r1"} <= set(scalars)


CLASSIFIER_10: Spec = finished({**CLASSIFIER, "classes": 10})
EXPLAINED: Spec = {
    "type": "styleex_training",
    "generator": {**STYLEEX, "classifier": CLASSIFIER_10},
    "critic": {**STYLEGAN2_C, "outputs": 10},
    "penalties": [{"type": "r1"}, {"type": "path_length", "every": 2}, RECONSTRUCTION, AGREEMENT],
}
EXPLAINABLE = ["ratio_clipping", "reweighting", "robust_weights", "closed_form", "diff_augment"]


@pytest.mark.parametrize("name", [*EXPLAINABLE, "adaptive_augment", "reused_ascent", "own_step"])
@pytest.mark.parametrize("objective", ["wasserstein", "hinge", "non_saturating"])
def test_reconstructions(name: str, objective: str) -> None:
    others: dict[str, Spec] = {
        "adaptive_augment": {"view": {"type": "adaptive_augment", "p": 0.5, "every": 1, "images": 100}},
        "reused_ascent": {"rule": {"type": "reused_ascent"}},
        "own_step": {"penalties": [{"type": "own_step", "term": term} for term in EXPLAINED["penalties"]]},
    }
    slots = others.get(name) or {"rule": {"type": "ascent"}} | techniques(STYLEGAN2_C)[name]
    if name == "ratio_clipping":
        slots = {"rule": {**slots["rule"], "steps": 1}}
    scalars = play(game("stylegan2", [], **{**EXPLAINED, **slots}, objective={"type": objective}), 1)
    assert {"generator/path_length", "generator/reconstruction", "generator/agreement", "critic/r1"} <= set(scalars)


def test_reconstructions_share_no_slice_and_start_from_no_small_image() -> None:
    with pytest.raises(RecipeError, match="StyleGAN2Generator has no slices to share"):
        game("stylegan2", [], **{**EXPLAINED, "rule": {"type": "paired_ascent"}})
    with pytest.raises(RecipeError, match=r"cannot start from a small image"):
        game("stylegan2", [], **{**EXPLAINED, "cotasks": [{"type": "super_resolution"}]})


def test_pairs_are_of_a_rule_and_there_is_one() -> None:
    told = {**PAIRED, "rule": {"type": "ratio_clipping", "classifier": STYLEGAN2_C}}
    with pytest.raises(RecipeError, match="no pairs share shape; take the rule paired_ascent"):
        game("stylegan2", [], **told)


def test_the_classifier_sees_samples_as_they_are() -> None:
    """The ratio of old and new odds must not differ by an augmentation's draw."""
    system, seen = game("transgan", ["ratio_clipping", "diff_augment"]), []
    system.view.register_forward_hook(lambda module, given, made: seen.append(made))
    x = torch.rand(2, 1, 8, 8)
    system.rule.logit(x)  # type: ignore[operator]
    assert not seen
    system.score(x)
    assert len(seen) == 1


def test_the_weight_network_sees_samples_as_they_are() -> None:
    """While the scores that it is held against are of what the critic sees."""
    system, seen = game("dcgan", ["robust_weights", "diff_augment"]), []
    system.real_weighting.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = torch.rand(2, 1, 8, 8)
    system.critic_loss(x, {}, torch.randn(2, 3), torch.rand(2))
    assert len(seen) == 1 and seen[0].equal(x)


def test_ratio_clipping_reuses_the_critics_latents_and_one_mask() -> None:
    """Old and new images are of the same latents, under the mask of the iteration."""
    system = game("transgan", ["ratio_clipping", "locality_mask"])
    latents: dict[str, list[torch.Tensor]] = {}
    masks: list[int | None] = []
    trainer = Trainer(
        system, Stream(Pictures(), 4, seed=0), dict.fromkeys(system.all_learners(), Adam(lr=1e-3)), steps=4
    )
    perform = trainer.perform

    def watch(update: Any) -> Any:
        latents.setdefault(update.learner, []).append(update.on["z"])
        return perform(update)

    trainer.perform = watch  # type: ignore[method-assign]
    system.generator.network.register_forward_hook(lambda module, given, made: masks.append(module.locality))
    for _ in range(3):
        masks.clear()
        trainer.iterate()
        assert len(set(masks)) == 1
    assert all(z.equal(latents["critic"][i // 2]) for i, z in enumerate(latents["generator"]))
    assert all(not z.equal(latents["critic"][i // 2]) for i, z in enumerate(latents["classifier"]))


BATCH_C: Spec = {**RESNET_C, "norm": "batch"}

REFUSED: list[tuple[Spec, str]] = [
    ({"penalties": [{"type": "gradient_penalty"}], "critic": BATCH_C}, "gradient_penalty: the critic's batch norm"),
    ({"penalties": [{"type": "r1"}], "critic": BATCH_C}, "r1: the critic's batch norm mixes samples"),
    ({"cotasks": [{"type": "super_resolution"}]}, "DCGANGenerator cannot start from a small image"),
    ({"schedules": [{"type": "locality_mask", "widths": [2], "until": [9]}]}, "a convolution is local as it is"),
    ({"rule": {"type": "ratio_clipping", "classifier": {**DCGAN_C, "size": 16}}}, r"rule.classifier: it judges"),
    ({"rule": {"type": "ratio_clipping", "classifier": {**DCGAN_C, "classes": 3}}}, "it is shown no labels"),
    (
        {"real_weighting": {"type": "robust_weights", "network": {**WEIGHT_N, "size": 16}, "outlier_share": 0.1}},
        "robust weights: the network judges",
    ),
    ({"real_weighting": {"type": "closed_form_weights", "outlier_share": 0.5}}, "0.5"),
    (
        {"fake_weighting": {"type": "official_robust_weights", "network": WEIGHT_N, "rho": 0.1}},
        "the authors weigh real samples only",
    ),
    ({"critic": {**DCGAN_C, "size": 16}}, "make them equal"),
    ({"critic": TRANSGAN_C | {"patch": 3}}, "patches of 3 pixels do not fill 8"),
    (
        {"schedules": [{"type": "anneal", "setting": "view.strength", "start": 0, "stop": 1, "steps": 3}]},
        "is not a number of this game",
    ),
]


@pytest.mark.parametrize(("changed", "reason"), REFUSED, ids=[reason[:40] for _, reason in REFUSED])
def test_what_makes_no_sense_is_refused_in_one_line(changed: Spec, reason: str) -> None:
    spec = {"type": "gan_training", "generator": {"type": "gan", "network": DCGAN_G}, "critic": DCGAN_C, **changed}
    with pytest.raises(RecipeError, match=reason) as refusal:
        catalog.build(spec)
    assert "\n" not in str(refusal.value)


def test_images_only() -> None:
    spec = {"type": "gan_training", "generator": {"type": "gan", "network": MLP_G}, "critic": MLP_C}
    with pytest.raises(RecipeError, match="diff_augment changes images"):
        catalog.build({**spec, "view": {"type": "diff_augment"}})


def test_batch_norms_go_with_everything_but_penalties_of_gradients() -> None:
    system = game("dcgan", ["ratio_clipping", "reweighting"], critic=BATCH_C, penalties=[])
    play(system)
