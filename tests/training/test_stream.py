from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genkit.core.batch_noise import SMALL
from genkit.core.errors import RecipeError
from genkit.data.dataset import DataSet
from genkit.data.shapes import shapes
from genkit.training.shuffle import Shares, Shuffle, permuted
from genkit.training.stream import Stream
from tests.training.sources import Numbers


def indices(stream: Stream, batches: int) -> torch.Tensor:
    return torch.cat([next(stream).index for _ in range(batches)])


def test_every_epoch_is_another_permutation_across_batches() -> None:
    order = indices(Stream(Numbers(10), 4, seed=1), 10).view(4, 10)
    for epoch in order:
        assert epoch.sort().values.equal(torch.arange(10))
    assert len({tuple(epoch.tolist()) for epoch in order}) == 4


def test_a_batch_larger_than_the_data_takes_several_epochs() -> None:
    first = next(Stream(Numbers(3), 7, seed=1)).index
    assert first[:3].sort().values.equal(torch.arange(3)) and first[3:6].sort().values.equal(torch.arange(3))


def test_item_k_is_a_function_of_seed_and_k() -> None:
    order = indices(Stream(Numbers(10), 5, seed=1), 6)
    assert order.equal(indices(Stream(Numbers(10), 3, seed=1), 10))
    later = Stream(Numbers(10), 5, seed=1)
    later.position = 15
    assert indices(later, 3).equal(order[15:])
    assert not order.equal(indices(Stream(Numbers(10), 5, seed=2), 6))


@pytest.mark.parametrize("world", [2, 3])
def test_shares_make_up_the_whole_batch(world: int) -> None:
    whole = Stream(Numbers(10, images=True), 6, seed=4, mirror=True)
    parts = [Stream(Numbers(10, images=True), 6, seed=4, mirror=True, rank=r, world_size=world) for r in range(world)]
    for step in range(4):
        for stream in (whole, *parts):
            stream.begin(step)
        want, got = next(whole), [next(p) for p in parts]
        assert torch.cat([b.x for b in got]).equal(want.x)
        assert torch.cat([b.condition["label"] for b in got]).equal(want.condition["label"])
        for draw in (lambda s: s.normal(2), lambda s: s.uniform(), lambda s: s.integers(9)):
            assert torch.cat([draw(p) for p in parts]).equal(draw(whole))
        drawn = [s.draw(lambda n, rng: {"z": (torch.randn(n, 2, generator=rng),)})["z"][0] for s in (*parts, whole)]
        assert torch.cat(drawn[:-1]).equal(drawn[-1]), "a tree of rows is shared out too"
        common = [stream.common(lambda rng: torch.randperm(20, generator=rng)[:11]) for stream in (whole, *parts)]
        assert len(common[0]) == 11 and all(drawn.equal(common[0]) for drawn in common)


def test_attributes_stay_with_their_images_in_every_process() -> None:
    data = shapes(n=11, size=8)
    whole, parts = Stream(data, 6, seed=4), [Stream(data, 6, seed=4, rank=r, world_size=2) for r in range(2)]
    for _ in range(4):
        want, got = next(whole), [next(part) for part in parts]
        assert want.condition.keys() == data.conditions.keys()
        for name, rows in want.condition.items():
            assert rows.equal(data.attributes[name][want.index]) and want.x.equal(data.rows(want.index))
            assert torch.cat([part.condition[name] for part in got]).equal(rows)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.batch_size: 7 cannot be shared by 2"):
        Stream(Numbers(10), 7, seed=0, rank=0, world_size=2)


def test_rows_and_labels_belong_to_the_index() -> None:
    batch = next(Stream(Numbers(10), 6, seed=1))
    assert batch.x.squeeze(1).equal(batch.index.float())
    assert batch.condition["label"].equal(batch.index % 3) and len(batch) == 6
    assert next(Stream(Numbers(10, labels=False), 6, seed=1)).condition == {}


def test_mirroring_is_reproducible_and_happens_half_the_time() -> None:
    batch = next(Stream(Numbers(400, images=True), 400, seed=1, mirror=True))
    flipped = batch.x[:, 0, 0, 0] == -batch.index.float()
    kept = batch.x[:, 0, 0, 0] == batch.index.float()
    assert (flipped | kept).all() and 150 < flipped.sum() < 250
    assert next(Stream(Numbers(400, images=True), 400, seed=1, mirror=True)).x.equal(batch.x)
    plain = next(Stream(Numbers(400, images=True), 400, seed=1))
    assert plain.index.equal(batch.index) and plain.x[:, 0, 0, 0].equal(plain.index.float())


