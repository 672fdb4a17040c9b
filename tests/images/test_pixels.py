from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.errors import CheckpointError, DataError
from genkit.images import pixels as images

EVERY_LEVEL = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_every_level_survives_the_round_trip() -> None:
    x = images.from_uint8(EVERY_LEVEL)
    assert x.dtype == torch.float32
    assert x.min() == -1 and x.max() == 1
    assert torch.equal(images.to_uint8(x), EVERY_LEVEL)


def test_rounds_to_the_nearest_level_instead_of_truncating() -> None:
    levels = torch.tensor([10.4, 10.6, 254.9, 0.2])
    x = (levels / 127.5 - 1).reshape(1, 2, 2)
    assert images.to_uint8(x).flatten().tolist() == [10, 11, 255, 0]


def test_intensities_there_and_back() -> None:
    x = torch.tensor([-1.0, -0.5, 0.0, 1.0])
    assert images.to_unit(x).tolist() == [0, 0.25, 0.5, 1]
    assert images.from_unit(images.to_unit(x)).equal(x)
    assert images.from_unit(torch.tensor([-0.2, 1.3])).tolist() == [-1, 1]
    assert x.tolist() == [-1, -0.5, 0, 1], "the argument is left alone"


def test_a_range_is_checked_without_rounding() -> None:
    x = torch.zeros(2, 1, 2, 2)
    assert images.check_range(x) is x
    x[1] = 1.5
    with pytest.raises(DataError, match=r"sample 1 holds 1\.5 to 1\.5"):
        images.check_range(x)


def test_half_a_level_of_overshoot_is_clamped() -> None:
    x = torch.tensor([-1 - 0.9 / 255, 1 + 0.9 / 255]).reshape(1, 1, 2)
    assert images.to_uint8(x).flatten().tolist() == [0, 255]


@pytest.mark.parametrize("bad", [1.01, -1.01, float("nan"), float("inf"), 255.0])
def test_a_value_out_of_range_names_its_sample(bad: float) -> None:
    x = torch.zeros(5, 3, 4, 4)
    x[3, 1, 2, 2] = bad
    with pytest.raises(DataError, match=r"^sample 3 "):
        images.to_uint8(x)


def test_types_are_not_guessed() -> None:
    with pytest.raises(DataError, match="uint8"):
        images.to_uint8(EVERY_LEVEL)
    with pytest.raises(DataError, match="float32"):
        images.from_uint8(torch.zeros(1, 2, 2))


def test_luminance_is_pillows() -> None:
    x = torch.randint(256, (3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = np.asarray(Image.fromarray(x.permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(images.to_channels(x, 1)[0].numpy(), expected)


def test_grey_to_colour_and_back_changes_nothing() -> None:
    colour = images.to_channels(EVERY_LEVEL, 3)
    assert colour.shape == (3, 16, 16)
    assert torch.equal(images.to_channels(colour, 1), EVERY_LEVEL)


@pytest.mark.parametrize("size", [7, 13, 40])
def test_resize_agrees_with_pillow(size: int) -> None:
    x = torch.randint(256, (2, 3, 29, 29), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    ours = images.resize(x, size)[1].permute(1, 2, 0).numpy().astype(int)
    bicubic = Image.Resampling.BICUBIC
    theirs = np.asarray(Image.fromarray(x[1].permute(1, 2, 0).numpy()).resize((size, size), bicubic)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


def test_centre_square() -> None:
    x = torch.arange(2 * 6).reshape(1, 2, 6)
    assert torch.equal(images.centre_square(x), x[:, :, 2:4])
    assert torch.equal(images.centre_square(x.mT), x.mT[:, 2:4])


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(channels: int) -> None:
    x = torch.randint(256, (channels, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    decoded, notes = images.decode(images.png_bytes(x), "x.png")
    assert torch.equal(decoded, x) and notes == ()


def test_png_refuses_two_channels() -> None:
    with pytest.raises(DataError, match="1 or 3 channels"):
        images.png_bytes(torch.zeros(2, 4, 4))


def test_write_folder_numbers_batches_and_singles(tmp_path) -> None:
    assert images.write_folder([torch.zeros(2, 1, 4, 4), torch.ones(1, 4, 4)], tmp_path / "new", start=7) == 3
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["000007.png", "000008.png", "000009.png"]
    assert opened((tmp_path / "new" / "000009.png").read_bytes()).min() == 255


def test_what_cannot_be_written_is_one_line(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for write in (images.write_png, lambda path, x: images.write_folder([x], path)):
        with pytest.raises(CheckpointError, match="cannot write"):
            write(tmp_path / "file" / "x.png", torch.zeros(1, 2, 2))
