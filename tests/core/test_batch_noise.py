from __future__ import annotations

import math

import pytest
import torch

from genkit.core.batch_noise import SMALL, BatchNoise, Part

WHOLE = 24
SHAPES = [(), (1,), (2,), (3, 5), (SMALL // WHOLE,), (SMALL // WHOLE + 1,), (3, 31, 33)]
KINDS = {
    "normal": lambda noise, part, shape: noise.normal(part, *shape),
    "uniform": lambda noise, part, shape: noise.uniform(part, *shape),
    "uniform64": lambda noise, part, shape: noise.uniform(part, *shape, dtype=torch.float64),
    "integers": lambda noise, part, shape: noise.integers(part, 10, *shape),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("processes", [2, 3, 8, 24])
def test_parts_are_those_of_the_whole(kind, processes):
    whole, rows = BatchNoise(7), WHOLE // processes
    parts = [BatchNoise(7) for _ in range(processes)]
    for shape in SHAPES:  # one after the other, so that the count of draws matters too
        one = KINDS[kind](whole, Part(0, WHOLE, WHOLE), shape)
        many = [KINDS[kind](noise, Part(i * rows, rows, WHOLE), shape) for i, noise in enumerate(parts)]
        assert one.shape == (WHOLE, *shape) and torch.cat(many).equal(one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("processes", [2, 3, 8, 24])
@pytest.mark.parametrize("shape", [(SMALL,), (SMALL * 9,), (SMALL * 64,)])
def test_so_they_are_on_a_gpu(kind, processes, shape, monkeypatch):
    monkeypatch.setattr("genkit.core.batch_noise.HOST", "no such kind")  # of device: draws as elsewhere than on a CPU
    whole, rows = BatchNoise(7), WHOLE // processes
    parts = [BatchNoise(7) for _ in range(processes)]
    for _ in range(2):
        one = KINDS[kind](whole, Part(0, WHOLE, WHOLE), shape)
        many = [KINDS[kind](noise, Part(i * rows, rows, WHOLE), shape) for i, noise in enumerate(parts)]
        assert one.shape == (WHOLE, *shape) and torch.cat(many).equal(one)


def test_a_gpu_is_asked_by_the_group_of_rows(monkeypatch):
    monkeypatch.setattr("genkit.core.batch_noise.HOST", "no such kind")
    asked = []
    monkeypatch.setattr("genkit.core.batch_noise.stable_seed", lambda seed, draw, group: asked.append(group) or 0)
    BatchNoise(0).uniform(Part(64, 32, 10**6), SMALL)
    assert asked == [2]


@pytest.mark.parametrize("kind", KINDS)
def test_draws_rows_and_seeds_differ(kind):
    noise, part = BatchNoise(1), Part(0, 4, 4)
    draws = [KINDS[kind](noise, part, (SMALL,)) for _ in range(2)] + [KINDS[kind](BatchNoise(2), part, (SMALL,))]
    rows = torch.cat(draws)
    same = [(a == b).double().mean().item() for i, a in enumerate(rows) for b in rows[:i]]
    assert max(same) < (0.12 if kind == "integers" else 0.001)


def test_distributions():
    part, shape = Part(3, 5, 100), (50_000,)
    z, u = BatchNoise(0).normal(part, *shape), BatchNoise(0).uniform(part, *shape)
    n = z.numel()
    assert z.dtype == torch.float32 and z.isfinite().all()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = math.sqrt(math.prod(range(2 * power - 1, 0, -2)) / n)
        assert abs(z.double().pow(power).mean().item() - moment) < 5 * spread
    assert 0 <= u.min() < 1e-4 and 0.9999 < u.max() < 1
    assert abs(u.double().mean().item() - 0.5) < 5 / math.sqrt(12 * n)
    for sample in (z, u):  # neighbours in a row do not know each other
        assert abs(torch.corrcoef(torch.stack([sample[:, :-1].flatten(), sample[:, 1:].flatten()]))[0, 1]) < 5 / n**0.5
    counts = BatchNoise(0).integers(part, 7, *shape).flatten().bincount()
    assert len(counts) == 7 and (counts - n / 7).abs().max() < 5 * math.sqrt(n / 7)


def test_a_normal_number_is_finite_whatever_the_bits():
    import numpy as np

    from genkit.core.batch_noise import _normal, _uniform

    ends = np.array([[0, 2**64 - 1, 2**63, 2**31, 2**31 - 1, 1]], dtype=np.uint64)
    assert _normal(ends).isfinite().all() and ((_uniform(ends) >= 0) & (_uniform(ends) < 1)).all()


def test_the_whole_batch_costs_nothing(monkeypatch):
    """However large the batch, no more bits are made than for the rows of this process."""
    import numpy as np

    made = []

    class Counted(np.random.PCG64DXSM):
        def random_raw(self, size):
            made.append(size)
            return super().random_raw(size)

    monkeypatch.setattr(np.random, "PCG64DXSM", Counted)
    for processes in (1, 1000):
        BatchNoise(0).normal(Part(16 * (processes - 1), 16, 16 * processes), 3, 64, 64)
    assert made == [16 * 3 * 64 * 32] * 2
