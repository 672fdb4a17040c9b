"""Pixels: the only place that knows ranges. Inside genkit images are float32 in [-1, 1]; on disk they are 8-bit."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from genkit.core.errors import DataError, kind_of
from genkit.core.files import cannot_write, temporary_beside, write_atomically
from genkit.core.known import known
from genkit.images.decoding import read_pixels, refusal

OVERSHOOT = 1 / 255
"""Largest distance of a value from [-1, 1]: half an 8-bit level, which rounds to the same pixel as the bound."""

LUMINANCE = (19595, 38470, 7471)
"""ITU-R BT.601 weights of red, green and blue, in 65536ths; equal channels give exactly that grey."""


def to_uint8(x: Tensor) -> Tensor:
    """(..., C, H, W) floats in [-1, 1] -> uint8 in [0, 255], round(127.5 x + 127.5).

    Raises:
        DataError: with the index of the first sample that is not finite or lies outside [-1, 1] by more than
            `OVERSHOOT`, or when x does not hold floats.
    """
    if not x.is_floating_point():
        raise DataError(f"pixels to be rounded are floats in [-1, 1], got {x.dtype}")
    return rounded(check_range(x.detach().float()))


def rounded(x: Tensor) -> Tensor:
    """As `to_uint8`, of floats that are sure to be in [-1, 1]: a look at them would make a GPU wait."""
    return (x.detach() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def _outside(x: Tensor) -> str:
    samples = x.flatten(0, -4) if x.dim() > 3 else x[None]
    index = int((~(samples.abs() <= 1 + OVERSHOOT)).flatten(1).any(1).nonzero()[0])
    low, high = samples[index].aminmax()
    found = f"{float(low):.4g} to {float(high):.4g}" if low.isfinite() and high.isfinite() else "not finite numbers"
    return f"sample {index} holds {found}; pixels are in [-1, 1] here (8-bit images come through from_uint8)"


def from_uint8(x: Tensor) -> Tensor:
    """uint8 in [0, 255] -> float32 in [-1, 1] of the same shape, x / 127.5 - 1: the same bits on every device.

    A GPU divides by a number of its own; one of the host it would invert and multiply by, which rounds otherwise.

    Raises:
        DataError: x is not uint8.
    """
    if x.dtype != torch.uint8:
        raise DataError(f"8-bit images are uint8 in [0, 255], got {x.dtype}")
    return x.float().div_(torch.full((), 127.5, device=x.device)).sub_(1)


def to_unit(x: Tensor) -> Tensor:
    """Images in [-1, 1] -> [0, 1], for models that count in intensities. The range is not looked at: `check_range`."""
    return x.add(1).div_(2)


def from_unit(x: Tensor) -> Tensor:
    """Intensities -> images in [-1, 1]; values outside [0, 1] are cut."""
    return x.clamp(0, 1).mul(2).sub(1)


def check_range(x: Tensor) -> Tensor:
    """x, (..., C, H, W).

    Raises:
        DataError: with the index of the first sample that is not finite or lies outside [-1, 1] by more than
            `OVERSHOOT`.
    """
    if x.numel() and not known(x.abs().amax() <= 1 + OVERSHOOT):
        raise DataError(_outside(x))
    return x


def check_images(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x, (B, *shape), as float32.

    Raises:
        DataError: not floats in [-1, 1] of that shape.
    """
    return check_range(check_shape(x, shape)).float()


