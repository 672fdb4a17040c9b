"""Writing checkpoints: each by a thread, from a copy of the state, while training goes on.

Training waits for the copy alone. One checkpoint is under way at a time; it has its name once all of it is on the disk,
as `genkit.training.checkpoint` describes. Where there are several processes, the second one of the first machine writes
the state of the optimisers, and each one the buffers that differ per process. A thread exchanges nothing with other
processes: it leaves the hashes of its files beside them, for the first one to find.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from genkit.core.documents import read_json
from genkit.core.errors import BadState, CheckpointError
from genkit.core.files import cannot_write, write_synced
from genkit.core.pretrained import Pretrained, described
from genkit.core.usable_memory import usable_memory
from genkit.training.checkpoint import MANIFEST, first_non_finite, flatten, publish
from genkit.training.tensor_file import Listed, write_file
from genkit.training.trainer import Trainer

Content = Mapping[str, Tensor] | bytes
Then = Callable[[Path], None]

SHARE = 0.25
"""Of the memory that may be used; a state beyond it is not copied, and training waits while it is written."""

POLL_S = 0.02
LEFT_S = 10.0
"""Seconds that the first process, when it ends early, waits for what others still write."""


def save_checkpoint(trainer: Trainer, folder: Path, extra: dict[str, Any] | None = None) -> Path:
    """Writes `folder`/step-<iteration> at once; see `Saving.begin`."""
    saving = Saving(trainer.accelerator)
    final = saving.begin(trainer, folder, extra)
    saving.wait()
    return final


class Saving:
    """The checkpoints of a run as they are written; every process calls the same methods in the same order."""

    def __init__(self, accelerator: Accelerator):
        self._accelerator = accelerator
        self._writing: _Writing | None = None

    def begin(
        self, trainer: Trainer, folder: Path, extra: dict[str, Any] | None = None, then: Then | None = None
    ) -> Path:
        """Begins to write `folder`/step-<iteration>, once the one before is done; returns its path.

        Args:
            extra: of state.json.
            then: called by the first process' thread with the checkpoint when it has its name.

        Raises:
            CheckpointError: as `wait`, of the one before.
            BadState: an update or a weight is not finite: the checkpoint before this one stays the newest.
        """
        self.wait()
        trainer.check()
        rank, count = self._accelerator.process_index, self._accelerator.num_processes
        final = folder / f"step-{trainer.step:08d}"
        if rank == 0:
            shutil.rmtree(_temporary(final), ignore_errors=True)
        if bad := first_non_finite(trainer.system.state_dict(), count):
            why = f"{bad} holds numbers that are not finite; lower the learning rates in a run --from this one"
            raise BadState(why, trainer.step)
        second = self._second(count)
        files = _share(trainer, extra or {}, second)
        room = sum(_size(content) for content in files.values()) < SHARE * usable_memory() / (1 + second)
        if room:
            files = {name: _copy(content) for name, content in files.items()}
        others = range(1, count if trainer.system.local_state else 1 + second)
        self._writing = _Writing(final, files, rank, others, then)
        if not room:
            self._writing.written.wait()
        return final

    def _second(self, count: int) -> int:
        """Rank of the process that writes the optimisers: 1 where it is on the machine of the first one, else 0."""
        here = int(os.environ.get("LOCAL_WORLD_SIZE", count))
        return int(bool(gather_object([here])[0] > 1)) if count > 1 else 0

    def wait(self) -> None:
        """Returns when the checkpoint under way, if there is one, is done.

        Raises:
            CheckpointError: in all processes alike, with path, reason and free space; earlier ones are untouched.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        several, first = self._accelerator.num_processes > 1, self._accelerator.is_main_process
        if not first or not several:
            writing.join()
        reasons = _reasons(gather_object([str(writing.failure or "")])) if several else []
        if reasons:
            writing.leave(0)
        writing.join()
        reasons += _reasons(gather_object([str(writing.failure or "") if first else ""])) if several else []
        if first and (reasons or writing.failure):
            writing.discard()
        if writing.failure:
            raise writing.failure
        if reasons:
            raise CheckpointError(reasons[0])

    def close(self) -> None:
        """Ends what is under way without a word to other processes, which may be gone."""
        if (writing := self._writing) is None:
            return
        self._writing = None
        writing.leave(LEFT_S)
        writing.join()
        if self._accelerator.is_main_process:
            writing.discard()


