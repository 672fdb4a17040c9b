"""Names of samplers and handles over any generator."""

from __future__ import annotations

from itertools import chain

from genkit.core.entry import Entries
from genkit.posthoc.directions.entries import ENTRIES as DIRECTIONS
from genkit.posthoc.rejection.entries import SAMPLERS

ENTRIES: Entries = {
    kind: {**DIRECTIONS.get(kind, {}), **SAMPLERS.get(kind, {})} for kind in dict.fromkeys(chain(DIRECTIONS, SAMPLERS))
}
