"""A report on the decoding of files: accepted, converted, left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genkit.images.decoding import DARK, printable

FITTED = "reduced or cut to size"
"""Note of an ordinary change, which is counted and not kept by name."""


@dataclass
class Intake:
    """Report on the files of a folder.

    Attributes:
        accepted: number of files that became images.
        converted: kind of conversion (see `genkit.images.pixels.decode`) -> number of accepted files it applied to.
        rejected: name and reason of every file that was left out.
        remarks: other remarks, a line each.
        notes: the conversions of each accepted file that had any, by its name.
        fitted: number of accepted files that were reduced, or cut to their middle square.
        unread: names of pictures of kinds that are not read.
    """

    accepted: int = 0
    converted: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    fitted: int = 0
    unread: Sequence[str] = ()

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Intake:
        """Undoes `as_dict`."""
        rejected = [(name, reason) for name, reason in found["rejected"]]
        return cls(
            found["accepted"],
            Counter(found["converted"]),
            rejected,
            notes=found.get("notes", {}),
            fitted=found.get("fitted", 0),
        )

    @classmethod
    def joined(cls, parts: Sequence[Intake], names: Sequence[str]) -> Intake:
        """One report on the files of several; those left out come in the order of `names`."""
        place = {name: i for i, name in enumerate(names)}
        left_out = sorted((pair for part in parts for pair in part.rejected), key=lambda pair: place[pair[0]])
        converted = sum((part.converted for part in parts), Counter[str]())
        remarks = [line for part in parts for line in part.remarks]
        accepted, fitted = sum(part.accepted for part in parts), sum(part.fitted for part in parts)
        return cls(accepted, converted, left_out, remarks, fitted=fitted)

    def accept(self, notes: Sequence[str], name: str = "") -> None:
        converted = [note for note in notes if note != FITTED]
        self.accepted += 1
        self.fitted += FITTED in notes
        if converted and name:
            self.notes[name] = converted
        self.converted.update(converted)

    def summary(self) -> str:
        """One line, e.g. '98 of 100 images; converted: 3 rotated; left out: 2 (a.png: the file is empty, ...)'."""
        of_all = f" of {self.accepted + len(self.rejected):,}" if self.rejected else ""
        parts = [f"{self.accepted:,}{of_all} images"]
        if self.converted:
            parts.append("converted: " + ", ".join(f"{n} {kind}" for kind, n in sorted(self.converted.items())))
        if self.fitted:
            parts.append(f"{self.fitted:,} {FITTED}")
        if self.rejected:
            name, reason = self.rejected[0]
            more = ", ..." if len(self.rejected) > 1 else ""
            parts.append(f"left out: {len(self.rejected)} ({printable(name)}: {reason}{more})")
        return "; ".join(parts)

    def warnings(self) -> Iterator[str]:
        """Lines about likely mistakes, with advice."""
        if dark := self.converted[DARK]:
            yield (
                f"{dark} of {self.accepted} images are 16-bit files that use 12 bits or fewer, so they are nearly "
                "black here; if that is not meant, multiply their values (by 16 for 12 bits) before saving them"
            )
        yield from self.remarks

    def as_dict(self) -> dict[str, Any]:
        """The counts and what was left out, for JSON."""
        rejected = [list(pair) for pair in self.rejected]
        fitted = {"fitted": self.fitted} if self.fitted else {}
        return {"accepted": self.accepted, "converted": dict(self.converted), "rejected": rejected, **fitted}
