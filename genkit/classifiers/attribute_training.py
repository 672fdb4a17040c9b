"""Training a predictor of attributes on images whose attributes are known."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from genkit.classifiers.attribute_heads import attribute_loss
from genkit.classifiers.attribute_predictor import AttributePredictor
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.core.system import Data, System, Terms, Turns, Update, descend


class AttributeTraining(System):
    """Over all attributes, the sum of cross-entropy of classes and squared error of numbers, on the circle where they
    lie on one.

    Args:
        predictor: whose attributes are columns of the data, by their names.
    """

    learners = {"predictor": ("predictor",)}  # noqa: RUF012 - a ClassVar of the base

    def __init__(self, predictor: AttributePredictor):
        super().__init__()
        self.predictor = predictor

    @property
    def products(self) -> Mapping[str, Pretrained]:
        return {"predictor": self.predictor}

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        wanted = self.predictor.sample_shape
        if tuple(sample_shape) != wanted:
            raise RecipeError(f"data: samples are {list(sample_shape)}, but the predictor takes {list(wanted)}")
        for name, column in self.predictor.conditions.items():
            offered = conditions.get(name)
            if misfit := column.misfit(name, offered):
                raise RecipeError(f"data: the predictor {misfit}; the data's attributes: {', '.join(conditions)}")
            if isinstance(offered, Labels) and column.names and offered.names and column.names != offered.names:
                mine, theirs = ", ".join(column.names), ", ".join(offered.names)
                raise RecipeError(f"data: the predictor's classes of {name!r} are {mine}; those of the data {theirs}")

    def iteration(self, data: Data, step: int) -> Turns:
        batch = next(data)
        known = {name: batch.condition[name] for name in self.predictor.conditions}
        yield Update("predictor", self.loss, {"x": batch.x, "known": known})

    def loss(self, x: Tensor, known: Mapping[str, Tensor]) -> Terms:
        """A term an attribute."""
        columns = self.predictor.conditions
        said = self.predictor(x)
        return descend(**{name: attribute_loss(columns[name], said[name], rows) for name, rows in known.items()})