class _Writing:
    """One process' part in one checkpoint.

    Attributes:
        written: set when its own files are on the disk, or could not be.
        failure: why it has ended without a checkpoint.
    """

    def __init__(self, final: Path, files: Mapping[str, Content], rank: int, others: range, then: Then | None):
        self.final, self.rank, self.others, self.then = final, rank, others, then
        self.written = Event()
        self.failure: BaseException | None = None
        self._deadline = float("inf")
        self._thread = Thread(target=self._run, args=(files,), name="checkpoint", daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def leave(self, seconds: float) -> None:
        """Other processes are waited for no longer than that."""
        self._deadline = time.monotonic() + seconds

    def discard(self) -> None:
        """Removes what has not got a name."""
        shutil.rmtree(_temporary(self.final), ignore_errors=True)

    def _run(self, files: Mapping[str, Content]) -> None:
        try:
            self._write(files)
        except OSError as failure:
            self.failure = cannot_write(self.final, failure)
        except BaseException as failure:  # raised again by whoever waits
            self.failure = failure
        finally:
            self.written.set()

    def _write(self, files: Mapping[str, Content]) -> None:
        if not files:  # nobody waits for it, so the folder may have its name by now
            return
        folder = _temporary(self.final)
        folder.mkdir(parents=True, exist_ok=True)
        listed = {name: write_file(folder / name, content) for name, content in files.items()}
        self.written.set()
        if self.rank > 0:
            _leave(listed, _left(folder, self.rank))
        elif self._gathered(folder, listed):
            write_synced(folder / MANIFEST, json.dumps(dict(sorted(listed.items())), indent=1).encode())
            publish(folder, self.final)
            if self.then:
                self.then(self.final)

    def _gathered(self, folder: Path, listed: dict[str, Listed]) -> bool:
        """Takes in what other processes have written; whether all have."""
        for left in (_left(folder, rank) for rank in self.others):
            while not left.is_file():
                if time.monotonic() > self._deadline:
                    return False
                time.sleep(POLL_S)
            listed |= read_json(left)
            left.unlink()
        return True


def _share(trainer: Trainer, extra: dict[str, Any], second: int) -> dict[str, Content]:
    """The files of this process, by name; the tensors in them are those of the trainer."""
    rank, system = trainer.accelerator.process_index, trainer.system
    files: dict[str, Content] = {}
    tensors, plain = flatten({name: optimizer.state_dict() for name, optimizer in trainer.optimizers.items()})
    if rank == 0:
        product = trainer.averaged()
        state: dict[str, Any] = {"step": trainer.step, "position": trainer.stream.position, "seed": trainer.stream.seed}
        state |= {"processes": trainer.accelerator.num_processes, "optimizers": plain}
        state |= {"loss_scale": trainer.loss_scale.state_dict()}
        state |= {"product": described(product) if isinstance(product, Pretrained) else None, **extra}
        files["state.json"] = json.dumps(state).encode()
        files["system.safetensors"], files["ema.safetensors"] = system.state_dict(), product.state_dict()
    if rank == second:
        files["optimizers.safetensors"] = tensors
    if local := {name: value for name, value in system.state_dict().items() if name in system.local_state}:
        files[f"process-{rank}.safetensors"] = local
    return files


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else sum(tensor.nbytes for tensor in content.values())


def _copy(content: Content) -> Content:
    if isinstance(content, bytes):
        return content
    return {name: torch.empty(t.shape, dtype=t.dtype).copy_(t.detach()) for name, t in content.items()}


def _leave(listed: Mapping[str, Listed], path: Path) -> None:
    """In one piece, since the first process reads it once it is there."""
    unfinished = path.with_suffix(".tmp")
    write_synced(unfinished, json.dumps(listed).encode())
    os.replace(unfinished, path)


def _left(folder: Path, rank: int) -> Path:
    return folder / f".process-{rank}.json"


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.tmp")


def _reasons(failures: list[str]) -> list[str]:
    return [failure for failure in failures if failure]
