"""A record of the data a run learns from, row by row, so that it never goes on with other data unnoticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from genkit.core.errors import shown, some

DIGEST = 8
"""Bytes of the hash of a row."""

NAMED = 3
"""Files that a message names."""


def data_record(data: Any) -> dict[str, Any]:
    """The record of `data`, a genkit.data.dataset.DataSet, that tells it from any other; for JSON.

    Keys: name, shape, classes, fingerprint of all, rows (one short hash each, labels and attributes included), files
    (names of the rows, where they are files), intake (what became of the files there were), attributes (what each is,
    where there are any), target (the record of a second domain).
    """
    rows = list(_digests(data))
    record: dict[str, Any] = {"name": data.name, "shape": list(data.sample_shape), "classes": list(data.classes)}
    record |= {"rows": rows, "files": list(data.files)}
    if report := getattr(data, "report", None):
        record["intake"] = report.as_dict()
    if target := getattr(data, "target", None):
        record["target"] = data_record(target)
    if columns := getattr(data, "columns", None):
        record["attributes"] = {name: column.about for name, column in columns.items()}
    content = f"{record['shape']} {record['classes']} {rows} {record.get('target', {}).get('fingerprint')}"
    content += str(record.get("attributes", ""))
    return record | {"fingerprint": hashlib.sha256(content.encode()).hexdigest()}


def known_rows(record: Mapping[str, Any], data: Any) -> int:
    """The number of rows of `data` whose images `record` has, whatever their labels, and with their attributes."""
    known, found = set(record.get("rows", ())), 0
    labels = [np.int64(label).tobytes() for label in range(max(1, len(record.get("classes", ()))))]
    ends = _ends(data) if record.get("attributes") else [b""] * len(data)
    for pixels, end in zip(_hashes(data), ends, strict=True):
        rows = (pixels.copy() for _ in labels)
        found += any(_finished(row, label + end) in known for row, label in zip(rows, labels, strict=True))
    return found


def _finished(row: Any, end: bytes) -> str:
    row.update(end)
    return str(row.hexdigest())


def shared_rows(one: Any, other: Any) -> int:
    """The number of rows of the DataSet `one` whose images `other` has too."""
    known = {row.digest() for row in _hashes(other)}
    return sum(row.digest() in known for row in _hashes(one))


def _digests(data: Any) -> Iterator[str]:
    labels = data.labels if data.labels is not None else torch.zeros(len(data), dtype=torch.int64)
    for row, label, end in zip(_hashes(data), labels.numpy(), _ends(data), strict=True):
        yield _finished(row, label.tobytes() + end)


def _hashes(data: Any) -> Iterator[Any]:
    """The hash of each row's image, to which more may be added."""
    pixels = data.x.numpy()
    for i in range(len(data)):
        yield hashlib.blake2b(pixels[i].tobytes(), digest_size=DIGEST)


def _ends(data: Any) -> list[bytes]:
    """The attributes of each row."""
    columns = [rows.numpy() for rows in getattr(data, "attributes", {}).values()]
    return [b"".join(rows[i].tobytes() for rows in columns) for i in range(len(data))]


def data_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The differences between two records in words; empty when there are none."""
    if old.get("fingerprint") == new["fingerprint"]:
        return ""
    found = [*_changed_facts(old, new), *_changed_rows(old, new)]
    if "target" in old and "target" in new and (inner := data_changes(old["target"], new["target"])):
        found.append(f"the target: {inner}")
    return "; ".join(found) or "their order"


def changes_among(part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Changes of the rows of `part`, a record of some of the data of which `whole` is the record now.

    Rows are found by their names, where they are files, else by what they are.
    """
    there = _by_name(whole) if whole["files"] else {row: row for row in whole["rows"]}
    before = _by_name(part) if part.get("files") else {row: row for row in part.get("rows", ())}
    still = {name: row for name, row in there.items() if name in before}
    found = list(_row_changes(before, still, named=bool(whole["files"])))
    return "; ".join(found) or f"there are {len(whole['rows']):,} now, of which another part would be taken"


def changes_since(fingerprint: str | None, known: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """As `data_changes` from the data of a checkpoint; empty too for an old checkpoint without a fingerprint.

    Args:
        fingerprint: of the checkpoint's data.
        known: the record that the run kept, which may be of other data still.
    """
    if fingerprint in (None, new["fingerprint"]):
        return ""
    return data_changes(known, new) if known.get("fingerprint") == fingerprint else "it is not known how"


def _changed_facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for what in ("shape", "classes", "attributes"):
        if old.get(what) != new.get(what):
            yield f"{what} {shown(old.get(what))} -> {shown(new.get(what))}"


def _changed_rows(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from _row_changes(_by_name(old), _by_name(new), named=bool(new["files"]))


def _row_changes(before: Mapping[str, str], now: Mapping[str, str], named: bool) -> Iterator[str]:
    changed = {
        "new": [name for name in now if name not in before],
        "missing": [name for name in before if name not in now],
        "changed": [name for name in now if name in before and now[name] != before[name]],
    }
    for what, names in changed.items():
        if names:
            listed = f" ({some(names, NAMED)})" if named else ""
            yield f"{len(names):,} {what}{listed}"


def _by_name(record: Mapping[str, Any]) -> dict[str, str]:
    rows = record.get("rows", [])
    return dict(zip(record.get("files") or map(str, range(len(rows))), rows, strict=False))
