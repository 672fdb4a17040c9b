"""Pictures of samples and of real images: a class a column, few classes in several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.data.dataset import DataSet
from genkit.images.pixels import decode
from genkit.training.show import draw_real


class Painter(Generator):
    """Images as bright as their class."""

    sample_shape = (1, 4, 4)

    def __init__(self, classes: int):
        super().__init__()
        self.conditions = ConditionSpace({"label": Labels(classes)})

    def _sample(self, condition: dict[str, Tensor], rows: Rows) -> Tensor:
        return condition["label"].div(10).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


@pytest.mark.parametrize(
    ("classes", "columns"),
    [(2, (0, 0, 0, 0, 1, 1, 1, 1)), (3, (0, 0, 1, 1, 2, 2)), (5, (0, 1, 2, 3, 4)), (10, tuple(range(10)))],
)
def test_few_classes_have_several_columns_each(classes: int, columns: tuple[int, ...]) -> None:
    painter = Painter(classes)
    assert painter.column_classes == columns and painter.column_names == tuple(map(str, columns))
    images, wide = painter.pictured(torch.Generator().manual_seed(0))
    assert wide == len(columns) and images[:, 0, 0, 0].equal(torch.tensor(8 * columns).div(10))


def test_real_images_stand_in_the_same_columns_each_once(tmp_path: Path) -> None:
    """Ten bright images of class 0, a grey level each, and 32 dark ones of class 1: the other places are white."""
    x = torch.zeros(42, 1, 4, 4, dtype=torch.uint8)
    x[:10] = torch.arange(100, 200, 10, dtype=torch.uint8).view(-1, 1, 1, 1)
    data = DataSet("two", x, torch.tensor([0] * 10 + [1] * 32))
    draw_real(Painter(2), data, tmp_path / "real.png", seed=0)
    drawn = decode((tmp_path / "real.png").read_bytes(), "real.png")[0][0]
    shown = [int((drawn == level).any()) for level in range(100, 200, 10)]
    assert shown == [1] * 10, "all ten, in two of the four columns"
