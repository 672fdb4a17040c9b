"""Predictors of attributes: what they say, how they learn it, and what is measured without learning."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from genkit.classifiers.attribute_predictor import AttributePredictor
from genkit.classifiers.measured_shape import MeasuredShape
from genkit.core.catalog import build
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import EvaluationError, RecipeError
from genkit.data.shapes import COLUMNS, SHAPES, shapes
from genkit.evaluation.attributes import Predicting, attribute_errors
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from tests.contracts.specs import FACTORS, PREDICTOR, seeded


def recipe(attributes: dict[str, Any] = FACTORS, data: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    return Recipe.from_dict(
        {
            "name": "tiny",
            "data": data or {"type": "shapes", "n": 2000, "size": 16},
            "system": {
                "type": "attribute_training",
                "predictor": {**PREDICTOR, "size": 16, "width": 8, "attributes": copy.deepcopy(attributes)},
            },
            "optimizers": {"predictor": {"type": "adam", "lr": 5e-3}},
            "train": {"steps": 150, "batch_size": 64, "trackers": []},
            **sections,
        }
    )


def test_it_learns_classes_numbers_and_circles() -> None:
    _, trainer = prepare(recipe(), Accelerator(cpu=True))
    data = shapes("test", n=500, size=16)
    before = attribute_errors(trainer.system.product, data)["values"]
    for _ in range(150):
        trainer.iterate()
    after = attribute_errors(trainer.system.product, data)
    found = after["values"]
    assert before["shape"] < 0.5 < 0.7 < found["shape"] and before["hue"] > 0.15 and found["hue"] < 0.04
    assert found["size"] < 0.06 < before["size"], "of a deviation of 0.115"
    assert after["better"] == {"shape": "higher", "hue": "lower", "size": "lower"}
    assert after["in words"]["shape"].endswith("% wrong") and after["in words"]["hue"].endswith("degrees of the circle")


def test_every_attribute_has_its_head_and_its_embedding(tmp_path: Path) -> None:
    predictor = seeded(PREDICTOR).eval()
    x = shapes(n=6, size=8).rows(torch.arange(6))
    said = predictor.predict(x)
    assert {name: (tuple(rows.shape), rows.dtype) for name, rows in said.items()} == {
        "shape": ((6,), torch.int64),
        "hue": ((6,), torch.float32),
        "size": ((6,), torch.float32),
    }
    assert predictor.embed(x, "shape").sum(1).allclose(torch.ones(6)) and predictor.embed(x, "shape").shape == (6, 4)
    assert predictor.embed(x, "hue").norm(dim=1).allclose(torch.ones(6)) and predictor.embed(x, "size").shape == (6, 1)
    assert predictor.embed(x, "shape").argmax(1).equal(said["shape"])
    x.requires_grad_()
    assert torch.autograd.grad(predictor.embed(x, "hue")[:, 0].sum(), x)[0].any(), "a contrastive loss needs the graph"
    with pytest.raises(EvaluationError, match="knows no 'hues'; did you mean 'hue'"):
        predictor.embed(x, "hues")


def test_columns_travel_with_the_weights(tmp_path: Path) -> None:
    again = AttributePredictor.from_pretrained(seeded(PREDICTOR).save_pretrained(tmp_path / "w"))
    shape, hue, size = again.conditions.values()
    assert isinstance(shape, Labels) and shape.names == SHAPES and isinstance(hue, Values) and hue.cyclic
    assert isinstance(size, Values) and (size.low, size.high) == (0.3, 0.7)


def test_names_of_the_data_are_given_to_labels(tmp_path: Path) -> None:
    predictor = build({**PREDICTOR, "attributes": {"label": {"type": "labels", "classes": 2}}})
    predictor.class_names = ("cat", "dog")
    again = AttributePredictor.from_pretrained(predictor.save_pretrained(tmp_path / "w"))
    assert again.class_names == ("cat", "dog") == again.conditions["label"].names


def test_an_attribute_called_x_is_no_image() -> None:
    known = {"x": {"type": "values", "low": -0.25, "high": 0.25}}
    prepare(recipe(known), Accelerator(cpu=True))[1].iterate()


@pytest.mark.parametrize(
    ("attributes", "data", "message"),
    [
        ({"age": FACTORS["size"]}, {}, "takes numbers from 0.3 to 0.7 for 'age', but the data have none; the data's"),
        ({"size": {**FACTORS["size"], "high": 0.6}}, {}, "takes numbers from 0.3 to 0.6 for 'size', but the data have"),
        (
            {"shape": {**FACTORS["shape"], "classes": 3, "names": []}},
            {},
            "takes 3 classes of 'shape', but the data have 4",
        ),
        (
            {"shape": {**FACTORS["shape"], "names": list("abcd")}},
            {},
            "classes of 'shape' are a, b, c, d; those of the data",
        ),
        (FACTORS, {"size": 24}, r"samples are \[3, 24, 24\], but the predictor takes \[3, 16, 16\]"),
        (FACTORS, {"attributes": False}, "takes 4 classes of 'shape', but the data have 0"),
    ],
)
def test_data_that_do_not_teach_it_are_refused(attributes, data, message) -> None:
    with pytest.raises(RecipeError, match=f"data: .*{message}"):
        prepare(recipe(attributes, {"type": "shapes", "n": 20, "size": 16, **data}), Accelerator(cpu=True))


def test_all_but_shape_and_rotation_are_measured_from_pixels(tmp_path: Path) -> None:
    data = shapes("test")
    measured = MeasuredShape.from_pretrained(MeasuredShape().save_pretrained(tmp_path / "w"))
    assert isinstance(measured, Predicting) and isinstance(seeded(PREDICTOR), Predicting)
    found = attribute_errors(measured, data)["values"]
    assert 360 * found["hue"] < 0.5 and found["size"] < 0.002 and found["background"] < 0.002, found
    assert all(vars(COLUMNS[name]) == vars(column) for name, column in measured.conditions.items())
    assert found["x"] < 0.002 and found["y"] < 0.002, found
    for size in (16, 64):
        other = shapes("test", n=200, size=size)
        assert attribute_errors(MeasuredShape(size), other)["values"]["size"] < 0.003
    x = data.rows(torch.arange(4))
    pale = x.mean(1, keepdim=True) + 0.4 * (x - x.mean(1, keepdim=True))
    assert (measured.predict(pale)["size"] - measured.predict(x)["size"]).abs().max() < 0.002, "paler is not smaller"
    two = torch.cat([x[..., :16], x.roll(1, 1)[..., 16:]], 3)
    assert (measured.predict(two)["size"] - measured.predict(x)["size"]).abs().max() < 0.002, "nor are two colours"
    assert (measured.predict(torch.full_like(x, 0.3))["size"] == 0).all()
    grey = (x + 0.2 * torch.randn(4, 1, 32, 32)).clamp(-1, 1)
    apart = COLUMNS["hue"].distance(measured.predict(grey)["hue"], data.attributes["hue"][:4])
    assert 360 * apart.max() < 8, "noise of grey levels moves hues little"
    z = measured.embed(x, "size")
    assert z.shape == (4, 1) and z[:, 0].allclose((measured.predict(x)["size"] - 0.5) * math.sqrt(12) / 0.4, atol=1e-5)
    assert measured.embed(x, "hue").norm(dim=1).allclose(torch.ones(4))
