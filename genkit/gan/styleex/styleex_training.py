"""Training of StylEx: a GAN whose fakes are reconstructions in some iterations. Lang et al. 2021, arXiv:2104.13369."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.core.frozen import check_finished
from genkit.core.generator import Items
from genkit.core.system import Data, Turns
from genkit.core.tree import Tree
from genkit.gan.gan import GANTraining
from genkit.gan.networks.critic import Critic
from genkit.gan.objectives import Objective
from genkit.gan.slots import Rule, Schedule, Term, View, Weighting
from genkit.gan.styleex.styleex import StyleEx

LOOKED_AT = 256
"""Images of the training set that the classifier is tried on."""
SURE = 0.95
"""Probability beyond which a classifier knows no other class."""


class StyleExTraining(GANTraining):
    """The game of GANTraining, with the same slots, between a critic and the pair of a generator and its encoder.

    The probabilities that fakes are made and judged for are those of the real images of the batch. In iterations 0, N,
    2N, ... w of the fakes is E(x) of these images, in all players' steps; in the others it is drawn. So the authors
    told those who reproduced their work. Terms of reconstructions are penalties, such as `reconstruction`, `agreement`.

    Args:
        generator: whose classifier is finished.
        critic: with an output for each class, or one.
        alternate: N; 1 never draws w.
        objective, critic_steps, view, real_weighting, fake_weighting, penalties, rule, cotasks, schedules: as of
            GANTraining.

    Raises:
        RecipeError: parts that do not fit together.
    """

    generator: StyleEx

    def __init__(
        self,
        generator: StyleEx,
        critic: Critic,
        *,
        alternate: Annotated[int, Field(ge=1, le=1000)] = 2,
        objective: Objective | None = None,
        critic_steps: Annotated[int, Field(ge=1, le=1000)] = 1,
        view: View | None = None,
        real_weighting: Weighting | None = None,
        fake_weighting: Weighting | None = None,
        penalties: list[Term] | None = None,
        rule: Rule | None = None,
        cotasks: list[Term] | None = None,
        schedules: list[Schedule] | None = None,
    ):
        check_finished(generator.finished, "generator.classifier: what is explained is finished")
        self.alternate, self.encoding = alternate, True
        super().__init__(
            generator,
            critic,
            objective=objective,
            critic_steps=critic_steps,
            view=view,
            real_weighting=real_weighting,
            fake_weighting=fake_weighting,
            penalties=penalties,
            rule=rule,
            cotasks=cotasks,
            schedules=schedules,
        )

    def check(self, items: Items) -> None:
        index = torch.linspace(0, len(items) - 1, min(len(items), LOOKED_AT)).long()
        check_classifier(self.generator, items.rows(index))

    def iteration(self, data: Data, step: int) -> Turns:
        self.encoding = step % self.alternate == 0
        yield from super().iteration(data, step)

    def latents(self, data: Data, x: Tensor) -> Tree:
        return self.generator.encoded_latents(x, data) if self.encoding else self.generator.latents(data)


def check_classifier(generator: StyleEx, x: Tensor) -> None:
    """Tries the classifier on images x (n, C, H, W).

    Raises:
        RecipeError: its outputs are no logits (n, classes), not finite, or without gradients to the images, or it is
            sure of the same class for all of them.
    """
    x, classes = x.clone().requires_grad_(), generator.classifier.classes
    with torch.enable_grad():
        logits = generator.logits(x)
    if logits.shape != (len(x), classes):
        raise RecipeError(
            f"classifier: {len(x)} images give {list(logits.shape)}, not logits of {classes} classes for each"
        )
    if not logits.isfinite().all():
        raise RecipeError(f"classifier: {int((~logits.isfinite()).any(1).sum())} of {len(x)} images give nan or inf")
    if not logits.requires_grad:
        raise RecipeError("classifier: its logits have no gradient to the images; give the network itself, in PyTorch")
    top, label = logits.softmax(1).max(1)
    if len(label.unique()) == 1 and top.min() > SURE:
        names = getattr(generator.classifier, "class_names", ()) or range(classes)
        raise RecipeError(
            f"data: all of {len(x)} images looked at are surely of class {names[int(label[0])]}, so that nothing tells "
            "classes apart; add images of another class"
        )
