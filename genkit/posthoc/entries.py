"""Names of samplers and handles over any generator."""

from __future__ import annotations

from genkit.core.entry import Entries
from genkit.posthoc.rejection.entries import SAMPLERS

ENTRIES: Entries = SAMPLERS
