"""Shipped recipes made small enough to build and step in a moment."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from genkit.core import computing
from genkit.core.catalog import build
from genkit.images.pixels import write_folder
from genkit.training import batch_statistics
from genkit.training.recipe_file import read_recipe

STAND_INS = {
    "mnist": {"type": "digits", "split": "test"},
    "fashion_mnist": {"type": "digits", "split": "test"},
    "cifar10": {"type": "digits", "split": "test", "size": 32, "channels": 3},
    "stacked_mnist": {"type": "digits", "split": "test", "channels": 3},
    "folder": {"type": "digits", "split": "test", "size": 16, "channels": 3},
    "solar_cells": {"type": "some_classes", "data": {"type": "digits", "split": "test", "size": 16}, "classes": [4, 9]},
    "shapes": {"type": "digits", "split": "test", "size": 32, "channels": 3},
    "coloured_fashion_mnist": {"type": "digits", "split": "test", "size": 32, "channels": 3},
}
"""Downloaded set, or a folder of your own -> embedded data of the shape and number of classes that `shrunk` leaves."""

SMALL = {"pairs": 20, "width": 8, "latent_dim": 4, "depth": 2, "n": 200, "critic_steps": 2, "steps": 2}
SMALL |= {"head_width": 8, "blocks": 1, "classes": 10, "start": 0}
NARROW = {"width": 32, "heads": 2, "latent_dim": 4, "depths": [1, 1, 1]}
"""Of a TransGAN generator, whose pixel shuffles divide the width."""
NVAE = {"cells": 1, "block_cells": 1}
"""Of an NVAE, beside a group for each of at most two scales."""
LARGEST = 32
"""Side of the images that networks for sets of a stand-in's size keep."""
BURN_IN = 500
"""Samples of a rejection's burn-in."""
PROCESS_STEPS = 40
"""A linear schedule of twenty steps or fewer would remove the whole image in its last one."""


def read(name: str) -> dict[str, Any]:
    """The tree of a shipped recipe, whole."""
    return read_recipe(name)[0]


