"""Tables of report.html: the scores with their verdicts, and what became of the files of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.documents import unknown_as_nan
from genkit.evaluation.verdicts import verdict

MANY = 5
"""Numbers from which on a mapping is written in one row."""
NAMED = 50
"""Files left out that the page names; all of them stand in files.csv."""

PageRow = tuple[str, ...]


def score_tables(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of the content of a scores.json: 'values': (metric, value, error, verdict) rows; 'warnings': lines; 'floor': a
    line about what real samples get; 'about': (name, value) rows of the rest.
    """
    left = dict(found)
    values, errors, labels, better, floor = (
        _mapping(left.pop(k, {})) for k in ("values", "standard_errors", "labels", "better", "floor")
    )
    values = unknown_as_nan(values)
    real, warnings = _mapping(floor.get("values")), left.pop("warnings", [])
    sizes = [_mapping(found.get(side)).get("n") for side in ("a", "against")]
    n = min((size for size in sizes if isinstance(size, int)), default=None)
    of_floor = floor.get("n") if isinstance(floor.get("n"), int) else None
    known = {k: error for k, error in errors.items() if isinstance(error, float)}
    rows = [
        (
            str(labels.get(k, k)),
            shown(v),
            f"± {known[k]:.2g}" if k in known else "",
            verdict(k, v, real.get(k), str(better.get(k, "")), n, of_floor, known.get(k))
            if isinstance(v, (int, float))
            else "",
        )
        for k, v in values.items()
    ]
    for side in ("a", "against"):
        if isinstance(left.get(side), Mapping):
            left[side] = {k: v for k, v in left[side].items() if k != "notes"}
    return {
        "values": rows,
        "warnings": warnings if isinstance(warnings, list) else [warnings],
        "floor": f"Real samples were scored against real ones, {floor.get('n')} of each." if real else "",
        "iteration": left.pop("iteration", None),
        "about": flat(left),
    }


def data_tables(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of the content of a data.json: 'facts': (name, value) rows; 'left_out': (file, reason) rows; 'more' of these."""
    intake = _mapping(record.get("intake"))
    rejected = [(str(name), str(reason)) for name, reason in intake.get("rejected", [])]
    count = len(record.get("rows", ()))
    facts = [("data", str(record["name"]))] if "name" in record else []
    if count:
        of_all = f" of {count + len(rejected):,} files" if rejected and count == intake.get("accepted") else ""
        facts.append(("samples", f"{count:,}{of_all}"))
    if shape := record.get("shape"):
        facts.append(("each", " x ".join(map(str, shape))))
    if classes := record.get("classes"):
        facts.append((f"{len(classes)} classes", ", ".join(map(str, classes))))
    facts += [(f"converted: {kind}", f"{n:,}") for kind, n in sorted(_mapping(intake.get("converted")).items())]
    if rejected:
        facts.append(("left out", f"{len(rejected):,}"))
    return {"facts": facts, "left_out": rejected[:NAMED], "more": max(0, len(rejected) - NAMED), "files": bool(intake)}


def flat(tree: Any, path: str = "") -> list[PageRow]:
    """Nested mappings as (path, value) rows; a mapping of many numbers is one row, an empty one none."""
    if isinstance(tree, Mapping):
        if len(tree) >= MANY and all(isinstance(v, float) for v in tree.values()):
            return [(path, ", ".join(f"{k} {shown(v)}" for k, v in tree.items()))]
        return [row for k, v in tree.items() for row in flat(v, f"{path} {k}".strip().replace("_", " "))]
    if isinstance(tree, list):
        return [(path, ", ".join(map(str, tree)))] if tree else []
    return [(path, shown(tree))] if tree not in (None, "") else []


def shown(value: Any) -> str:
    """A number to five digits; all else as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
