"""Losses, their gradients and a whole iteration, against rosinality's."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit import foreign
from genkit.core.errors import RecipeError
from genkit.core.system import Batch
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import R1
from genkit.gan.networks.mlp import MLPGenerator
from genkit.gan.objectives import NonSaturating
from genkit.gan.own_step import OwnStep
from genkit.gan.slots import Turn
from genkit.gan.stylegan2 import path_length
from genkit.gan.stylegan2.path_length import PathLength, path_lengths
from genkit.training.ema import HalfLife
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.gan.stylegan2.fixture import CLOSE, Fixture, read
from tests.gan.test_gan import Cloud, pair
from tests.gan.test_terms import Across


@pytest.fixture
def recorded() -> Fixture:
    return read()


def game(recorded: Fixture, **slots: Any) -> GANTraining:
    return GANTraining(GAN(recorded.generator), recorded.critic, objective=NonSaturating(), **slots)


def check_norms(recorded: Fixture, part: str, recorded_norms: Tensor) -> None:
    """Norms of the gradients in the network against those by the authors' names."""
    names = recorded.config[f"{part}_param_order"]
    marks = {f"after.{part}.{k}": torch.full_like(recorded.weights[f"{part}.{k}"], i) for i, k in enumerate(names)}
    marked = loaded(recorded, marks, part)
    network = recorded.generator if part == "generator" else recorded.critic
    ours = torch.zeros(len(names))
    for parameter, mark in zip(network.parameters(), marked.parameters(), strict=True):
        ours[int(mark.flatten()[0])] = 0.0 if parameter.grad is None else parameter.grad.norm()
    torch.testing.assert_close(ours, recorded_norms, rtol=1e-3, atol=1e-5)


def test_logistic_losses(recorded: Fixture) -> None:
    io, objective = recorded.io, NonSaturating()
    real, fake = recorded.critic(io["in.real"]), recorded.critic(io["out.gen.img_z"])
    loss = objective.critic_real(real).mean() + objective.critic_fake(fake).mean()
    torch.testing.assert_close(loss, io["out.loss.d_logistic"], **CLOSE)
    torch.testing.assert_close(-objective.reward(fake).mean(), io["out.loss.g_nonsat"], **CLOSE)


def test_r1_of_a_critic_that_mixes_samples_and_its_gradients(recorded: Fixture) -> None:
    gan = game(recorded, penalties=[R1(2.0)])
    penalty = R1(2.0)(Turn(gan, "critic", recorded.io["in.real"], {}, {}))
    torch.testing.assert_close(penalty, recorded.io["out.loss.r1"], **CLOSE)
    penalty.backward()
    check_norms(recorded, "discriminator", recorded.io["out.loss.r1_gradnorm_per_param"])


@pytest.mark.parametrize("start", [0, 1])
def test_path_lengths_and_the_gradients_of_the_penalty(recorded: Fixture, start: int) -> None:
    io, network = recorded.io, recorded.generator
    term = PathLength(weight=1.0)
    term.mean.fill_(recorded.config["pl_mean1"] if start else 0.0)
    w = network.to_w(io["in.z"])
    lengths = path_lengths(network.synthesise(w, recorded.noise()), w, io["in.pl_noise"])
    torch.testing.assert_close(lengths, io[f"out.loss.pl{start}.lengths"], **CLOSE)
    penalty = term.penalty(lengths)
    torch.testing.assert_close(penalty, io[f"out.loss.pl{start}.penalty"], **CLOSE)
    torch.testing.assert_close(term.mean, io[f"out.loss.pl{start}.new_mean"], **CLOSE)
    assert not term.mean.requires_grad
    penalty.backward()
    check_norms(recorded, "generator", io[f"out.loss.pl{start}_gradnorm_per_param"])


class Recorded(Stream):
    """The recorded real batch, always."""

    def __init__(self, real: Tensor):
        super().__init__(Cloud(tuple(real.shape[1:])), len(real), seed=0)
        self.real = real

    def __next__(self) -> Batch:
        return Batch(self.real, {}, torch.arange(len(self.real)))


def lazy_adam(lr: float, every: int) -> Adam:
    """Karras et al. 2020, App. B."""
    c = every / (every + 1)
    return Adam(lr=lr * c, betas=(0.0, 0.99**c))


