"""What a run has left that must not depend on how often it was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from genkit.training.log import read_metrics


def contents(run: Path) -> dict[str, Any]:
    """All that must not depend on interruptions: hashes of the newest checkpoint and the weights, and the log.

    With stages, that of each, and the weights of what they make together.
    """
    if "stages" in yaml.safe_load((run / "recipe.yaml").read_text()):
        found: dict[str, Any] = {p.parent.name: contents(p.parent) for p in sorted(run.glob("*/recipe.yaml"))}
        return found | {str(p.relative_to(run)): p.read_bytes() for p in sorted((run / "weights").rglob("*.*"))}
    newest = sorted((run / "checkpoints").glob("step-*"))[-1]
    manifest = json.loads((newest / "manifest.json").read_text())
    state = json.loads((newest / "state.json").read_text())
    return {
        "newest": newest.name,
        "files": {name: entry["sha256"] for name, entry in manifest.items() if name != "state.json"},
        "state": state,
        "weights": (run / "weights" / "model.safetensors").read_bytes() if (run / "weights").exists() else None,
        "metrics": [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(run / "metrics.jsonl")],
    }
