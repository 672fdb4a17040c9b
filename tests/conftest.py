"""What every test starts from."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in another order differ in the last bits, and a training before may have set another number."""
    torch.set_num_threads(1)