@pytest.mark.parametrize(
    ("precision", "near"), [(torch.float32, {"rtol": 0, "atol": 1e-4}), (torch.float64, {"rtol": 1e-7, "atol": 1e-6})]
)
def test_the_recorded_training_iteration(
    recorded: Fixture, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype, near: dict[str, float]
) -> None:
    """Critic, lazy R1, generator, lazy path length: four optimiser steps, then the average."""
    told = recorded.config["train"]
    io = {name: x.to(precision) if x.is_floating_point() else x for name, x in recorded.io.items()}
    r1 = R1(told["r1"], every=told["d_reg_every"])
    paths = PathLength(told["path_regularize"], every=told["g_reg_every"], shrink=1)
    system = game(recorded, penalties=[OwnStep(r1), OwnStep(paths)]).train().to(precision)
    small = io["train.z_pl"][: len(io["train.z_pl"]) // told["path_batch_shrink"]]
    latents = iter([io["train.z_d"], io["train.z_g"], small])
    monkeypatch.setattr(recorded.generator, "latents", lambda randomness: next(latents))
    monkeypatch.setattr(path_length, "network_normal", lambda image, *shape: io["in.pl_noise"][: len(image)])
    rules = {"critic": lazy_adam(told["lr"], r1.every), "generator": lazy_adam(told["lr"], paths.every)}
    batch = len(io["in.real"])
    average = HalfLife(batch * math.log(0.5) / math.log(told["ema_decay"]), batch)
    trainer = Trainer(system, Recorded(io["in.real"]), rules, steps=9, ema_decay=average)
    scalars = trainer.iterate()
    for ours, theirs, weight in (
        ("critic/loss", "d_loss", 1.0),
        ("critic/r1", "r1", told["r1"] / 2 * told["d_reg_every"]),
        ("generator/loss", "g_loss", 1.0),
        ("generator/path_length", "pl", told["path_regularize"] * told["g_reg_every"]),
    ):
        torch.testing.assert_close(scalars[ours].to(precision), weight * io[f"out.train.{theirs}"], **CLOSE)
    torch.testing.assert_close(paths.mean, io["out.train.pl_mean"], **CLOSE)
    for part, network in (
        ("discriminator", recorded.critic),
        ("generator", recorded.generator),
        ("g_ema", trainer.ema.module.network),
    ):
        after = loaded(recorded, recorded.io, part)
        for ours, theirs in zip(network.parameters(), after.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs.to(precision), **near)  # a first step of Adam is 1.6e-3


def loaded(recorded: Fixture, after: dict[str, Tensor], part: str) -> nn.Module:
    """A part as the weights have it, or after the authors' iteration."""
    name = "generator" if part == "g_ema" else part
    tensors = {k: v for k, v in recorded.weights.items() if k.startswith(f"{name}.")}
    moved = {k.replace(f"after.{part}", name): v for k, v in after.items() if k.startswith(f"after.{part}.")}
    layout = "stylegan2/rosinality" + ("_critic" if part == "discriminator" else "")
    made: Any = foreign.load(layout, tensors | moved, {})
    return made.network if part == "discriminator" else made  # type: ignore[no-any-return]


def test_a_generator_without_styles_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"path_length: MLPGenerator has no styles .*; use a stylegan2_generator"):
        pair(penalties=[PathLength()])


def test_r1_takes_minibatch_deviation_and_refuses_batch_norm() -> None:
    generator = GAN(MLPGenerator(3, 2, 8, 1))
    across = Across()
    GANTraining(generator, across, penalties=[R1()])
    across.append_norm = nn.BatchNorm1d(2)
    with pytest.raises(RecipeError, match="the critic's batch norm mixes samples"):
        GANTraining(generator, across, penalties=[R1()])


@pytest.mark.parametrize(("processes", "refused"), [(1, False), (2, True)])
def test_a_share_that_the_measured_rows_do_not_divide_is_refused(
    recorded: Fixture, monkeypatch: pytest.MonkeyPatch, processes: int, refused: bool
) -> None:
    monkeypatch.setattr(path_length, "process_count", lambda: processes)
    monkeypatch.setattr(path_length, "whole_batch_with_graph", lambda lengths: lengths)
    latents = {"z": recorded.io["in.z"][:3], "noise": [rows[:3] for rows in recorded.noise()]}
    turn = Turn(game(recorded, penalties=[]), "generator", recorded.io["in.real"][:3], {}, latents)
    with pytest.raises(RecipeError, match="3 rows a process are no multiple of 2") if refused else nullcontext():
        PathLength(shrink=2)(turn)


@pytest.mark.parametrize(("batch", "measured"), [(1, 1), (2, 1), (3, 1), (4, 2)])
def test_an_odd_batch_is_halved_downwards(recorded: Fixture, batch: int, measured: int) -> None:
    """As the authors' max(1, batch // shrink)."""
    latents = {"z": recorded.io["in.z"][:batch], "noise": [rows[:batch] for rows in recorded.noise()]}
    paths, seen = PathLength(shrink=2), list[int]()
    paths.penalty = lambda lengths: seen.append(len(lengths)) or lengths.sum()  # type: ignore[method-assign, func-returns-value]
    paths(Turn(game(recorded, penalties=[]), "generator", recorded.io["in.real"][:batch], {}, latents))
    assert seen == [measured]
