"""Names of columns: what a condition, or an attribute of data, may be."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "columns": {
        "labels": Entry(
            "genkit.core.columns.labels:Labels", "One of `classes` classes per sample, which may have names."
        ),
        "probabilities": Entry(
            "genkit.core.columns.probabilities:Probabilities",
            "The probability of each of `classes` classes, (n, classes): not negative, and one in sum.",
        ),
        "values": Entry(
            "genkit.core.columns.values:Values", "A real number per sample in [low, high], which may lie on a circle."
        ),
    },
}
