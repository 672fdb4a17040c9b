"""Fixtures that every test starts from."""

from __future__ import annotations

import os

os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("GENKIT_TEST_GPU", "")  # the suite is of the CPU; tests/gpu is not

from pathlib import Path

import pytest
import torch

from genkit.core import computing


@pytest.fixture(autouse=True, scope="session")
def no_decoded_sets_at_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a cache of its own a test session would fill the user's."""
    os.environ.setdefault("GENKIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in another order differ in the last bits, and a training before may have set another number."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def units_of_the_cpu_unknown() -> None:
    """Recipes in bf16 are trained wherever the suite runs; see `few_statistics` for processes that it starts."""
    computing.CPUINFO = Path("/nowhere")
