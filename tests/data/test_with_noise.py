"""Noise that is planted: at the end, over all levels, labelled as the data are, and always the same."""

from __future__ import annotations

import pytest
import torch

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet
from genkit.data.digits import digits
from genkit.data.domains import domains
from genkit.data.with_noise import with_noise


def test_the_data_come_first_and_then_the_noise() -> None:
    data = digits(split="test")
    both = with_noise(data, 20, seed=3)
    assert len(both) == len(data) + 20 and both.x[: len(data)].equal(data.x) and both.classes == data.classes
    noise = both.x[len(data) :].double()
    assert abs(noise.mean() - 127.5) < 3 and abs(noise.std() - 73.9) < 2
    assert both.labels is not None and data.labels is not None and both.labels[: len(data)].equal(data.labels)
    assert len(both.labels[len(data) :].unique()) > 3
    assert both.fingerprint == with_noise(data, 20, seed=3).fingerprint != with_noise(data, 20, seed=4).fingerprint


def test_of_two_domains_the_first_gets_it() -> None:
    source = digits(split="test")
    both = with_noise(domains(source, source), 3)
    assert type(both) is DataSet and len(both) == len(source) + 3 and both.fingerprint


def test_points_take_none() -> None:
    with pytest.raises(DataError, match="holds points; noise is added to images"):
        with_noise(DataSet("plane", torch.zeros(3, 2)), 1)
