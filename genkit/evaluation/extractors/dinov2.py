"""DINOv2 (Oquab et al. 2023): the class token of a self-supervised vision transformer, the features of FD-DINOv2.

ViT-L/14 as in Stein et al. 2023 is downloaded; a local file may hold any of the authors' sizes S, B and L.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.core.files import sha256_of_file
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.extractors.weights_file import find_or_download, load_state, read_state

SHA256 = "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"
"""Hash of the authors' ViT-L/14, 1,217,586,395 bytes."""

URLS = ("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",)
PATCH, SIZE, HEAD = 14, 224, 64
NAMES = {384: "dinov2-vits14", 768: "dinov2-vitb14", 1024: "dinov2-vitl14"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def dinov2(weights: str | Path | None = None) -> Extractor:
    """Features of width 384, 768 or 1024 at 224 x 224, resized by `clean`.

    Args:
        weights: one of the authors' `dinov2_vit*14_pretrain.pth` or a safetensors copy; None looks in the cache, then
            downloads ViT-L/14 (1.2 GB) and checks the hash.

    Raises:
        EvaluationError: no weights to be had.
        WeightsError: a damaged file or another network's.
    """
    path = Path(weights) if weights else find_or_download(Path(URLS[0]).name, URLS, SHA256, "dinov2")
    network = DINOv2.like(read_state(path), path)
    load_state(network, path)
    name = NAMES.get(network.width, f"dinov2-{network.width}")
    return Extractor(
        name,
        network,
        sha256_of_file(path),
        channels=3,
        size=SIZE,
        resize="clean",
        offset=0.0,
        scale=255.0,
        logits=False,
    )


class DINOv2(nn.Module):
    """Images in [0, 1], (B, 3, H, W) with sides that are multiples of 14 -> (B, width). Submodules as in the weights.

    Args:
        grid: patches along a side of the images that the position embedding was trained for.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, depth: int, grid: int):
        super().__init__()
        self.width, self.grid = width, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    @classmethod
    def like(cls, state: dict[str, Tensor], path: Path) -> DINOv2:
        """A network of the size that a state has.

        Raises:
            WeightsError: no DINOv2 state, or one with registers or another feed-forward layer.
        """
        depth = len({k.split(".")[1] for k in state if k.startswith("blocks.")})
        tokens = state.get("pos_embed", torch.empty(0))
        grid = round(max(tokens.shape[1] - 1, 0) ** 0.5) if tokens.dim() == 3 else 0
        if not depth or not grid or "register_tokens" in state or "blocks.0.mlp.fc1.weight" not in state:
            raise WeightsError(f"{path} does not hold DINOv2 weights of size S, B or L (14 pixels, no registers)")
        return cls(tokens.shape[2], depth, grid)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed["proj"]((x - self.mean) / self.std)
        rows, columns = patches.shape[2:]
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), rearrange(patches, "b c h w -> b (h w) c")], 1)
        x = x + self.positions(rows, columns)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def positions(self, rows: int, columns: int) -> Tensor:
        """The position embedding for another number of patches; 0.1 is the authors' guard against rounding."""
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        first, others = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = rearrange(others, "b (h w) c -> b c h w", h=self.grid)
        factors = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        resized = F.interpolate(square, scale_factor=factors, mode="bicubic")
        return torch.cat([first, rearrange(resized, "b c h w -> b (h w) c")], 1)


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each normalised before and scaled by channel after."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width)
        self.ls1, self.ls2 = LayerScale(width), LayerScale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))


class Attention(nn.Module):
    """Self-attention with heads of 64 channels."""

    def __init__(self, width: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, d=HEAD)
        return self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)"))


class LayerScale(nn.Module):
    """A learned factor for every channel."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma
