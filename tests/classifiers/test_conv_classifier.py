from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from genkit.classifiers.conv_classifier import Classifier
from genkit.core.pretrained import Pretrained


def stripes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy 28x28 images of horizontal (0) and vertical (1) stripes."""
    label = torch.arange(n) % 2
    wave = torch.linspace(0, 20, 28).sin()
    x = torch.where(label[:, None, None] == 0, wave[:, None].expand(28, 28), wave.expand(28, 28))
    return (x + 0.3 * torch.randn(n, 28, 28)).clamp(-1, 1)[:, None], label


def test_size_of_the_shipped_network():
    assert sum(p.numel() for p in Classifier().parameters()) < 150_000


def test_logits_are_the_head_of_the_features(tmp_path):
    network = Classifier(channels=3, classes=4, width=8, class_names=("a", "b", "c", "d")).eval()
    x = torch.randn(5, 3, 28, 28)
    assert network.features(x).shape == (5, network.feature_dim) and network.features(x).min() >= 0
    torch.testing.assert_close(network(x), network.head(network.features(x)))
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)
    assert again.class_names == ("a", "b", "c", "d")


def test_eval_mode_judges_every_image_by_itself():
    network = Classifier(width=8)
    network(torch.randn(16, 1, 28, 28))
    network.eval()
    x = torch.randn(6, 1, 28, 28)
    torch.testing.assert_close(network.features(x)[2:3], network.features(x[2:3]))


def test_it_learns_and_its_running_statistics_follow():
    torch.manual_seed(0)
    network = Classifier(classes=2, width=8)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(25):
        x, label = stripes(32)
        optimizer.zero_grad()
        cross_entropy(network(x), label).backward()
        optimizer.step()
    x, label = stripes(100)
    assert (network.eval()(x).argmax(1) == label).sum() >= 98
