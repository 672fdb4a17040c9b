from __future__ import annotations

import torch
import torch.nn.functional as F

from genkit.gan.networks.blocks import DownBlock, FirstBlock, PlainBlock, UpBlock


def silence(block: torch.nn.Module) -> None:
    """Leaves only the shortcut."""
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)


def test_shortcuts():
    x = torch.randn(2, 3, 6, 6)
    up, plain, down, first = UpBlock(3), PlainBlock(3, "none"), DownBlock(3, "none"), FirstBlock(3, 5)
    for block in (up, plain, down, first):
        silence(block)
    torch.testing.assert_close(up(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    torch.testing.assert_close(plain(x), x)
    for block in (down, first):  # a 1x1 convolution, then the pool, as the authors have it in the down-block
        torch.testing.assert_close(block(x), F.avg_pool2d(block.shortcut(x), 2))


def test_only_the_first_block_reads_negative_pixels_in_its_residual():
    x = -torch.rand(2, 3, 6, 6) - 0.1
    plain, first = PlainBlock(3, "none"), FirstBlock(3, 3)
    torch.testing.assert_close(plain.residual(x), plain.residual(2 * x))
    torch.nn.init.zeros_(first.shortcut.weight)
    assert not torch.allclose(first(x), first(2 * x))
