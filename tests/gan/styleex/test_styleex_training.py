"""The game: what fakes are asked for, when they are reconstructions, and the terms of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError, RecipeError
from genkit.core.frozen import freeze
from genkit.core.system import Batch, Update
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.own_step import OwnStep
from genkit.gan.ratio_clipping import RatioClipping
from genkit.gan.reused_ascent import ReusedAscent
from genkit.gan.slots import Ascent, Turn
from genkit.gan.styleex.encoded_terms import Agreement, LatentReconstruction, Perceptual, Reconstruction
from genkit.gan.styleex.styleex import StyleEx
from genkit.gan.styleex.styleex_training import StyleExTraining
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator
from genkit.gan.stylegan2.path_length import PathLength
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.gan.styleex.game import SMALL, Halves, Pictures, pictures, styleex, training


def trainer_of(system: GANTraining) -> Trainer:
    rules = dict.fromkeys(system.all_learners(), Adam(lr=1e-3, betas=(0.0, 0.9)))
    return Trainer(system.train(), Stream(Pictures(), 6, seed=0), rules, steps=9)


def updates(system: StyleExTraining, iterations: int) -> list[list[Update]]:
    """All updates of each iteration, performed."""
    trainer, found = trainer_of(system), list[list[Update]]()
    perform = trainer.perform

    def watch(update: Update) -> Any:
        found[-1].append(update)
        return perform(update)

    trainer.perform = watch  # type: ignore[method-assign]
    for _ in range(iterations):
        found.append([])
        trainer.iterate()
    return found


def encoded(update: Update) -> bool:
    return "seen" in update.on["z"]


def rules() -> Iterator[Callable[[], Any]]:
    yield from (Ascent, lambda: Ascent(batches=2), ReusedAscent)
    yield lambda: RatioClipping(StyleGAN2Critic(**SMALL), steps=2)


@pytest.mark.parametrize("rule", list(rules()))
@pytest.mark.parametrize("critic_steps", [1, 2])
def test_fakes_are_asked_for_what_the_classifier_says_of_real_images(rule: Any, critic_steps: int) -> None:
    """In every step of every player, with reconstructions of the very same images in iterations 0, 2, ..."""
    system = training(rule=rule(), critic_steps=critic_steps)
    for k, iteration in enumerate(updates(system, 4)):
        assert {update.learner for update in iteration} >= {"critic", "generator"}
        for update in iteration:
            assert encoded(update) == (k % 2 == 0)
            want = system.generator.logits(update.on["x"]).softmax(1)
            torch.testing.assert_close(update.on["y"]["probabilities"], want)
            if encoded(update):
                assert update.on["z"]["seen"].equal(update.on["x"]) and "z" not in update.on["z"]


def test_which_iterations_have_reconstructions() -> None:
    for alternate in (1, 3):
        got = [encoded(iteration[0]) for iteration in updates(training(alternate=alternate), 7)]
        assert got == [k % alternate == 0 for k in range(7)]


def test_the_critic_is_shown_reconstructions_and_judges_by_the_real_images_probabilities() -> None:
    system, x = training(), pictures()
    real = Batch(x, {}, torch.arange(6))
    y, z = system.asked(real), {"seen": x}
    turn = Turn(system, "critic", x, y, z)
    made = system.generator(z, y)
    torch.testing.assert_close(turn.fake.x, made)
    outputs: Tensor = system.critic.head(system.critic.features(made))
    torch.testing.assert_close(turn.fake.score, (y["probabilities"] * outputs).sum(1))
    again = system.generator.logits(made).softmax(1)
    assert not torch.allclose(turn.fake.score, (again * outputs).sum(1)), "not those of the reconstruction"


def turn_of(system: StyleExTraining, x: Tensor) -> Turn:
    return Turn(system, "generator", x, system.asked(Batch(x, {}, torch.arange(len(x)))), {"seen": x})


def test_terms_are_what_they_say() -> None:
    system, x = training(), pictures()
    turn, generator = turn_of(system, x), system.generator
    made = turn.fake.x.clamp(-1, 1)
    torch.testing.assert_close(Reconstruction(3.0)(turn), 3 * (x - made).abs().mean())
    vectors = (generator.encode(x) - generator.encode(made)).abs().mean()
    torch.testing.assert_close(LatentReconstruction(3.0)(turn), 3 * vectors)
    p, q = (generator.logits(images).double().softmax(1) for images in (x, made))
    torch.testing.assert_close(Agreement(3.0)(turn).double(), 3 * (p * (p / q).log()).sum(1).mean())
    halves = [torch.nn.functional.avg_pool2d(x - made, side).abs().mean() for side in (2, 4)]
    torch.testing.assert_close(Perceptual(weight=3.0)(turn), 3 * sum(halves) / 2)


@pytest.mark.parametrize("term", [Reconstruction, LatentReconstruction, Agreement, Perceptual])
def test_terms_reach_generator_and_encoder_and_not_the_classifier(term: Any) -> None:
    generator = styleex()
    system = training(generator=generator)
    term()(turn_of(system, pictures())).backward()
    for part in (generator.encoder, generator.network.synthesis):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())
    assert all(p.grad is None for p in generator.classifier.parameters())
    assert all(p.grad is None for p in generator.network.mapping.parameters())


def test_agreement_sees_a_sign() -> None:
    """Its gradient moves the reconstruction towards the classifier's opinion of the image."""
    generator, x = styleex(), pictures()
    made = torch.zeros_like(x, requires_grad=True)
    Agreement().distance(generator, x, made).backward()
    assert made.grad is not None
    before, after = (generator.logits(images).softmax(1) for images in (made, made - 0.02 * made.grad.sign()))
    p = generator.condition_of(x)["probabilities"]
    assert ((after - p).abs().sum(1) < (before - p).abs().sum(1)).all()


