"""Whether weights were trained on samples that are given now."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from genkit.core.errors import WeightsError


def known_to(weights: str, data: Any) -> int | None:
    """Number of rows of a DataSet in the training set of a run, or of weights with a record of it; None without one.
    Labels are not compared, since the same images may lie in folders of another order. A record with attributes says
    nothing of data without.

    Of a run with several stages, that stage which knows the most.
    """
    from genkit.core.documents import Unreadable, read_json
    from genkit.core.location import locate
    from genkit.training.data_record import known_rows

    found, folder = list[int](), Path(weights)
    with suppress(WeightsError):
        located = locate(weights)
        folder = folder if folder.is_dir() or not isinstance(located, Path) else located
    of_run = [folder.parent / "data.json"] if folder.name == "weights" else []
    for path in (*folder.glob("data.json"), *folder.glob("*/data.json"), *of_run):
        with suppress(Unreadable, AttributeError):
            record = read_json(path)
            if record.get("rows") and (not record.get("attributes") or data.columns):
                found.append(known_rows(record, data))
    return max(found, default=None)
