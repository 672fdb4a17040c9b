"""Tensors from files: none gets into a module that was made for tensors of another name, shape or kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


def kind(dtype: torch.dtype) -> str:
    """'float', 'integer', 'boolean' or 'complex'; its own name for a type not used here, such as an 8-bit float."""
    if dtype in FLOATS:
        return "float"
    if dtype in INTEGERS:
        return "integer"
    return {"torch.bool": "boolean", "torch.complex64": "complex", "torch.complex128": "complex"}.get(
        str(dtype), str(dtype).removeprefix("torch.")
    )


def load_into(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts `state` into `module`, each tensor converted to the precision that the module has.

    Floats of 16, 32 and 64 bits stand for each other, as weights are often shipped as float16; so do integers. A float
    is no integer, and neither is a boolean or complex.

    Raises:
        ValueError: the first name of each fault: missing, unexpected, of another shape, of another kind, not finite.
    """
    expected, state = module.state_dict(), current(module, state)
    if faults := list(_faults(expected, state)):
        raise ValueError("; ".join(faults))
    module.load_state_dict({name: state[name].to(tensor) for name, tensor in expected.items()})


def current(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the buffers of older checkpoints, which modules name in `former_buffers`."""
    parts = module.named_modules()
    former = {f"{path}.{name}".lstrip(".") for path, part in parts for name in getattr(part, "former_buffers", ())}
    return {name: tensor for name, tensor in state.items() if name not in former}


def _faults(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    common = sorted(expected.keys() & state.keys())
    shapes = [name for name in common if expected[name].shape != state[name].shape]
    kinds = [name for name in common if kind(expected[name].dtype) != kind(state[name].dtype)]
    yield from _fault("missing", sorted(expected.keys() - state.keys()))
    yield from _fault("unexpected", sorted(state.keys() - expected.keys()))
    yield from _fault("of another shape", shapes)
    yield from _fault("of another kind", [f"{n} ({_kinds(expected[n], state[n])})" for n in kinds])
    if not shapes and not kinds:
        yield from _fault("not finite", [n for n in common if not is_finite(state[n], expected[n].dtype)])


def is_finite(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether every number stays finite when it is converted to `dtype`; true if it holds no floats."""
    return kind(dtype) != "float" or bool(tensor.to(dtype).isfinite().all())


def _kinds(expected: Tensor, got: Tensor) -> str:
    return f"{str(got.dtype).removeprefix('torch.')} instead of {str(expected.dtype).removeprefix('torch.')}"


def _fault(what: str, names: list[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{what} {names[0]!r}{more}"