def few_statistics(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Statistics of averaged weights are of two small batches, in this process: else they cost more than all else.

    And bf16 is taken on any CPU.

    Args:
        put: sets an attribute of a module.
    """
    put(batch_statistics, "SAMPLES", 16)
    put(batch_statistics, "BATCH", 8)
    put(computing, "CPUINFO", Path("/nowhere"))


def trainings(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """The trees of its trainings: its stages, or itself."""
    return list(tree["stages"].values()) if "stages" in tree else [tree]


def shrunk(tree: dict[str, Any], steps: int = 2, checkpoint: int = 0) -> dict[str, Any]:
    """Embedded data, narrow networks, few points, few steps, small batches, no scores, no trackers; all else stays."""
    small = copy.deepcopy(tree)
    if "stages" in tree:
        small["stages"] = {name: shrunk(stage, steps, checkpoint) for name, stage in tree["stages"].items()}
        small.pop("evaluate", None)
        return small
    _shrink(small)
    small["train"] |= {"steps": steps, "batch_size": 8, "trackers": []}
    small["every"] = {"log": 1, "grid": 0, "checkpoint": checkpoint}
    small["data"] = _stand_in(small["data"])
    if str((small["system"].get("classifier") or {}).get("type")).startswith("imagenet_resnet"):
        # oneDNN's bf16 gradient of a convolution with stride 2 over a map of one pixel is of memory that nobody wrote
        # (torch 2.14.1, AMX): two runs differed, and one in three was infinite. From 32 pixels on they are equal.
        small["train"]["precision"] = "no"
    if small["system"]["type"] == "attribute_training":
        predictor = small["system"]["predictor"]
        small["data"] = attributed(predictor["attributes"], predictor["size"])
    if small["system"]["type"] == "domain_adaptation":
        _shrink_adaptation(small["system"])
    if small["system"]["type"] == "directions_training" and "weights" not in small["system"]["generator"]:
        small["system"]["deformator"]["dim"] = 8 if small["system"].get("space") == "w" else SMALL["latent_dim"]
        for part in ("deformator", "reconstructor"):
            small["system"][part]["directions"] = 3
    small.pop("evaluate", None)
    return small


def _stand_in(data: dict[str, Any]) -> dict[str, Any]:
    """Of the same size and channels, where a set of digits is not taken as it comes; the whole of it for a part."""
    if data["type"] == "part":
        return _stand_in(data["data"])
    if data["type"] == "shapes" and data.get("label"):
        return {**data, "n": 200}
    if data["type"] == "some_classes":
        return {**data, "data": _stand_in(data["data"]), "classes": list(range(len(data["classes"])))}
    stand_in = STAND_INS.get(data["type"])
    if stand_in is None:
        return {k: _stand_in(v) if isinstance(v, dict) and "type" in v else v for k, v in data.items()}
    as_it_comes = data["type"] in ("cifar10", "folder", "shapes", "solar_cells", "coloured_fashion_mnist")
    return stand_in | {k: data[k] for k in ("size", "channels") if k in data and not as_it_comes}


MADE = tempfile.TemporaryDirectory()
"""Of folders with attributes."""


@cache
def _pictures(size: int, header: str, lines: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=MADE.name))
    pixels = torch.randint(0, 256, (40, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_folder([pixels], folder / "images")
    (folder / "attributes.csv").write_text(f"file,{header}\n{lines}\n")
    return folder


def attributed(columns: dict[str, Any], size: int) -> dict[str, Any]:
    """Noise, and attributes of these columns."""
    every = [[f"{k:06d}.png", *(_value(column, k) for column in columns.values())] for k in range(40)]
    folder = _pictures(size, ",".join(columns), "\n".join(",".join(row) for row in every))
    made = {"type": "folder", "path": str(folder / "images"), "size": size, "channels": 3, "columns": columns}
    return made | {"attributes": str(folder / "attributes.csv")}


def _value(column: dict[str, Any], k: int) -> str:
    if column["type"] == "labels":
        return str((column.get("names") or range(column["classes"]))[k % column["classes"]])
    return f"{column['low'] + (column['high'] - column['low']) * k / 40:.4f}"


def _shrink_adaptation(system: dict[str, Any]) -> None:
    """The critic judges as many features as the classifier now has."""
    weighting = system.get("weighting") or {}
    if "every" in weighting:
        weighting["every"] = 1
    if system.get("critic"):
        system["critic"]["dims"] = build(system["classifier"]).feature_dim


def _shrink(node: Any) -> None:
    if isinstance(node, dict):
        _shrink_diffusion(node)
        if node.get("type") == "nvae":
            node |= {**NVAE, "groups": [1] * min(len(node["groups"]), 2)}
            node["size"] = node["size"] if node["size"] <= LARGEST else 16
        if node.get("type") == "energy_network" and node["size"] > LARGEST:
            node |= {"size": 16, "plan": "mnist"}
        if node.get("type") == "transgan_generator":
            node |= NARROW
            return
        if node.get("type", "").startswith("stylegan2_"):
            size = node["size"] if node["size"] <= 32 else 16
            node |= {"size": size, "widths": [4] * (size.bit_length() - 2)}
            if node.get("split"):
                split = dict.fromkeys(node["split"], 2)
                node |= {
                    "split": split,
                    "latent_dim": 2 * len(split),
                    "style_dim": 2 * len(split),
                    "mid": 4,
                    "depth": 2,
                }
            elif node["type"].endswith("generator"):
                node |= {"latent_dim": 4, "style_dim": 8, "depth": 2}
            elif node["type"].endswith("encoder"):
                node |= {"style_dim": 8}
            return
        if node.get("type", "").startswith("imagenet_resnet"):
            node |= {"layers": 18, "size": 16, "start": "random"}
        if node.get("type") == "keep_training":
            node |= {"samples": BURN_IN}
        if node.get("type") == "paired_ascent":
            node |= {"rows": None, "batches": 2}
        if node.get("type") in ("attribute_predictor", "classifier") and node["size"] > LARGEST:
            node["size"] = 16
        if node.get("type") == "two_scale_transgan_critic":
            node |= {"width": 32, "heads": 2, "depth": 1}
            return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else []):
        if key in SMALL and isinstance(value, int):
            node[key] = min(value, SMALL[key])
        elif key != "process":
            _shrink(value)


def _shrink_diffusion(node: dict[str, Any]) -> None:
    if "multipliers" in node and node["size"] > LARGEST:
        node |= {"size": 16, "multipliers": node["multipliers"][-2:], "attention": [8]}
        node |= {"low_size": 4} if "low_size" in node else {}
    if "process" in node:
        node["process"] |= {"steps": PROCESS_STEPS}
    if node.get("type") in ("ddpm", "upsampler"):
        node["solver"] = {"type": "ancestral", "steps": "2"}
