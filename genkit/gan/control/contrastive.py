"""The term that makes a slice of the latent stand for an attribute. Shoshan et al. 2021, arXiv:2101.02477, Sec. 3.1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.frozen import freeze
from genkit.core.processes import whole_batch, whole_batch_with_graph
from genkit.core.styled import named_slices
from genkit.gan.control.contrast import Distance, contrastive_loss, distances, sharing
from genkit.gan.control.measures import Measure, check_measure, embedded
from genkit.gan.control.paired_ascent import PairedAscent
from genkit.gan.slots import Pair, StepInterval, Term, Turn

Threshold = Annotated[float, Field(ge=0)]


class Contrastive(Term):
    """weight * (mean max(0, d - tau_plus) of pairs that share the slice + mean max(0, tau_minus - d) of all others).

    d is the distance of what `measure` says of two images of the batch. Pairs are made by the rule `paired_ascent`.
    It is logged as contrastive_<attribute>.

    Args:
        attribute: a slice of the network's split.
        measure: of the attribute; it is frozen here.
        tau_plus: at this distance images are alike enough: what the measure is wrong by, or 5 % of the mean distance of
            two real images.
        tau_minus: at this one they are different enough: the distance that 70 % of real pairs are within.
        distance: squared (summed), mean_absolute, gram (1e5 times the mean square), or colour (mean_absolute of all but
            the last number, the share of the image that the others are of; 0 where that is next to nothing).
        weight: of the term.
        every: see `Term`.

    Raises:
        RecipeError: thresholds in the wrong order.
    """

    of = "generator"
    coupled = True

    def __init__(
        self,
        attribute: str,
        measure: Measure,
        tau_plus: Threshold,
        tau_minus: Threshold,
        distance: Distance = "mean_absolute",
        weight: Annotated[float, Field(ge=0)] = 1.0,
        every: StepInterval = 1,
    ):
        super().__init__(every)
        if tau_plus >= tau_minus:
            raise RecipeError(f"tau_plus, {tau_plus:g}, lies below tau_minus, {tau_minus:g}, or all pairs are alike")
        self.attribute, self.name = attribute, f"contrastive_{attribute}"
        self.measure: Any = freeze(measure) if isinstance(measure, nn.Module) else measure
        self.tau_plus, self.tau_minus, self.distance, self.weight = tau_plus, tau_minus, distance, weight
        self.at = slice(0)

    def check(self, gan: Pair) -> None:
        slices, rule = named_slices(getattr(gan.generator, "network", None)), getattr(gan, "rule", None)
        if not slices:
            raise RecipeError(
                f"contrastive: the latent has no slices; give the network a split, as {self.attribute}: 16"
            )
        if self.attribute not in slices:
            raise RecipeError(
                f"contrastive.attribute: no slice {shown(self.attribute)}{suggest(self.attribute, slices)}"
            )
        if not isinstance(rule, PairedAscent) or self.attribute not in (rule.rows or slices):
            raise RecipeError(
                f"contrastive: no pairs share {self.attribute}; take the rule paired_ascent, with rows for it"
            )
        check_measure(self.measure, gan.generator.sample_shape, self.attribute)
        self.at = slices[self.attribute]

    def forward(self, turn: Turn) -> Tensor:
        z: Any = turn.z
        features = whole_batch_with_graph(embedded(self.measure, turn.fake.x, self.attribute))
        same = sharing(whole_batch(z["z"][:, self.at]))
        d = distances(features, self.distance)
        return self.weight * contrastive_loss(d, same, self.tau_plus, self.tau_minus)
