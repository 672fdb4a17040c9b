"""The spectral penalty, against the authors' sums and gradients, and against singular values."""

from __future__ import annotations

import pytest
import torch

from genkit.vae.energy.spectral_penalty import SpectralPenalty
from tests.vae.energy.fixtures import NETWORKS, Recorded, assert_gradient, ours, recorded

WEIGHTS = [(4, 2, 3, 3), (4, 4, 1, 1), (4, 2, 3, 3), (6, 4)]


def recorded_penalty(r: Recorded) -> SpectralPenalty:
    """With the vectors that the authors' power iteration started from."""
    penalty = SpectralPenalty(r.network().weights())
    vectors = r.under("sn")
    for name, start in vectors.items():
        if name[:3] in ("u0/", "v0/"):
            penalty.get_buffer(f"{name[0]}_{name[3:]}").copy_(start)
    return penalty


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_and_gradients_are_the_authors(name):
    r = recorded(name)
    network, penalty = r.network(), recorded_penalty(r)
    penalty.iterate(network.weights())
    loss = penalty(network.weights())
    torch.testing.assert_close(loss.detach(), r.io["sn/loss_first"], rtol=1e-5, atol=1e-4)
    loss.backward()
    for place, expected in r.under("sn/grad").items():
        assert_gradient(network.get_parameter(ours(place)).grad, expected)
    penalty.iterate(network.weights())
    torch.testing.assert_close(penalty(network.weights()).detach(), r.io["sn/loss_second"], rtol=1e-5, atol=1e-4)


def test_the_penalty_is_the_sum_of_largest_singular_values():
    torch.manual_seed(0)
    weights = [torch.randn(shape) for shape in WEIGHTS]
    penalty = SpectralPenalty(weights)
    for _ in range(50):
        penalty.iterate(weights)
    expected = sum(torch.linalg.matrix_norm(w.flatten(1), 2) for w in weights)
    torch.testing.assert_close(penalty(weights), expected, rtol=1e-4, atol=0)


def test_the_penalty_itself_moves_nothing_and_its_vectors_are_saved():
    torch.manual_seed(0)
    weights = [torch.randn(shape) for shape in WEIGHTS]
    penalty, again = SpectralPenalty(weights), SpectralPenalty(weights)
    penalty.iterate(weights)
    value = penalty(weights)
    assert penalty(weights).equal(value)
    assert not again(weights).equal(value)
    again.load_state_dict(penalty.state_dict())
    assert again(weights).equal(value)
    penalty.iterate(weights)
    again.iterate(weights)
    assert again(weights).equal(penalty(weights))
    assert not penalty(weights).equal(value)
