"""Operations over processes with a part of every batch each, equal to those of one with the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.core.batch_noise import CPU, BatchNoise, Part
from genkit.core.errors import BadState, RecipeError

T = TypeVar("T")


def process_count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def whole_batch(values: Tensor) -> Tensor:
    """`values` of every process, in order of rank, along the first dimension, without a graph."""
    values = values.detach()
    if process_count() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(process_count())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def whole_batch_with_graph(values: Tensor) -> Tensor:
    """As `whole_batch`, with a graph through the rows of this process, for a loss of the whole batch.

    Every process has the same loss and the gradients of its own rows alone; those count once for each process, so that
    the trainer's average over processes is the gradient of that loss.
    """
    if process_count() == 1:
        return values
    parts = list(whole_batch(values).chunk(process_count()))
    parts[dist.get_rank()] = values.detach() + process_count() * (values - values.detach())
    return torch.cat(parts)


def together(work: Callable[[], T], device: torch.device) -> T:
    """The result of `work`; a BadState in one process is raised in all.

    Args:
        device: of the tensors that processes exchange.

    Raises:
        BadState: by `work`, here or in another process.
    """
    fault, made = None, list[T]()
    try:
        made.append(work())
    except BadState as found:
        fault = found
    failed = fault is not None
    if process_count() > 1:
        failed = bool(whole_batch(torch.tensor([int(failed)], device=device)).any())
    if failed:
        raise fault or BadState("another process has come to a bad state, which it tells of")
    return made[0]


def my_rows(values: Tensor) -> Tensor:
    """The rows of this process in `values` of the whole batch; undoes `whole_batch`."""
    return values if process_count() == 1 else values.chunk(process_count())[dist.get_rank()]


class _Mean(torch.autograd.Function):
    """The mean over processes, and of gradients on the way back: their average over processes is then that of one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total / process_count()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return _Mean.apply(gradient)


def whole_batch_through(values: Tensor) -> Tensor:
    """As `whole_batch`, with a graph through all rows: the gradient of a row is that of the sum of the losses of all
    processes, as where one holds the batch. What is sent grows with the batch, so this is for small maps.
    """
    if process_count() == 1:
        return values
    before, after = dist.get_rank() * len(values), (process_count() - 1 - dist.get_rank()) * len(values)
    own = torch.cat([values.new_zeros(before, *values.shape[1:]), values, values.new_zeros(after, *values.shape[1:])])
    whole: Tensor = _Mean.apply(own)  # type: ignore[assignment]
    return process_count() * whole


class _SynchronisedBatchNorm(_BatchNorm):
    """Batch norm by mean and variance of the whole batch in training. torch's SyncBatchNorm works on GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or process_count() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        wide, over = x.float(), [d for d in range(x.dim()) if d != 1]
        mean: Tensor = _Mean.apply(wide.mean(over))  # type: ignore[assignment]
        centred = wide - self._spread(mean, x)
        variance: Tensor = _Mean.apply(centred.square().mean(over))  # type: ignore[assignment]
        self._track(mean, variance, process_count() * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        y = centred * self._spread(scale, x)
        return (y + self._spread(self.bias, x) if self.affine else y).to(x.dtype)

    def _spread(self, channels: Tensor, x: Tensor) -> Tensor:
        return channels.view(1, -1, *[1] * (x.dim() - 2))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if not self.track_running_stats or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        assert self.running_mean is not None and self.running_var is not None
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * count / (count - 1), rate)


class BatchNorm1d(_SynchronisedBatchNorm, nn.BatchNorm1d):
    """torch's, over the batch of all processes."""


class BatchNorm2d(_SynchronisedBatchNorm, nn.BatchNorm2d):
    """torch's, over the batch of all processes."""


class BatchNorm3d(_SynchronisedBatchNorm, nn.BatchNorm3d):
    """torch's, over the batch of all processes."""


class Dropout(nn.Dropout):
    """torch's dropout, with a mask over the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x


_SYNCHRONISED = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
    nn.Dropout: Dropout,
}


def synchronise(module: nn.Module) -> None:
    """Makes torch's batch norms and dropouts inside `module` treat the parts of a batch as one batch, in place.

    Raises:
        RecipeError: a batch norm of another kind, which would normalise each part by itself.
    """
    for part in module.modules():
        if type(part) in _SYNCHRONISED:
            part.__class__ = _SYNCHRONISED[type(part)]
        elif isinstance(part, _BatchNorm) and not isinstance(part, (_SynchronisedBatchNorm, nn.SyncBatchNorm)):
            raise RecipeError(
                f"{type(part).__name__} would normalise the samples of each process by themselves; derive it from "
                "genkit.core.processes.BatchNorm2d, or train with one process"
            )


_noise: BatchNoise | None = None


@contextmanager
def shared_noise(seed: int) -> Iterator[None]:
    """Inside, noise of networks is a function of the seed, which all processes share; outside it is torch's global."""
    global _noise
    before, _noise = _noise, BatchNoise(seed)
    try:
        yield
    finally:
        _noise = before