def test_fetch_gives_rows_as_they_are_and_does_not_move_the_stream() -> None:
    stream = Stream(Numbers(10, images=True), 4, seed=1, mirror=True)
    batch = stream.fetch(torch.tensor([7, 2]))
    assert batch.x[:, 0, 0, 0].tolist() == [7, 2] and stream.position == 0


def test_noise_is_a_function_of_seed_iteration_and_order() -> None:
    a, b = Stream(Numbers(10), 4, seed=1), Stream(Numbers(10), 4, seed=1)
    a.begin(3)
    b.begin(2)
    other = b.normal(2)
    b.begin(3)
    first = a.normal(2)
    assert first.equal(b.normal(2)) and not first.equal(other) and not first.equal(a.normal(2))
    assert first.shape == (4, 2) and a.uniform().shape == (4,) and a.integers(3).dtype == torch.int64


class TwoDomains(Numbers):
    """Numbers, and a second domain of other numbers."""

    def __init__(self, n: int, other: int, *, images: bool = False):
        super().__init__(n, images=images)
        self.target = Numbers(other, images=images, labels=False)


def targets(stream: Stream, batches: int) -> torch.Tensor:
    return torch.cat([next(stream).target for _ in range(batches)]).squeeze(1).long()


def test_a_second_domain_has_epochs_of_its_own_and_needs_no_state() -> None:
    order = targets(Stream(TwoDomains(10, 6), 4, seed=1), 6).view(4, 6)
    assert all(epoch.sort().values.equal(torch.arange(6)) for epoch in order)
    later = Stream(TwoDomains(10, 6), 4, seed=5)
    later.seed, later.position = 1, 12
    assert targets(later, 3).equal(order.flatten()[12:])
    assert next(Stream(Numbers(10), 4, seed=1)).target is None


def test_the_second_domain_is_shuffled_apart_and_leaves_the_first_alone() -> None:
    both = Stream(TwoDomains(10, 10), 5, seed=1)
    first, second = zip(*((b.index, b.target.squeeze(1).long()) for b in (next(both) for _ in range(6))), strict=True)
    assert torch.cat(first).equal(indices(Stream(Numbers(10), 5, seed=1), 6))
    assert not torch.cat(first).equal(torch.cat(second))


def test_shares_and_mirroring_of_the_second_domain() -> None:
    whole = next(Stream(TwoDomains(10, 8, images=True), 6, seed=4, mirror=True)).target
    parts = [
        next(Stream(TwoDomains(10, 8, images=True), 6, seed=4, mirror=True, rank=r, world_size=2)).target
        for r in range(2)
    ]
    assert torch.cat(parts).equal(whole)
    mirrored = whole[:, 0, 0, 0] < whole[:, 0, 0, 1]
    assert 0 < mirrored.sum() < 6


def test_a_large_set_is_permuted_without_being_laid_out() -> None:
    n = SMALL + 77
    shuffle = Shuffle(n)
    epochs = [shuffle.rows(3, epoch * n + np.arange(n)) for epoch in range(3)]
    for order in epochs:
        assert order.sort().values.equal(torch.arange(n))
    assert not epochs[0].equal(epochs[1]) and not Shuffle(n, "target").rows(3, np.arange(n)).equal(epochs[0])
    assert shuffle._laid_out == (-1, -1)
    spans = [(k, min(k + 1000, 2 * n)) for k in range(0, 2 * n, 1000)]
    assert torch.cat([shuffle.rows(3, np.arange(*span)) for span in spans]).equal(torch.cat(epochs[:2]))
    flips = torch.cat([shuffle.flips(3, *span) for span in spans])
    assert flips.equal(shuffle.flips(3, 0, 2 * n)) and abs(flips.double().mean() - 0.5) < 0.02


