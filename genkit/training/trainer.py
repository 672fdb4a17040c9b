"""Moves weights and knows no paper: performs the Updates of a System, one iteration at a time.

Everything is frozen except the learner whose turn it is; each micro-batch goes forward and backward; one all-reduce of
the gradient, clip, step, freeze. No DistributedDataParallel: with several networks and several backward passes it gives
unsynchronised gradients without an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from genkit.core.errors import BadState, TrainingError
from genkit.core.frozen import learnable
from genkit.core.processes import shared_noise, synchronise
from genkit.core.randomness import seed_networks, stable_seed
from genkit.core.system import Report, System, Update
from genkit.training.batch_statistics import measure_statistics
from genkit.training.ema import EMA
from genkit.training.loss_scale import LossScale
from genkit.training.optimizers import Optimizer
from genkit.training.repeatable import repeatable
from genkit.training.reports import Reports
from genkit.training.stream import Stream
from genkit.training.trainable import check_compiled, check_learners, check_split
from genkit.training.updates import check_turns, check_update, descended, pieces, summed


class Trainer:
    """Owns the optimisers, the averaged copy and the count of iterations.

    Args:
        system: moved to the accelerator's device, equal in all processes from the start.
        stream: data and noise.
        optimizers: one for every learner of the system, by name.
        steps: length of the run in iterations; the learning-rate schedules refer to it.
        accumulate: micro-batches that every Update is split into.
        ema_decay: of the averaged copy, or a function that gives it for each step; see `EMA`.
        channels_last: memory layout of the networks.
        compile: compile the learners' networks.
        deterministic: the same bits on every call, also on a GPU; see `genkit.training.repeatable`.

    Attributes:
        slower: factor of all learning rates.

    Raises:
        RecipeError: the optimisers do not name exactly the learners, or the batch cannot be split, or the system not
            compiled.
    """

    def __init__(
        self,
        system: System,
        stream: Stream,
        optimizers: Mapping[str, Optimizer],
        *,
        steps: int,
        accumulate: int = 1,
        ema_decay: float | Callable[[int], float] = 0.999,
        channels_last: bool = False,
        compile: bool = False,
        deterministic: bool = True,
        accelerator: Accelerator | None = None,
    ):
        self.accelerator = accelerator or Accelerator(cpu=True)
        layout = torch.channels_last if channels_last else torch.preserve_format
        self.system = system.to(self.accelerator.device).to(memory_format=layout)
        self.stream, self.steps, self.accumulate, self.step = stream, steps, accumulate, 0
        self.learners = system.all_learners()
        check_learners(self.learners, optimizers)
        check_split(system, stream.mine.stop - stream.mine.start, accumulate)
        check_compiled(system, compile)
        self._agree()
        self.rules = dict(optimizers)
        self.parameters = {k: [p for m in ms for p in learnable(m)] for k, ms in self.learners.items()}
        self.optimizers = {k: optimizers[k].over(ps) for k, ps in self.parameters.items()}
        self.loss_scale, lower = LossScale(self.accelerator.scaler), self.accelerator.mixed_precision != "no"
        self._precision = self.accelerator.autocast if lower else nullcontext
        self._repeatable = partial(repeatable, self.accelerator.device, deterministic)
        system.requires_grad_(False)
        self.ema = EMA(system.product, ema_decay)  # type: ignore[arg-type]
        synchronise(system)
        self._measured_at: int | None = None
        self.slower, self._reports = 1.0, Reports()
        for module in (m for ms in self.learners.values() for m in ms if compile):
            module.compile()

    def go_to(self, step: int, position: int) -> None:
        """The next iteration is number `step`, and the next item of the data number `position`."""
        self.step, self.stream.position, self._measured_at = step, position, None
        self._reports.forget()

    def check(self) -> None:
        """Asks the device whether all updates so far were finite, before anything leaves it.

        Raises:
            BadState: in all processes alike; names the first that was not, and its iteration.
        """
        self._reports.read()

    def averaged(self) -> Any:
        """The averaged copy of the product, fit to be looked at, scored and saved: with batch statistics of its own.

        Raises:
            BadState: as `check`.
        """
        self.check()
        product = self.ema.module
        if self._measured_at != self.step:
            with self._repeatable():
                measure_statistics(self.system, product, self.stream)
            self._measured_at = self.step
        return product

    def iterate(self) -> dict[str, Tensor]:
        """One iteration of the system; its logged terms, averaged over the updates that logged them, on the device.

        An update that is not finite moves nothing; `check` tells of it.

        Raises:
            TrainingError: the system yields no Update, or what is none.
            BadState: as `check`, now and then.
        """
        self._set_rates()
        self.stream.begin(self.step)
        own_noise = stable_seed(self.stream.seed, "networks", self.step, self.accelerator.process_index)
        seed_networks(own_noise, self.accelerator.device)
        with shared_noise(stable_seed(self.stream.seed, "networks", self.step, 0)), self._repeatable():
            scalars = self._play()
        self.ema.update(self.step)
        self.step += 1
        if self._reports.full:
            self.check()
        return scalars

    def _play(self) -> dict[str, Tensor]:
        seen: dict[str, list[Tensor]] = defaultdict(list)
        turns = check_turns(self.system.iteration(self.stream, self.step))
        report: Report | None = None
        try:
            while (update := self._next(turns, report)) is not None:
                report = self.perform(update)
                for name, value in report.items():
                    seen[f"{update.learner}/{name}"].append(_mean(value))
        except Exception as fault:
            if isinstance(fault, BadState) or self.accelerator.num_processes == 1:
                self.check()  # what is not finite may be the cause, and came first
            raise
        if report is None:
            raise TrainingError("iteration() of the system yielded no Update, so nothing was trained")
        return {name: _mean(torch.stack(values)) if len(values) > 1 else values[0] for name, values in seen.items()}

    def _next(self, turns: Iterator[Update], report: Report | None) -> Update | None:
        """The next update of the system, whose own code runs at the precision of the losses; None after the last."""
        try:
            with self._precision():
                return turns.send(report)  # type: ignore[attr-defined, no-any-return]
        except StopIteration:
            return None

    def perform(self, update: Update) -> dict[str, Tensor]:
        """One optimiser step; the terms of the loss, and the norm of the gradient before clipping.

        A step whose gradient has overflown in fp16 is left out, and the norm is 0."""
        check_update(update, self.parameters)
        parameters, rule = self.parameters[update.learner], self.rules[update.learner]
        report = self._descend(update, parameters)
        means = {name: _mean(value) for name, value in report.items()}
        gradients = [p.grad for p in parameters if p.grad is not None]
        sound = self._average(gradients, 0 * summed(means.values()))
        self.loss_scale.unscale(self.optimizers[update.learner])
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        forgiven = self.loss_scale.forgiven(norm, sound)
        self._reports.keep(self.step, update.learner, {**means, "gradient norm": forgiven}, sound)
        if rule.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, rule.clip_norm, norm)
        total = norm + sound
        _step(self.optimizers[update.learner], gradients, (total - total).isnan())
        self.loss_scale.update()
        for parameter in parameters:
            parameter.grad = None
        return {**report, "gradient_norm": forgiven}

    def _descend(self, update: Update, parameters: list[nn.Parameter]) -> dict[str, Tensor]:
        found: dict[str, list[Tensor]] = defaultdict(list)
        _thaw(parameters, True)
        try:
            for on in pieces(update, self.accumulate):
                with self._precision():
                    terms = update.loss(**on, **update.shared)
                loss = descended(update, terms)
                mean = loss if self.accumulate == 1 else loss / self.accumulate
                self.loss_scale.scaled(mean).backward()
                for name, term in terms.items():
                    found[name].append(term.detach().float())
        finally:
            _thaw(parameters, False)
        return {name: _whole(parts) for name, parts in found.items()}

    def _average(self, gradients: list[Tensor], sound: Tensor) -> Tensor:
        """Averages gradients over processes; 0, or not a number where `sound` is not 0 in one of them."""
        if self.accelerator.num_processes == 1:
            return sound
        flat = torch.cat([sound.view(1), *(g.flatten().to(sound.dtype) for g in gradients)])
        sound, flat = self.accelerator.reduce(flat, "mean").split([1, len(flat) - 1])
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
        return sound.squeeze()

    def _set_rates(self) -> None:
        for name, optimizer in self.optimizers.items():
            rate = self.slower * self.rules[name].lr * self.rules[name].schedule.factor(self.step, self.steps)
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _agree(self) -> None:
        """Every process starts from the first one's weights."""
        if self.accelerator.num_processes > 1:
            for name, tensor in self.system.state_dict().items():
                if name not in self.system.local_state:
                    torch.distributed.broadcast(tensor, 0)


def _step(optimizer: torch.optim.Optimizer, gradients: list[Tensor], unsound: Tensor) -> None:
    """A step by which all stays finite where `unsound`, (), is true: fused ones move nothing then.

    The device decides, and is not asked.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = unsound.float()  # type: ignore[attr-defined]
    else:
        for gradient in gradients:
            gradient.masked_fill_(unsound, 0)
    optimizer.step()


def _mean(value: Tensor) -> Tensor:
    return value.mean() if value.dim() else value


def _whole(parts: list[Tensor]) -> Tensor:
    """Joins a term of all micro-batches: the mean of scalars, or all values of one that has a value a sample."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts) if parts[0].dim() else torch.stack(parts).mean()


def _thaw(parameters: list[nn.Parameter], thawed: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(thawed)
