"""Unsupervised domain adaptation: a classifier whose features look alike in a labelled and an unlabelled domain.

The robust optimal-transport distance between the domains' features, with weights on the target: Balaji et al. 2020,
arXiv:2010.05862, Sec. 5. Without weights it is adversarial adaptation: Ganin et al. 2016, arXiv:1505.07818.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genkit.classifiers.image_classifier import ImageClassifier
from genkit.core.condition import Condition, ConditionSpace, check_classified
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, Items, System, Terms, Turns, Update, descend, observe
from genkit.gan.networks.critic import Critic
from genkit.gan.objectives import NonSaturating, Objective, Wasserstein
from genkit.gan.robust_weights import BallWeighting
from genkit.gan.slots import Judged, Pair


class DomainAdaptation(System):
    """The three players of Balaji et al. 2020: critic D of features, weights W of target images, classifier C of F.

    Every iteration: W descends the weighted distance between the domains, D climbs it, and F and C descend the source's
    cross-entropy and the target's weighted entropy. In every `critic_steps`-th iteration F descends the distance too.
    The source is what D takes for real, the target for fake, and weights stand outside the non-linearity. The authors
    step D before W and recompute nothing in between; here W comes first, as in their GAN.

    Args:
        classifier: features F, and C as its linear head; the product of training.
        critic: of features, large for the source; None trains on the source alone.
        weighting: of target images; None is plain adversarial adaptation.
        objective: of the critic; the authors take the non-saturating one.
        critic_steps: iterations from one step of F against the critic to the next.
        entropy: factor of the target's weighted entropy in nats; 0 to 0.25 in the paper's code.
    """

    learners = {"classifier": ("classifier",), "critic": ("critic",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(
        self,
        classifier: ImageClassifier,
        critic: Critic | None = None,
        weighting: BallWeighting | None = None,
        objective: Objective | None = None,
        critic_steps: Annotated[int, Field(ge=1, le=1000)] = 5,
        entropy: Annotated[float, Field(ge=0)] = 0.0,
    ):
        super().__init__()
        self.classifier, self.critic, self.weighting = classifier, critic, weighting
        self.objective = objective or NonSaturating()
        self.critic_steps, self.entropy = critic_steps, entropy
        if critic is None:
            self.learners = {"classifier": ("classifier",)}  # type: ignore[misc]
        self._check_fit()

    def _check_fit(self) -> None:
        width, judged = [self.classifier.feature_dim], self.critic and list(self.critic.sample_shape)
        if judged not in (None, width):
            raise RecipeError(
                f"critic: it judges {judged}, but the classifier's features are {width}; set dims to {width[0]}"
            )
        if self.critic and self.critic.classes:
            raise RecipeError("critic: the target has no labels to show it; set its classes to 0")
        if self.weighting and not self.critic:
            raise RecipeError(
                "weighting: there is nothing to weigh without a critic; give one or leave the weights out"
            )
        if self.weighting:
            self.weighting.check(self.costs)

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"classifier": self.classifier} | ({"critic": self.critic} if self.critic else {})

    @property
    def costs(self) -> Pair:
        return cast(Pair, Costs(self))

    @property
    def uses_target(self) -> bool:
        return self.critic is not None or self.entropy > 0

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        check_classified(self.classifier, sample_shape, conditions)

    def check(self, items: Items) -> None:
        if self.uses_target and getattr(items, "target", None) is None:
            raise RecipeError(
                f"data: {items.name} has no target to adapt to; write data: {{type: domains, source: .., target: ..}}"
            )

    def iteration(self, data: Data, step: int) -> Turns:
        batch = next(data)
        both = {"source": batch.x, "target": batch.target if self.uses_target else None}
        if self.critic and self.weighting:
            yield from self.weighting.turns(self.costs, {"x": batch.target, "y": {}}, step)
        if self.critic:
            yield Update("critic", self.critic_loss, both, coupled=self.weighting is not None)
        align = self.critic is not None and (step + 1) % self.critic_steps == 0
        yield Update(
            "classifier",
            self.classifier_loss,
            {**both, "label": batch.condition["label"]},
            {"align": align},
            coupled=self.weighting is not None,
        )

    def exercise(self, product: Pretrained, data: Data) -> None:
        assert isinstance(product, ImageClassifier)
        batch = next(data)
        for x in (batch.x, batch.target if self.uses_target else None):
            if x is not None:
                product(x)

    def critic_loss(self, source: Tensor, target: Tensor) -> Terms:
        s, t = self.classifier.features(source), self.classifier.features(target)
        weights = self.weights(target, t)
        seen = self.weighting.observe(weights) if self.weighting else {}
        return descend(distance=self.distance(s, t, weights)) | seen

    def classifier_loss(self, source: Tensor, target: Tensor | None, label: Tensor, align: bool) -> Terms:
        s = self.classifier.features(source)
        logits = self.classifier.head(s).float()
        accuracy = (logits.detach().argmax(1) == label).float().mean()
        terms = descend(cross_entropy=F.cross_entropy(logits, label)) | observe(accuracy=accuracy)
        if target is None or not (align or self.entropy):
            return terms
        t = self.classifier.features(target)
        weights = self.weights(target, t)
        if self.entropy:
            terms["entropy"] = self.entropy * weighted_entropy(self.classifier.head(t).float(), weights)
        if align:
            terms["distance"] = -self.distance(s, t, weights)
        return terms

    def distance(self, source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The critic's loss on features (B, F) of either domain: the lower, the further apart the critic finds them."""
        assert self.critic is not None
        return distance_loss(self.objective, self.critic(source).float(), self.critic(target).float(), weights)

    def weights(self, x: Tensor, features: Tensor) -> Tensor:
        """Weights of target images x with their features, (B,), mean one, without a graph."""
        if self.weighting is None:
            return features.new_ones(len(x), dtype=torch.float32)
        return self.weighting(Judged(x, {}, self.cost(features.detach()), None))

    def cost(self, features: Tensor) -> Tensor:
        """Cost of a unit of weight on each target sample, (B,), from their features."""
        assert self.critic is not None
        logits = self.classifier.head(features).float()
        return weight_cost(self.objective, self.critic(features).float(), logits, self.entropy)


