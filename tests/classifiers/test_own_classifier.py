"""A classifier that is code of the user's: bound in the process, never named by a file."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genkit.classifiers.own_classifier import OwnClassifier, alike, answers_of, bind, bound, unbind
from genkit.core.errors import WeightsError
from genkit.core.pretrained import Pretrained
from genkit.training.ema import EMA

SOURCE = "mine:net"


@pytest.fixture
def module() -> Iterator[nn.Module]:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    bind(SOURCE, network)
    yield network
    unbind(SOURCE)


def test_logits_are_those_of_the_module_for_unit_images(module: nn.Module) -> None:
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(OwnClassifier(SOURCE, 8, 3)(x), module((x + 1) / 2))


def test_the_module_is_frozen_and_no_part_of_it(module: nn.Module) -> None:
    classifier = OwnClassifier(SOURCE, 8, 3).train()
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert not classifier.state_dict() and not list(classifier.modules())[1:]
    holder = nn.ModuleDict({"classifier": classifier, "generator": nn.Linear(1, 1)})
    averaged = EMA(holder, 0.9).module["classifier"]
    x = torch.zeros(1, 3, 8, 8)
    torch.testing.assert_close(averaged(x), classifier(x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(classifier)(x), classifier(x), rtol=0, atol=0)


def test_a_file_keeps_what_is_known_and_never_imports(module: nn.Module, tmp_path: Path) -> None:
    names = ["low", "middle", "high"]
    folder = OwnClassifier(SOURCE, 8, 3, names).save_pretrained(tmp_path / "kept")
    config = json.loads((folder / "config.json").read_text())
    assert config["source"] == SOURCE and config["class_names"] == names
    config["source"] = "planted_module:factory"
    (folder / "config.json").write_text(json.dumps(config))
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "planted_module.py").write_text("raise SystemExit('imported')")
    try:
        again = Pretrained.from_pretrained(folder)
        with pytest.raises(WeightsError, match="code of yours, which no file may import: give it on the command line"):
            again(torch.zeros(1, 3, 8, 8))
    finally:
        sys.path.remove(str(tmp_path))
    assert "planted_module" not in sys.modules and again.class_names == tuple(names)


def test_another_module_of_the_same_name_is_refused(module: nn.Module) -> None:
    mine = bind(SOURCE, module)
    assert bound(SOURCE, mine) is module
    with torch.no_grad():
        module[3].bias += 1  # type: ignore[operator]
    assert bind(SOURCE, module) != mine
    with pytest.raises(WeightsError, match="other weights now"):
        OwnClassifier(SOURCE, 8, 3, weights=mine)(torch.zeros(1, 3, 8, 8))


def test_equal_weights_with_other_code_are_refused(module: nn.Module, tmp_path: Path) -> None:
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    weights, answers = bind(SOURCE, module), answers_of(OwnClassifier(SOURCE, 8, 3))
    OwnClassifier(SOURCE, 8, 3, weights=weights, answers=answers).save_pretrained(tmp_path)
    again: Any = Pretrained.from_pretrained(tmp_path)
    torch.testing.assert_close(again(x), module((x + 1) / 2))
    copy.deepcopy(again)(x)
    again.to("meta")(x.to("cpu"))

    class Otherwise(nn.Module):
        def __init__(self, factor: float):
            super().__init__()
            self.factor, (self._0, self._1, self._2, self._3) = factor, module

        def state_dict(self, *_: Any, **__: Any) -> Any:
            return module.state_dict()

        def forward(self, x: torch.Tensor) -> Any:
            return module(x) * self.factor

    assert bind(SOURCE, Otherwise(1 + 1e-4)) == weights
    again(x)
    assert bind(SOURCE, Otherwise(-1)) == weights
    for classifier in (again, Pretrained.from_pretrained(tmp_path)):
        for _ in range(2):
            with pytest.raises(WeightsError, match="mine:net answers otherwise than when this was made"):
                classifier(x)


def test_answers_that_are_alike() -> None:
    a = [[1.0, -1.0], [3.0, -3.0]]
    assert alike(a, [[1.001, -1.0], [3.0, -3.005]]) and alike([], [])
    assert not alike(a, [[1.0, -1.0], [3.1, -3.0]]) and not alike(a, a[:1]) and not alike(a, [])
    masked, other = ([[*row, -1e9] for row in rows] for rows in (a, [[-z for z in row] for row in a]))
    assert alike(masked, masked) and not alike(masked, other)
    assert alike([[], [1.0]], [[], [1.0]]) and not alike([[], [1.0]], [[1.0], [1.0]])


def test_all_of_many_classes_are_known_again_and_images_without_a_number_left_out() -> None:
    class Said:
        sample_shape, device, order = (3, 8, 8), torch.device("cpu"), torch.arange(50)

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            logits = x.flatten(1)[:, :50][:, self.order].clone()
            logits[:, 9] = -1e9
            logits[2] = torch.nan
            return logits

    said: Any = Said()
    before = answers_of(said)
    assert [len(row) for row in before] == [16, 16, 0, 16, 16, 16] and alike(before, answers_of(said))
    said.order = torch.cat([torch.arange(20), torch.arange(20, 50).flip(0)])
    assert not alike(before, answers_of(said))
