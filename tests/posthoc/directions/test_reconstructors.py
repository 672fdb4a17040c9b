from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.posthoc.directions.deformators import (
    Deformator,
    LinearDeformator,
    OrthogonalDeformator,
    ProjectiveDeformator,
    one_hot,
)
from genkit.posthoc.directions.reconstructors import LeNetReconstructor, ResNet18Reconstructor, reconstruction
from tests.posthoc.directions.fixture import read

CLOSE: dict[str, float] = {"rtol": 0, "atol": 1e-4}
LENETS = ("lenet_c1_32", "lenet_c3_64", "lenet_c1_36_w1")


@pytest.mark.parametrize("name", LENETS)
def test_lenet_of_the_authors(name: str) -> None:
    told, io = next(case for case in read().config["lenet"] if case["name"] == name), read().of(name)
    made = LeNetReconstructor(told["directions"], told["image_channels"], told["size"], told["width"])
    assert sum(p.numel() for p in made.parameters()) == told["params"]
    made.load_state_dict(read().parameters(name))
    logits, guess = made.eval()(io["x1"], io["x2"])
    torch.testing.assert_close(logits, io["logits_eval"], **CLOSE)
    torch.testing.assert_close(guess, io["shift_eval"], **CLOSE)
    losses = reconstruction(logits, guess, io["target"], io["eps"])
    torch.testing.assert_close(losses["direction"].item(), told["loss_cls_eval"], **CLOSE)
    torch.testing.assert_close(losses["strength"].item(), told["loss_shift_eval"], **CLOSE)
    assert losses.observed == {"accuracy"}
    made.train()
    logits, guess = made(io["x1"], io["x2"])
    torch.testing.assert_close(logits, io["logits_train"], **CLOSE)
    torch.testing.assert_close(guess, io["shift_train"], **CLOSE)
    assert made.eval()(io["x1"][:1], io["x2"][:1])[1].shape == (1,), "no 0-d tensor of a batch of one"


def test_small_images_are_padded_by_declaration() -> None:
    with pytest.raises(RecipeError, match="a LeNet needs 32 pixels, and images have 28; set padded: 32"):
        LeNetReconstructor(5, 1, 28)
    made, x = LeNetReconstructor(5, 1, 28, padded=32).eval(), torch.rand(2, 1, 28, 28)
    assert made.prepared(x).shape == (2, 1, 32, 32)
    assert made.prepared(x)[:, :, 2:30, 2:30].equal(x) and made.prepared(x)[:, :, 0].eq(-1).all()
    assert made(x, x)[0].shape == (2, 5)


def filled(keys: dict[str, list[int]], seed: int) -> dict[str, Tensor]:
    """Values by the closed formula of the record; ranks also count the batches that batch norms have seen."""
    state, counts = {}, {key.replace("running_mean", "num_batches_tracked") for key in keys if "running_mean" in key}
    for j, name in enumerate(sorted({*keys, *counts})):
        if name in counts:
            continue
        shape = keys[name]
        i = torch.arange(math.prod(shape), dtype=torch.float64).view(shape)
        s = torch.sin(0.7 * i + 1.3 * j + seed % 97)
        bn = "bn" in name or "downsample.1" in name
        if name.endswith("running_var"):
            value = 1 + 0.2 * s
        elif name.endswith("running_mean") or (bn and name.endswith("bias")):
            value = 0.05 * s
        elif bn and name.endswith("weight"):
            value = 1 + 0.1 * s
        elif len(shape) == 1:
            value = 0.1 * s
        else:
            value = s * math.sqrt(2 / math.prod(shape[1:]))
        state[name] = value.float()
    return state


@pytest.mark.parametrize("resized", [0, 32])
def test_resnet18_of_the_authors(resized: int) -> None:
    told, io = read().config["resnet18"], read().of("resnet18")
    made = ResNet18Reconstructor(told["directions"], resized=resized).eval()
    assert sum(p.numel() for p in made.parameters()) == told["params_total"] - told["params_dead_fc"]
    state = {k: v for k, v in filled(told["keys"], read().config["seed"]).items() if ".fc." not in k}
    missing, unexpected = made.load_state_dict(state, strict=False)
    assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing)
    logits, guess = made(io["x1"], io["x2"])
    suffix = f"_downsample{resized}" if resized else ""
    assert io["logits_eval"].abs().min() > 1e4, "so the recorded tolerance can only be a share"
    torch.testing.assert_close(logits, io[f"logits_eval{suffix}"], rtol=1e-5, atol=0)
    torch.testing.assert_close(guess, io[f"shift_eval{suffix}"], rtol=1e-5, atol=0)


def test_large_images_are_resized() -> None:
    made, x = ResNet18Reconstructor(3, size=1024, resized=32).eval(), torch.rand(1, 3, 1024, 1024)
    assert made.prepared(x).shape == (1, 3, 32, 32) and made(x, x)[0].shape == (1, 3)


@pytest.mark.parametrize("kind", ["ortho", "proj", "linear"])
def test_three_steps_of_training(kind: str) -> None:
    """Of both networks at once, by Adam of rate 1e-4."""
    name = f"train_{kind}"
    told, io = next(case for case in read().config["training"] if case["name"] == name), read().of(name)
    kinds: dict[str, Any] = {"ortho": OrthogonalDeformator, "proj": ProjectiveDeformator, "linear": LinearDeformator}
    deformator: Deformator = kinds[kind](8, 8)
    reconstructor, generator = LeNetReconstructor(8), nn.Linear(8, 1024)
    parts = {"deformator": deformator, "reconstructor": reconstructor, "G": generator}
    for part, module in parts.items():
        module.load_state_dict(read().parameters(f"{name}.{part}"))
    adam = torch.optim.Adam([*deformator.parameters(), *reconstructor.parameters()], told["lr"])
    for step, expected in enumerate(told["losses"]):
        z, target, eps = (io[f"step{step}.{key}"] for key in ("z", "target", "eps"))
        images = [generator(at).tanh().view(-1, 1, 32, 32) for at in (z, z + deformator(one_hot(target, eps, 8)))]
        losses = reconstruction(*reconstructor(*images), target, eps)
        loss = losses["direction"] + losses["strength"]
        found = torch.stack([losses["direction"], losses["strength"], loss]).tolist()
        assert found == pytest.approx(expected, abs=1e-5)
        adam.zero_grad()
        loss.backward()
        adam.step()
    for part in ("deformator", "reconstructor"):
        after = {k: v for k, v in io.items() if k.startswith(f"{part}_after.")}
        assert after
        for key, value in after.items():
            mine = parts[part].state_dict()[key.removeprefix(f"{part}_after.")]
            torch.testing.assert_close(mine, value, rtol=0, atol=1e-6)
