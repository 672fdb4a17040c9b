"""Random pieces of a data set."""

from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError

WHOLE = {"type": "shapes", "n": 50, "size": 8}


def part(low: float, high: float, seed: int = 0) -> torch.Tensor:
    spec = {"type": "random_part", "data": WHOLE, "low": low, "high": high, "seed": seed}
    return build(spec, kind="data").x


def test_parts_share_no_row_and_leave_none_out() -> None:
    whole = {row.tobytes() for row in build(WHOLE, kind="data").x.numpy()}
    first, rest = ({row.tobytes() for row in part(*shares).numpy()} for shares in ((0, 0.9), (0.9, 1)))
    assert (len(first), len(rest)) == (45, 5)
    assert not first & rest and first | rest == whole


def test_a_part_is_a_function_of_its_seed() -> None:
    assert part(0.2, 0.6).equal(part(0.2, 0.6))
    assert not part(0.2, 0.6).equal(part(0.2, 0.6, seed=1))


def test_labels_and_attributes_go_with_their_rows() -> None:
    whole, some = build(WHOLE, kind="data"), build({"type": "random_part", "data": WHOLE, "high": 0.3}, kind="data")
    rows = [next(k for k in range(50) if whole.x[k].equal(x)) for x in some.x]
    assert rows == sorted(rows), "in the order of the whole"
    assert some.condition(torch.arange(15))["hue"].equal(whole.condition(torch.tensor(rows))["hue"])


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"has 50 rows, and a part from 0\.5 to 0\.501 of them has none; give more"):
        part(0.5, 0.501)
