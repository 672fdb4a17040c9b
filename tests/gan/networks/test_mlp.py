from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.gan.networks.mlp import MLPCritic, MLPGenerator


@pytest.mark.parametrize(("gain", "kept"), [(1.0, 1 / 6), (6**0.5, 1.0)])
def test_gain_says_how_much_of_the_signal_a_layer_keeps(gain: float, kept: float) -> None:
    torch.manual_seed(0)
    network = MLPGenerator(latent_dim=512, width=512, depth=4, gain=gain)
    for layer in network.hidden:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    x = network.hidden[:2](torch.randn(256, 512))
    power = network.hidden[2:](x).square().mean() / x.square().mean()
    assert power.item() == pytest.approx(kept**3, rel=0.15)


@pytest.mark.parametrize("cls", [MLPCritic, MLPGenerator])
def test_gain_moves_the_weights_of_hidden_layers_alone(cls: type) -> None:
    made = []
    for gain in (1.0, 2.0):
        torch.manual_seed(0)
        made.append(cls(**{"latent_dim": 3} if cls is MLPGenerator else {}, width=4, depth=2, gain=gain).state_dict())
    for name, value in made[0].items():
        factor = 2.0 if name.startswith("hidden") and name.endswith("weight") else 1.0
        assert torch.equal(made[1][name], factor * value), name