def test_terms_count_in_steps_on_reconstructions_as_much_as_they_would_in_all() -> None:
    system = training(Reconstruction(3.0), OwnStep(LatentReconstruction(every=4)))
    trainer = trainer_of(system)
    rows = [trainer.iterate() for _ in range(5)]
    assert [("generator/reconstruction" in row, "generator/latent_reconstruction" in row) for row in rows] == [
        *((True, True), (False, False), (True, False), (False, False), (True, True))
    ]
    x = pictures()
    added = system.added(turn_of(system, x), 0)
    torch.testing.assert_close(added["reconstruction"], 2 * Reconstruction(3.0)(turn_of(system, x)))


def test_training_moves_generator_and_encoder_and_averages_both() -> None:
    system = training(Reconstruction(), Agreement())
    trainer = trainer_of(system)
    before = {k: p.clone() for k, p in system.named_parameters()}
    trainer.iterate()
    moved = {k for k, p in system.named_parameters() if not p.equal(before[k])}
    assert any(".encoder." in k for k in moved) and any(".synthesis." in k for k in moved)
    assert not any(".mapping." in k or ".classifier." in k for k in moved), "w of the first iteration is E(x)"
    trainer.iterate()
    assert any(".mapping." in k for k, p in system.named_parameters() if not p.equal(before[k]))
    average: Any = trainer.ema.module
    live = dict(system.generator.named_parameters())
    for name in ("encoder.head.weight", "network.synthesis.const"):
        assert not average.get_parameter(name).equal(live[name])
        assert not average.get_parameter(name).equal(before[f"generator.{name}"])
    assert average.classifier is system.generator.classifier


def test_paths_are_measured_from_what_the_synthesis_reads() -> None:
    """The w of the image where it is encoded, the probabilities with it."""
    system, x = training(), pictures()
    turn, paths = turn_of(system, x), PathLength(shrink=2, pace=1.0)
    assert paths(turn).isfinite() and paths.mean > 0
    assert system.generator.to_w({"seen": x}, turn.y).shape == (6, 4, 8)
    paths(turn).backward()
    assert all(p.grad is not None for p in system.generator.encoder.parameters())


@pytest.mark.parametrize(
    ("term", "slots", "reason"),
    [
        (lambda: Reconstruction(every=1), {}, "reconstruction.every: got 1, but generator step 1 is of drawn w; take"),
        (
            lambda: Agreement(every=3),
            {},
            "agreement.every: got 3, but generator step 3 is of drawn w; take",
        ),
        (lambda: Perceptual(every=2), {"rule": Ascent(steps=2)}, "step 2 is of drawn w; take a multiple of 4"),
        (lambda: Perceptual(), {"alternate": 3}, "step 2 is of drawn w; take a multiple of 3"),
        (lambda: OwnStep(Agreement(every=1)), {}, "agreement.every: got 1"),
    ],
)
def test_intervals_that_meet_drawn_w_are_refused(term: Any, slots: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        training(term(), **slots)


@pytest.mark.parametrize(
    ("term", "slots"),
    [
        (lambda: Reconstruction(every=4), {}),
        (lambda: Reconstruction(every=4), {"rule": Ascent(steps=2)}),
        (lambda: Reconstruction(every=1), {"alternate": 1, "rule": Ascent(steps=3)}),
    ],
)
def test_intervals_that_do_not_are_taken(term: Any, slots: dict[str, Any]) -> None:
    for iteration in updates(training(term(), **slots), 3):
        assert iteration


def test_terms_of_reconstructions_are_of_this_system_alone() -> None:
    plain = GAN(StyleGAN2Generator(5, style_dim=6, depth=2, **SMALL))
    for generator in (plain, styleex()):
        with pytest.raises(RecipeError, match="agreement: it is of reconstructions, which only styleex_training makes"):
            GANTraining(generator, StyleGAN2Critic(**SMALL), penalties=[Agreement()])
    with pytest.raises(GenkitError, match="this step's fakes are no reconstructions"):
        Agreement()(Turn(training(), "generator", pictures(), {}, torch.randn(6, 5)))


class Answers(Halves):
    """A classifier of one's own whose answer is given."""

    def __init__(self, answer: Callable[[Tensor], Tensor]):
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(super().forward(x))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda y: y * float("nan"), "classifier: 24 of 24 images give nan or inf"),
        (lambda y: y[:, :1], r"classifier: 24 images give \[24, 1\], not logits of 2 classes"),
        (lambda y: y.detach(), "its logits have no gradient to the images"),
        (lambda y: y + torch.tensor([0.0, 50.0]), "all of 24 images looked at are surely of class right"),
    ],
)
def test_what_cannot_be_explained_is_refused_before_training(answer: Any, reason: str) -> None:
    system = training(generator=styleex(Answers(answer)))
    with pytest.raises(RecipeError, match=reason) as refusal:
        system.check(Pictures())
    assert "\n" not in str(refusal.value)
    training().check(Pictures())


def test_an_unfinished_classifier_is_refused() -> None:
    generator = StyleEx(
        StyleGAN2Generator(5, style_dim=6, depth=2, appended=2, **SMALL),
        StyleGAN2Encoder(style_dim=6, **SMALL),
        Halves(),
    )
    with pytest.raises(RecipeError, match=r"generator.classifier: what is explained is finished: give it as \{weights"):
        training(generator=generator)


def test_batch_norms_of_the_classifier_stand_still() -> None:
    class Normed(Halves):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.norm(x))

    classifier = freeze(Normed())
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    updates(training(Agreement(), generator=styleex(classifier)), 2)
    assert all(v.equal(before[k]) for k, v in classifier.state_dict().items())
