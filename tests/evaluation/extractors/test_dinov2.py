"""Our DINOv2 against an independent implementation, on random weights."""

from __future__ import annotations

import pytest
import torch

from genkit.core.errors import EvaluationError, WeightsError
from genkit.evaluation.extractors import dinov2 as module
from genkit.evaluation.extractors.dinov2 import DINOv2, dinov2
from genkit.evaluation.metrics.scores_by_name import label

WIDTH, DEPTH, GRID = 128, 2, 5


@pytest.fixture
def network() -> DINOv2:
    torch.manual_seed(0)
    made = DINOv2(WIDTH, DEPTH, GRID).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def theirs(network: DINOv2):
    """The same weights in the transformers library's layout."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=WIDTH // 64, image_size=GRID * 14, patch_size=14
    )
    model = transformers.Dinov2Model(config).eval()
    state = {"embeddings.mask_token": torch.zeros(1, WIDTH)}
    parts = {"patch_embed.proj": "embeddings.patch_embeddings.projection", "norm.": "layernorm."}
    for name, value in network.state_dict().items():
        if name.startswith("blocks."):
            _, i, rest = name.split(".", 2)
            here = f"encoder.layer.{i}."
            if rest.startswith("attn.qkv"):
                for part, chunk in zip("qkv", value.chunk(3), strict=True):
                    state[f"{here}attention.{part}_proj.{rest.rpartition('.')[2]}"] = chunk
                continue
            rest = rest.replace("attn.proj", "attention.o_proj").replace("ls1.gamma", "layer_scale1.lambda1")
            state[here + rest.replace("ls2.gamma", "layer_scale2.lambda1")] = value
        elif name in ("cls_token", "pos_embed"):
            state["embeddings." + {"pos_embed": "position_embeddings"}.get(name, name)] = value
        else:
            old, new = next((o, n) for o, n in parts.items() if name.startswith(o))
            state[name.replace(old, new, 1)] = value
    model.load_state_dict(state)
    return model


def test_features_equal_transformers(network):
    x = torch.rand(3, 3, GRID * 14, GRID * 14)
    model = theirs(network)
    with torch.no_grad():
        expected = model((x - network.mean) / network.std).last_hidden_state[:, 0]
        found = network(x)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_positions_of_another_size_keep_what_is_smooth(network):
    rows = torch.linspace(-1, 1, GRID)[:, None].expand(GRID, GRID)
    with torch.no_grad():
        network.pos_embed[0, 1:] = rows.reshape(-1, 1)
    found = network.positions(16, 16)[0, 1:, 0].reshape(16, 16)
    assert found.shape == (16, 16) and torch.allclose(found[:, 0], found[:, 9], atol=1e-5)
    assert (found[1:] - found[:-1] > -1e-2).all() and found[0, 0] < -0.9 and found[-1, 0] > 0.9


def test_the_size_is_read_from_the_file(network, tmp_path):
    torch.save({**network.state_dict(), "mask_token": torch.zeros(1, WIDTH)}, tmp_path / "w.pth")
    extractor = dinov2(tmp_path / "w.pth")
    found = extractor(torch.randint(0, 256, (2, 1, 30, 40), dtype=torch.uint8)).features
    assert found.shape == (2, WIDTH) and label("fd", extractor.name, extractor.published) == f"FD/dinov2-{WIDTH}"


def test_other_files_and_no_network(network, tmp_path, monkeypatch):
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="DINOv2 weights"):
        dinov2(tmp_path / "other.pth")
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(module, "URLS", ((tmp_path / "absent.pth").as_uri(),))
    with pytest.raises(EvaluationError, match="give it as dinov2 weights"):
        dinov2()
