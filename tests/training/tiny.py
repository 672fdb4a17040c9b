"""Tiny runs for fault tests, and processes to run them in, forked from a warm one: a start costs milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from genkit.core.interruption import Stopped
from genkit.training.recipe import Recipe

MLP_C = {"type": "mlp_critic", "width": 8, "depth": 2}
ADAM = {"type": "adam", "lr": 2e-3, "betas": [0.5, 0.9]}


def points(steps: int = 20, *, clipped: bool = True, **sections: dict[str, Any]) -> Recipe:
    """WGAN-GP on points with MLPs; ratio clipping and re-weighting unless told otherwise."""
    system: dict[str, Any] = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 3, "width": 8, "depth": 2}},
        "critic": MLP_C,
        "penalties": [{"type": "gradient_penalty", "weight": 1}],
    }
    if clipped:
        system["rule"] = {"type": "ratio_clipping", "classifier": MLP_C, "steps": 2}
        system["fake_weighting"] = {"type": "softmax_weighting"}
    return finish(system, {"type": "gaussians8", "n": 50}, steps, sections)


def images(steps: int = 20, *, dropout: float = 0.0, norm: str = "none", **sections: dict[str, Any]) -> Recipe:
    """A DCGAN on 8-pixel digits, mirrored; a critic with dropout and the consistency term when asked."""
    critic = {"type": "dcgan_critic", "size": 8, "width": 4}
    generator = {"type": "dcgan_generator", "latent_dim": 3, "size": 8, "width": 4, "norm": norm}
    system = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": generator},
        "critic": {**critic, "dropout": dropout},
        "penalties": [{"type": "consistency"}] if dropout else [],
        "rule": {"type": "ratio_clipping", "classifier": critic, "steps": 1},
    }
    sections["train"] = {"mirror": True, **sections.get("train", {})}
    return finish(system, {"type": "digits", "split": "test", "size": 8}, steps, sections)


def by_example(steps: int = 20, **sections: dict[str, Any]) -> Recipe:
    """An exemplar VAE with retrieval: a cache in the system, exemplars in the product only when it is looked at."""
    system = {
        "type": "vae_training",
        "generator": {
            "type": "vae",
            "network": {"type": "vae_network", "size": 8, "latent_dim": 3, "width": 8},
            "prior": {"type": "exemplar_prior"},
        },
        "warmup": 4,
        "exemplars": {"type": "retrieved_exemplars", "size": 40, "neighbours": 3, "period": 3, "refresh": "rolling"},
    }
    sections["optimizers"] = {"vae": {"type": "adam_norm_grad", "lr": 2e-3}}
    sections["every"] = {"grid": 2, **sections.get("every", {})}
    return finish(system, {"type": "digits", "split": "test", "size": 8}, steps, sections)


def adapted(steps: int = 20, **sections: dict[str, Any]) -> Recipe:
    """Domain adaptation with a weight network, both domains mirrored."""
    digits = {"type": "digits", "split": "test", "size": 8}
    system = {
        "type": "domain_adaptation",
        "classifier": {"type": "classifier", "size": 8, "width": 4, "norm": "layer"},
        "critic": {**MLP_C, "dims": 12, "spectral_norm": True},
        "weighting": {
            "type": "robust_weights",
            "network": {"type": "weight_network", "size": 8, "channels": 1, "width": 2},
            "outlier_share": 0.2,
            "every": 2,
        },
        "critic_steps": 2,
        "entropy": 0.1,
    }
    sections["optimizers"] = dict.fromkeys(("classifier", "critic", "weights"), ADAM)
    sections["train"] = {"mirror": True, **sections.get("train", {})}
    data = {"type": "domains", "source": digits, "target": {"type": "shifted", "data": digits, "noise": 0.2}}
    return finish(system, data, steps, sections)


def finish(system: dict[str, Any], data: dict[str, Any], steps: int, sections: dict[str, dict[str, Any]]) -> Recipe:
    learners: tuple[str, ...] = ("critic", "generator", "classifier") if "rule" in system else ("critic", "generator")
    if system["type"] != "gan_training":
        learners = ()
    tree = {
        "name": "tiny",
        "data": data,
        "system": system,
        "optimizers": dict.fromkeys(learners, ADAM),
        "train": {"steps": steps, "batch_size": 8, "ema": 0.9, "trackers": []},
        "every": {"log": 3, "grid": 0, "checkpoint": 4},
    }
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values}  # type: ignore[dict-item]
    return Recipe.from_dict(tree)


class Teller:
    """A Watcher that sends what it hears through a pipe."""

    def __init__(self, pipe: Connection):
        self.pipe = pipe

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None:
        self.pipe.send(("iteration", step))

    def note(self, line: str) -> None:
        self.pipe.send(("note", line))

    def work(self, what: str, done: int, total: int) -> None:
        self.pipe.send((what, done))


def train_here(pipe: Connection, recipe: Recipe, out: Path, patch: Callable[[], None] | None = None) -> None:
    """The work of a child process: trains, and exits as the command line would."""
    from genkit.training import train

    if patch:
        patch()
    try:
        train(recipe, out, resume=True, watcher=Teller(pipe))
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code) from stopped


def child(function: Callable[..., None], *arguments: Any) -> multiprocessing.process.BaseProcess:
    """`function` in a started process of one thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.preload"])
    process = context.Process(target=_single, args=(function, *arguments))
    process.start()
    return process


def _single(function: Callable[..., None], *arguments: Any) -> None:
    torch.set_num_threads(1)
    function(*arguments)


def start(
    recipe: Recipe, out: Path, patch: Callable[[], None] | None = None
) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """A child that trains or resumes, and the end of the pipe that tells of it."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = child(train_here, there, recipe, out, patch)
    there.close()
    return process, here


def wait_for(pipe: Connection, kind: str, at_least: int = 0, timeout: float = 180.0) -> Any:
    """Hears the child out until it tells of `kind`, and of a number that is large enough."""
    while pipe.poll(timeout):
        told, value = pipe.recv()
        if told == kind and (isinstance(value, str) or value >= at_least):
            return value
    raise TimeoutError(f"the child told of no {kind}")


def drain(pipe: Connection, process: multiprocessing.process.BaseProcess, timeout: float = 180.0) -> int | None:
    """Hears the child out until it ends; its exit code."""
    try:
        while pipe.poll(timeout):
            pipe.recv()
    except EOFError:
        pass
    process.join(timeout)
    return process.exitcode


def wait_for_checkpoints() -> None:
    """Until what this process writes of a checkpoint is on the disk."""
    for thread in threading.enumerate():
        if thread.name == "checkpoint":
            thread.join()


def on_processes(count: int, function: Callable[..., None], folder: Path, *arguments: Any) -> list[int | None]:
    """`function(*arguments)` in `count` processes that form one gloo group; their exit codes."""
    meeting = folder / f"meeting-{os.urandom(4).hex()}"
    children = [child(_member, rank, count, meeting, function, *arguments) for rank in range(count)]
    for process in children:
        process.join(300)
    codes = [process.exitcode for process in children]
    for process in children:
        process.kill()
    return codes


def _member(rank: int, count: int, meeting: Path, function: Callable[..., None], *arguments: Any) -> None:
    from datetime import timedelta

    facts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({k: str(v) for k, v in facts.items()})
    os.environ.update(ACCELERATE_USE_CPU="true", GENKIT_MEETING=str(meeting))
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=count, timeout=timedelta(seconds=120)
    )
    function(*arguments)