def test_a_computed_permutation_is_as_good_as_a_drawn_one() -> None:
    """The place of an item is uniform, and places of neighbours are independent."""
    n, epochs = SMALL + 77, 1500
    places = np.array(
        [permuted(np.array([0, 1, n - 1]), n, [7 * epoch + i for i in range(6)]) for epoch in range(epochs)]
    )
    for column in places.T:
        counts = np.histogram(column, bins=15, range=(0, n))[0]
        assert ((counts - epochs / 15) ** 2 / (epochs / 15)).sum() < 40  # chi-square of 14 degrees: p = 0.0002
    assert abs(np.corrcoef(places.T.astype(float))[0, 1:]).max() < 4.5 / epochs**0.5
    steps = np.diff(permuted(np.arange(n), n, [1, 2, 3, 4, 5, 6]).astype(np.int64)) % n
    counts = np.histogram(steps, bins=50, range=(0, n))[0]
    assert ((counts - n / 50) ** 2 / (n / 50)).sum() < 95  # 49 degrees: p = 0.0001


@pytest.mark.parametrize("n", [2, 3, 5, 8, 9, 1000])
def test_permutations_of_any_size(n: int) -> None:
    assert sorted(permuted(np.arange(n), n, [5, 6, 7, 8]).tolist()) == list(range(n))


@pytest.mark.parametrize("n", [50, SMALL + 77])
def test_shares_laid_out_ahead_are_the_rows_of_their_items(n: int) -> None:
    """Over the ends of epochs, after going back as a run does that is resumed, and between the batches laid out."""
    shares = Shares(Shuffle(n), slice(8, 16), 32)
    for seed, position in [(3, p) for p in (0, 32, 64, 32, 40, n - 40, 3 * n, 3 * n + 2**15, 3 * n + 32)] + [(4, 0)]:
        expected = Shuffle(n).rows(seed, np.arange(position + 8, position + 16))
        assert shares.at(seed, position).equal(expected)


def lopsided() -> DataSet:
    return DataSet(
        "lopsided", torch.arange(9.0)[:, None], torch.tensor([0, 2, 0, 2, 0, 2, 2, 0, 0]), ("a", "none", "b")
    )


def test_balanced_epochs_have_as_many_of_every_class_and_lose_no_row() -> None:
    stream = Stream(lopsided(), 5, seed=1, balanced=True)
    epochs = indices(stream, 6).view(3, 10)
    for epoch in epochs:
        assert epoch.sort().values.tolist() == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert not epochs[0].equal(epochs[1])
    parts = [Stream(lopsided(), 6, seed=4, balanced=True, mirror=False, rank=r, world_size=2) for r in range(2)]
    assert torch.cat([next(p).index for p in parts]).equal(next(Stream(lopsided(), 6, seed=4, balanced=True)).index)
    later = Stream(lopsided(), 5, seed=1, balanced=True)
    later.position = 15
    assert indices(later, 3).equal(epochs.flatten()[15:])
    assert next(stream.restarted(10, 7)).condition["label"].bincount().tolist() == [5, 0, 5]


def test_what_is_balanced_already_comes_in_the_same_order() -> None:
    data = DataSet("even", torch.arange(6.0)[:, None], torch.arange(6) % 2)
    assert indices(Stream(data, 4, seed=1, balanced=True), 3).equal(indices(Stream(data, 4, seed=1), 3))


def test_classes_are_needed_to_be_balanced() -> None:
    with pytest.raises(RecipeError, match=r"train\.balanced: bare has no classes"):
        Stream(DataSet("bare", torch.zeros(3, 1)), 2, seed=0, balanced=True)


class HostCopies(TorchDispatchMode):
    """Kinds and sizes of what is made on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[torch.dtype, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "cpu":
            self.made.append((out.dtype, out.numel()))
        return out


def test_images_go_to_another_device_as_bytes_and_become_floats_there() -> None:
    data = shapes(n=11, size=8)
    stream, pixels = Stream(data, 6, seed=4, mirror=True, device="meta"), 6 * 3 * 64
    assert data.sample_shape == (3, 8, 8)
    with HostCopies() as seen:
        batch = next(stream)
    assert (batch.x.device.type, batch.x.dtype, batch.x.shape) == ("meta", torch.float32, (6, 3, 8, 8))
    assert not [size for kind, size in seen.made if size >= pixels and kind.is_floating_point]
    assert (torch.uint8, pixels) in seen.made


def test_bytes_become_the_same_floats_as_ever() -> None:
    data = shapes(n=11, size=8)
    x = next(Stream(data, 6, seed=4)).x
    index = next(Stream(data, 6, seed=4)).index
    assert x.equal(data.x[index].float() / 127.5 - 1) and x.equal(data.rows(index))
