from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.gan.stylegan2.critic import HalvingBlock, MinibatchDeviation, StyleGAN2Critic
from genkit.gan.stylegan2.fir import FIR

X = torch.randn(23, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def deviation(group: Tensor) -> Tensor:
    return (group.var(0, unbiased=False) + 1e-8).sqrt().mean()


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 23])
def test_deviation_of_strided_groups_at_any_batch_size(n: int, size: int) -> None:
    x = X[:n]
    made = MinibatchDeviation(size)(x)
    assert made.shape == (n, 4, 4, 4) and made[:, :3].equal(x)
    groups = max(1, n // size)
    for i in range(n):
        torch.testing.assert_close(made[i, 3], deviation(x[i % groups :: groups]).expand(4, 4))


def test_it_says_that_it_mixes_and_one_group_of_one_leaves_it_out() -> None:
    assert MinibatchDeviation.mixes_samples and StyleGAN2Critic(8, group=1, widths=[4, 4]).deviation is None
    critic = StyleGAN2Critic(8, widths=[4, 4])
    x = torch.randn(4, 3, 8, 8)
    assert (critic(x)[:1] - critic(x[:1])).abs() > 1e-6


def test_labels_and_compiled_as_one_graph() -> None:
    torch.manual_seed(0)
    critic = StyleGAN2Critic(16, 3, widths=[6, 5, 4], classes=3, depth=2)
    x = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1)
    y = {"label": torch.tensor([0, 1, 1])}
    scores = critic(x, y)
    assert abs(scores[0] - scores[1]) > 1e-4 and scores[1].allclose(scores[2])
    torch.testing.assert_close(torch.compile(critic, backend="eager", fullgraph=True)(x, y), scores)


def test_a_residual_block_is_the_plain_one_and_a_filtered_path_over_root_two() -> None:
    torch.manual_seed(0)
    block, plain = (HalvingBlock(5, 6, skips) for skips in (True, False))
    plain.load_state_dict(block.state_dict(), strict=False)
    x = torch.randn(2, 5, 8, 8)
    skip = F.conv2d(FIR().down(x), block.skip.weight / 5**0.5)
    torch.testing.assert_close(block(x), (plain(x) + skip) / 2**0.5)


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeError, match="widths: one for each map of 4, 8 pixels; got 1"):
        StyleGAN2Critic(8, widths=[4])
