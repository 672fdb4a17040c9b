"""Kernel distance and neighbour scores hold a block of rows, never a matrix of all pairs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from genkit.evaluation import functional
metric, n = getattr(functional, sys.argv[1]), 8000
rng = torch.Generator().manual_seed(0)
real, fake = (torch.randn(n, 4, generator=rng) for _ in range(2))
metric(real[:50], fake[:50])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
metric(real, fake)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["kernel_distance", "precision_recall"])
def test_no_matrix_of_all_pairs(metric):
    """n x n float64 numbers would be 488 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, metric],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert float(done.stdout) < 300, done.stdout
