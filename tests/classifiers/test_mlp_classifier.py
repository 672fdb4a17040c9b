from __future__ import annotations

import torch

from genkit.classifiers.mlp_classifier import MLPClassifier
from genkit.evaluation.classification import Classifying


def test_the_order_of_pixels_does_not_matter() -> None:
    torch.manual_seed(0)
    network, x, order = MLPClassifier(8, 1, 4, 16), torch.rand(3, 1, 8, 8) * 2 - 1, torch.randperm(64)
    logits = network(x)
    first = network.hidden[1]
    with torch.no_grad():
        first.weight.copy_(first.weight[:, order])
    torch.testing.assert_close(network(x.flatten(1)[:, order].view_as(x)), logits)


def test_it_is_two_hidden_layers_under_a_head() -> None:
    network = MLPClassifier(28, width=1024)
    assert sum(p.numel() for p in network.parameters()) == 785 * 1024 + 1025 * 1024 + 1025 * 10
    x = torch.rand(2, 1, 28, 28) * 2 - 1
    w1, b1, w2, b2 = (p for p in list(network.parameters())[:4])
    want = torch.relu(torch.relu((x.flatten(1) + 1) / 2 @ w1.T + b1) @ w2.T + b2)
    torch.testing.assert_close(network.features(x), want)
    assert (
        isinstance(network, Classifying) and network.right(x, network(x).argmax(1), torch.Generator())["accuracy"].all()
    )