def check_shape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x, (B, *shape), whose range is not looked at.

    Raises:
        DataError: not floats of that shape.
    """
    if not isinstance(x, Tensor):
        raise DataError(f"images are a float tensor (B, {', '.join(map(str, shape))}), got {kind_of(x)}")
    if tuple(x.shape[1:]) != tuple(shape) or not x.is_floating_point():
        raise DataError(f"images are float (B, {', '.join(map(str, shape))}), got {tuple(x.shape)} {x.dtype}")
    return x


def as_uint8(x: Tensor) -> Tensor:
    """Images, uint8 or in [-1, 1], as uint8."""
    return x if x.dtype == torch.uint8 else to_uint8(x)


def decode(
    content: bytes, name: str, channels: int | None = None, announce: Callable[[int], None] | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """The bytes of an image file -> ((C, H, W) uint8, notes of its conversions). The whole file is decoded.

    Accepted: PNG, JPEG, WebP, BMP, TIFF, PPM, GIF, and .npy of uint8, (H, W), (H, W, C) or (C, H, W), tried in this
    order. The rules, each leaving a note:

    - 16-bit grey is divided by 257 and rounded, never clipped ("16-bit"); of 16-bit colour Pillow reads the high byte
      ("16-bit colour"). A 16-bit grey picture that uses 12 bits or fewer is nearly black then; it is not brightened,
      but noted once more (`genkit.images.decoding.DARK`).
    - Transparency is composited on white ("alpha on white"); palettes, CMYK and the like become RGB ("palette",
      "colour space"), 1-bit becomes 0 and 255 ("1-bit"); colour profiles are ignored.
    - The EXIF orientation is applied ("rotated").
    - Pictures over 20 times longer than wide are kept ("extreme aspect ratio").

    Args:
        name: the file's name, for messages; `.npy` is told by it.
        channels: 1 turns colour into its luminance ("colour to grey"), 3 replicates grey ("grey to colour"), None
            keeps those of the file.
        announce: called with the number of pixels that the header tells, before they are decoded.

    Raises:
        DataError: starting with `name`, for a file that is empty, damaged, truncated, no image, animated, over 2^26
            pixels (by its header, before allocating), or of floats, 32-bit integers or objects, whose range is unknown.
    """
    pixels, notes = read_pixels(content, name, announce)
    image = rearrange(torch.from_numpy(np.ascontiguousarray(pixels)), "h w c -> c h w").contiguous()
    if channels in (None, image.shape[0]):
        return image, notes
    if channels not in (1, 3):
        raise refusal(name, f"images have 1 or 3 channels, not {channels}")
    return to_channels(image, channels), (*notes, "grey to colour" if channels == 3 else "colour to grey")


def to_channels(x: Tensor, channels: int | None) -> Tensor:
    """(..., C, H, W) uint8 with C of 1 or 3 -> `channels` of them: grey is replicated, colour becomes its luminance.

    Raises:
        DataError: C or `channels` is neither 1 nor 3.
    """
    have = x.shape[-3]
    if have not in (1, 3) or channels not in (1, 3, None):
        raise DataError(f"images have 1 or 3 channels, got {have} and a wish for {channels}")
    if channels in (have, None):
        return x
    if channels == 3:
        return x.expand(*x.shape[:-3], 3, -1, -1).contiguous()
    total = torch.full((*x.shape[:-3], 1, *x.shape[-2:]), 32768, dtype=torch.int32, device=x.device)
    for channel, weight in enumerate(LUMINANCE):  # one by one: a large picture is not thrice in memory as int32
        total += x[..., channel : channel + 1, :, :].int().mul_(weight)
    return (total >> 16).to(torch.uint8)


def resize(x: Tensor, size: int) -> Tensor:
    """(N, C, H, W) uint8 -> (N, C, size, size) uint8 by antialiased bicubic interpolation (Pillow's filter).

    Raises:
        DataError: size below 1.
    """
    if size < 1:
        raise DataError(f"size must be at least 1 pixel, got {size}")
    if x.shape[-2:] == (size, size):
        return x
    return torch.nn.functional.interpolate(x, size=(size, size), mode="bicubic", antialias=True)


def centre_square(x: Tensor) -> Tensor:
    """(..., H, W) -> its middle square, (..., S, S) with S = min(H, W)."""
    height, width = x.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x[..., top : top + side, left : left + side]


def png_bytes(image: Tensor) -> bytes:
    """A (C, H, W) image, uint8 or in [-1, 1], C of 1 or 3, as the bytes of a PNG file.

    Raises:
        DataError: another shape, or pixels out of range.
    """
    if not isinstance(image, Tensor):
        raise DataError(f"a picture is made of a tensor (C, H, W), got {kind_of(image)}")
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise DataError(f"a picture is (C, H, W) with 1 or 3 channels, got shape {tuple(image.shape)}")
    pixels = rearrange(as_uint8(image).cpu(), "c h w -> h w c").contiguous().numpy()
    return encoded_png(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def encoded_png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def data_url(png: bytes) -> str:
    """A PNG file as the address of a picture inside a page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def write_png(path: str | Path, image: Tensor) -> None:
    """`image` (see `png_bytes`) to `path`, in one piece.

    Raises:
        DataError: it is not an image.
        CheckpointError: `path` cannot be written.
    """
    write_atomically(Path(path), png_bytes(image))


DIGITS = 6
"""Digits of a file's number; more if there are more files, so that their names sort in order."""


def digits(n: int) -> int:
    """Digits of the file names of n images."""
    return max(DIGITS, len(str(n - 1)))


def write_folder(images: Iterable[Tensor], folder: str | Path, start: int = 0, digits: int = DIGITS) -> int:
    """Batches (N, C, H, W) or single images (C, H, W) to `folder`/000000.png and so on; returns their number.

    If this is killed, the files that exist are whole. They are not synced one by one: that would take longer than
    making the images.

    Args:
        start: number of the first file.
        digits: of the numbers, see `digits`.

    Raises:
        DataError: with the index of an image out of range.
        CheckpointError: the folder cannot be written.
    """
    folder, count = Path(folder), 0
    temporary = temporary_beside(folder / "image")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image in _singles(images):
            temporary.write_bytes(png_bytes(image))
            temporary.replace(folder / f"{start + count:0{digits}d}.png")
            count += 1
    except OSError as failure:
        raise cannot_write(folder, failure) from failure
    finally:
        with suppress(OSError):
            temporary.unlink()
    return count


def _singles(images: Iterable[Tensor]) -> Iterator[Tensor]:
    for batch in images:
        yield from as_uint8(batch if batch.dim() == 4 else batch[None])
