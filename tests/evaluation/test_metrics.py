"""torchmetrics-shaped classes: equal to the functions, whatever the batches, the processes and their order."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import scipy.stats
import torch
import torch.multiprocessing as mp

from genkit.core.errors import DataError, EvaluationError
from genkit.evaluation import functional
from genkit.evaluation.metrics import TorchMetric

RNG = torch.Generator().manual_seed(0)
REAL = torch.randn(60, 5, generator=RNG, dtype=torch.float64) + 3
FAKE = torch.randn(50, 5, generator=RNG, dtype=torch.float64) * 1.2 + 3.3
CASES = {
    "fd": lambda: functional.frechet_distance_from_features(REAL, FAKE),
    "kd": lambda: functional.kernel_distance(REAL, FAKE),
    "pr": lambda: functional.precision_recall(REAL, FAKE),
    "dc": lambda: functional.density_coverage(REAL, FAKE),
    "authenticity": lambda: functional.authenticity(REAL, FAKE),
    "vendi": lambda: functional.vendi_score(FAKE),
    "is": lambda: functional.inception_score(FAKE)[0],
    "class_modes": lambda: class_modes(FAKE),
}


def class_modes(logits: torch.Tensor) -> tuple[float, float, float]:
    shares = np.bincount(logits.argmax(1).numpy(), minlength=logits.shape[1]) / len(logits)
    uniform = np.full_like(shares, 1 / len(shares))
    return (shares > 0).sum(), scipy.stats.entropy(shares, uniform), logits.softmax(1).amax(1).mean().item()


def numbers(value) -> list[float]:
    return [float(v) for v in value] if isinstance(value, tuple) else [float(value)]


def feed(metric, real, fake, size):
    for rows, is_real in ((real, True), (fake, False)):
        for batch in rows.split(size) if len(rows) else ():
            metric.update(batch, real=is_real)
    return metric


@pytest.fixture(params=CASES)
def name(request):
    return request.param


@pytest.mark.parametrize("size", [1, 7, 60])
def test_any_batch_size_in_any_order(name, size):
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    shuffled = order[order < 50]
    metric = feed(TorchMetric(name), REAL[order], FAKE[shuffled], size)
    assert numbers(metric.compute()) == pytest.approx(numbers(CASES[name]()), rel=1e-10)
    assert all(
        v.dtype == torch.float64 for v in (metric.compute() if isinstance(CASES[name](), tuple) else [metric.compute()])
    )


def test_reset_and_merge(name):
    whole = feed(TorchMetric(name), REAL, FAKE, 20)
    first, second = TorchMetric(name), TorchMetric(name)
    feed(first, REAL[:13], FAKE[:29], 10)
    feed(second, REAL[13:], FAKE[29:], 10)
    first.merge_state(second)
    assert numbers(first.compute()) == pytest.approx(numbers(whole.compute()), rel=1e-10)
    whole.reset()
    feed(whole, REAL, FAKE[:20], 20)
    assert numbers(whole.compute()) != pytest.approx(numbers(first.compute()), rel=1e-10)


def test_state_is_saved(name, tmp_path):
    metric = feed(TorchMetric(name), REAL[:30], FAKE[:30], 9)
    torch.save(metric.state_dict(), tmp_path / "state.pt")
    again = TorchMetric(name)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    feed(again, REAL[30:], FAKE[30:], 9)
    assert numbers(again.compute()) == pytest.approx(numbers(CASES[name]()), rel=1e-10)


def worker(rank: int, port: int, results) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    found = {}
    for name in CASES:
        # The second process sees few reals and, for one metric, nothing at all.
        nothing = name in ("vendi", "fd")
        real, fake = (
            (REAL[:58], FAKE[: 50 if nothing else 31]) if rank == 0 else (REAL[58:], FAKE[50 if nothing else 31 :])
        )
        metric = feed(TorchMetric(name), real, fake, 8)
        found[name] = numbers(metric.compute())
    results[rank] = found
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, (port, results), nprocs=2)
        for name, expected in CASES.items():
            for rank in range(2):
                assert results[rank][name] == pytest.approx(numbers(expected()), rel=1e-10), name


def test_large_offsets_keep_their_digits():
    real, fake = REAL + 1e6, FAKE + 1e6
    metric = feed(TorchMetric("fd"), real, fake, 7)
    assert float(metric.compute()) == pytest.approx(functional.frechet_distance_from_features(REAL, FAKE), rel=1e-8)


def test_images_through_an_extractor():
    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.double().mean((2, 3))

    images = torch.randint(0, 256, (2, 30, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metric = feed(TorchMetric("fd", Mean()), *images, 7)
    x, y = (i.double() / 127.5 - 1 for i in images)
    expected = functional.frechet_distance_from_features(x.mean((2, 3)), y.mean((2, 3)))
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "bad", [torch.full((2, 3, 4, 4), 200.0), torch.full((2, 3, 4, 4), torch.nan), torch.zeros(2, 4, 4, 3)]
)
def test_images_out_of_range(bad):
    metric = TorchMetric("fd", torch.nn.Flatten())
    with pytest.raises(DataError):
        metric.update(bad, real=True)


def test_refusals():
    metric = TorchMetric("fd")
    with pytest.raises(EvaluationError, match="finite"):
        metric.update(torch.tensor([[float("nan"), 1.0]]), real=True)
    metric.update(REAL[:1], real=True)
    with pytest.raises(EvaluationError, match="those before had 5"):
        metric.update(torch.zeros(2, 3), real=False)
    with pytest.raises(EvaluationError, match="got 1 sample"):
        metric.compute()
    metric.update(REAL, real=True)
    with pytest.raises(EvaluationError, match="no fake samples"):
        metric.compute()
    with pytest.raises(EvaluationError, match="no logits"):
        TorchMetric("is", torch.nn.Flatten()).update(torch.zeros(2, 1, 4, 4), real=False)