def _part(rows: int) -> Part:
    rank = dist.get_rank() if process_count() > 1 else 0
    return Part(rank * rows, rows, process_count() * rows)


Distribution = Literal["normal", "uniform", "integers"]


def _drawn(x: Tensor, distribution: Distribution, shape: Sequence[int], dtype: torch.dtype, high: int = 0) -> Tensor:
    """Noise (len(x), *shape) on the device of x; of several processes each draws its own rows.

    torch.compile takes the draws as one operator that it does not look into: traced, they would be the same in every
    iteration.
    """
    if torch.compiler.is_compiling():
        return _drawn_when_run(x.detach(), distribution, [len(x), *shape], dtype, high)  # type: ignore[no-any-return]
    size, device = (len(x), *shape), x.device
    if x.is_meta:
        return torch.empty(size, device=device, dtype=torch.int64 if distribution == "integers" else dtype)
    if _noise is None:
        if distribution == "integers":
            return torch.randint(high, size, device=device)
        return (torch.randn if distribution == "normal" else torch.rand)(size, device=device, dtype=dtype)
    if distribution == "integers":
        return _noise.integers(_part(len(x)), high, *shape, device=device)
    if distribution == "uniform":
        return _noise.uniform(_part(len(x)), *shape, dtype=dtype, device=device)
    return _noise.normal(_part(len(x)), *shape, device=device).to(dtype)


RANDOM = (torch.Tag.nondeterministic_seeded,)
_SCHEMA = "(Tensor x, str distribution, SymInt[] size, ScalarType dtype, int high) -> Tensor"


@torch.library.custom_op("genkit::network_noise", mutates_args=(), schema=_SCHEMA, tags=RANDOM)
def _drawn_when_run(x: Tensor, distribution: Any, size: Any, dtype: Any, high: Any) -> Tensor:
    return _drawn(x, distribution, size[1:], dtype, high)


@_drawn_when_run.register_fake
def _(x: Tensor, distribution: Any, size: Any, dtype: Any, high: Any) -> Tensor:
    return x.new_empty(size, dtype=torch.int64 if distribution == "integers" else dtype)


def network_normal(x: Tensor, *shape: int) -> Tensor:
    """Standard normal noise inside a network, (len(x), *shape), of the device and dtype of x.

    Of several processes each draws its own rows, so that it is that of one.
    """
    return _drawn(x, "normal", shape, x.dtype)


def network_uniform(x: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """As `network_normal`, uniform on [0, 1)."""
    return _drawn(x, "uniform", shape, dtype or x.dtype)


def network_integers(x: Tensor, high: int, *shape: int) -> Tensor:
    """As `network_normal`, uniform on {0, ..., high - 1}, int64."""
    return _drawn(x, "integers", shape, torch.int64, high)


def common_noise(draw: Callable[[torch.Generator | None], Tensor]) -> Tensor:
    """Noise on the CPU that is the same for every sample, and on every process; for what is not compiled."""
    return draw(None if _noise is None else _noise.generator(CPU))


def dropout(x: Tensor, rate: float) -> Tensor:
    """x (B, ...) with a share `rate` of its values set to zero, the others divided by 1 - rate. On: always."""
    if not rate:
        return x
    if torch.compiler.is_compiling():
        return x * _kept_when_run(x.detach(), rate).to(x.dtype).div(1 - rate)
    return nn.functional.dropout(x, rate) if _noise is None else x * _kept(x, rate).to(x.dtype).div_(1 - rate)


def _kept(x: Tensor, rate: float) -> Tensor:
    """The mask of a dropout, bool, in the layout of x."""
    order = sorted(range(1, x.dim()), key=x.stride, reverse=True)
    drawn = _drawn(x, "uniform", [x.shape[d] for d in order], torch.float32)
    return (drawn >= rate).permute(0, *(1 + order.index(d) for d in range(1, x.dim())))


@torch.library.custom_op("genkit::kept", mutates_args=(), schema="(Tensor x, float rate) -> Tensor", tags=RANDOM)
def _kept_when_run(x: Tensor, rate: Any) -> Tensor:
    return _kept(x, rate).contiguous()


@_kept_when_run.register_fake
def _(x: Tensor, rate: Any) -> Tensor:
    return x.new_empty(x.shape, dtype=torch.bool)
