"""The choice of a page's attributes: a selection by its name, and the critic that is asked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from genkit.core.errors import WeightsError
from genkit.core.location import PRODUCTS, locate
from genkit.core.pretrained import loaded
from genkit.explain.selection import NotebookSelection, PaperSelection, ShareSelection

UNSTABLE = (2.0, 750)
"""Images that more than 750 changes move by more than 2 logits are left out in the authors' notebook."""


def chosen_by(selection: str) -> dict[str, Any]:
    """Settings of a search for one of "paper", "notebook" and "share"."""
    if selection == "notebook":
        return {"selection": NotebookSelection(), "unstable": UNSTABLE}
    return {"selection": ShareSelection() if selection == "share" else PaperSelection()}


def critic_beside(by: str, device: Any) -> Any:
    """The critic that lies beside a StyleEx, or in the stage of a run that trained it, in eval mode on a device.

    Raises:
        WeightsError: there is none.
    """
    stages = (weights.parent.parent for weights in sorted(Path(by).glob(f"*/weights/{PRODUCTS}")))
    folders: list[str | Path] = [by, *stages]
    for folder in folders:
        with suppress(WeightsError):
            return loaded(locate(folder, "critic")).eval().to(device)
    raise WeightsError(f"--realistic: no critic lies beside the weights of {by}; give the run that trained them")
