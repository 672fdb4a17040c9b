from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genkit.core.counts import count
from genkit.core.errors import EvaluationError, GenkitError
from genkit.core.randomness import Rows


@pytest.mark.parametrize("n", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_any_library(n: Any) -> None:
    found = count("number of samples", n)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("n", [0, -1, 3.0, "3", None, True, np.float32(3), [3], torch.tensor([3, 4])])
def test_all_else_is_refused(n: Any) -> None:
    with pytest.raises(GenkitError, match=r"^the number of samples must be a whole number of at least 1, got ") as said:
        count("number of samples", n)
    assert "\n" not in str(said.value)
    with pytest.raises(EvaluationError, match="at least 5"):
        count("number of samples", 4, 5, EvaluationError)


@pytest.mark.parametrize("rng", [3, np.random.default_rng(0), "cpu"])
def test_noise_comes_from_a_generator_of_torch(rng: Any) -> None:
    with pytest.raises(GenkitError, match=r"^rng is a torch\.Generator, as torch\.Generator\(\)\.manual"):
        Rows(2, rng)