@dataclass(frozen=True)
class Costs:
    """The game as the weights see it, whose part in it is linear: a Wasserstein critic that scores costs."""

    system: DomainAdaptation

    @property
    def objective(self) -> Objective:
        return Wasserstein()

    @property
    def generator(self) -> ImageClassifier:
        """Its samples, the target's images, are shaped like the classifier's."""
        return self.system.classifier

    def score(self, x: Tensor, y: Condition | None = None) -> Tensor:
        return self.system.cost(self.system.classifier.features(x))


def distance_loss(objective: Objective, source: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """The loss that the critic descends and the features climb: mean l_real(D(s)) + mean w l_fake(D(t)), a scalar.

    Args:
        objective: gives l_real and l_fake; softplus(-D) and softplus(D) for the non-saturating one.
        source, target: scores (B,) of either domain.
        weights: (B,), mean one, of the target samples.
    """
    return objective.critic_real(source).mean() + (weights * objective.critic_fake(target)).mean()


def entropy(logits: Tensor) -> Tensor:
    """H(p) in nats of softmax(logits), (B, classes) -> (B,)."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def weighted_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    """mean_i w_i H(p_i) of target samples, a scalar."""
    return (weights * entropy(logits)).mean()


def weight_cost(objective: Objective, target: Tensor, logits: Tensor, entropy_weight: float) -> Tensor:
    """Cost for W of a unit of weight on each target sample, (B,): -l_fake(D(t)) + entropy_weight H(p).

    W descends mean w cost, which is minus the critic's loss plus the entropy, but for the source's half, in which there
    are no weights. So weight goes to samples that look like the source and of which the classifier is sure.
    """
    return entropy_weight * entropy(logits) - objective.critic_fake(target)
