"""A device without float64, as Apple's: torch's meta device, which refuses such tensors and answers with ones.

It computes shapes alone. What is brought to the CPU, or asked for, is one; what has no shape without values is computed
on the CPU of ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from genkit.core import precision
from genkit.core.batch_noise import BatchNoise
from genkit.core.columns.probabilities import Probabilities
from genkit.vae.energy import vaebm_training

aten = torch.ops.aten
META = torch.device("meta")
REFUSAL = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
"""torch's own words."""


def ones(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.ones(x.shape, dtype=dtype or x.dtype, device="cpu")


class NoFloat64(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is aten._to_copy.default and args[0].is_meta and given.get("device", META) != META:
            return ones(args[0], given.get("dtype"))
        if func is aten._local_scalar_dense.default and args[0].is_meta:
            return ones(args[0]).reshape(-1)[0].item()
        if func is aten.copy_.default and args[1].is_meta and not args[0].is_meta:
            return args[0].copy_(ones(args[1]))
        if func is aten.equal.default:
            return True
        try:
            made = func(*args, **given)
        except (NotImplementedError, RuntimeError) as refused:
            if "meta" not in str(refused).lower() and "data-dependent" not in str(refused):
                raise
            mine, theirs = (
                tree_map_only(Tensor, lambda x: ones(x) if x.is_meta else x, part) for part in (args, given)
            )
            theirs.pop("device", None)
            made = tree_map_only(Tensor, lambda x: x.to(META), func(*mine, **theirs))
        if any(isinstance(x, Tensor) and x.is_meta and x.dtype == torch.float64 for x in tree_leaves(made)):
            raise TypeError(f"{REFUSAL} ({func})")
        return made


@contextmanager
def without_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device; inside, nothing on it is float64."""
    honest = BatchNoise.generator

    def generator(self: BatchNoise, device: torch.device) -> Any:
        return None if device == META else honest(self, device)

    monkeypatch.setattr(BatchNoise, "generator", generator)
    module, autocast = torch.get_device_module, torch.autocast

    def as_on_a_cpu(kind: str, *how: Any, **more: Any) -> Any:
        return autocast(kind.replace("meta", "cpu"), *how, **more)

    monkeypatch.setattr(torch, "get_device_module", lambda at=None: torch.random if at == META else module(at))
    monkeypatch.setattr(torch, "autocast", as_on_a_cpu)
    monkeypatch.setattr(Probabilities, "check", lambda self, name, value, n: value)  # ones are none
    monkeypatch.setattr(BatchNoise, "_by_groups", lambda self, part, values, whole, device: whole(part.rows, None))
    monkeypatch.setattr(vaebm_training, "together", lambda work, device: work())  # no other is in a bad state
    precision.WITHOUT_FLOAT64.add("meta")
    try:
        with NoFloat64():
            yield META
    finally:
        precision.WITHOUT_FLOAT64.discard("meta")
