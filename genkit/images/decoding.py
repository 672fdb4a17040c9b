"""One file's bytes -> 8-bit pixels, with a note of every conversion; ambiguous files are refused by name."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genkit.core.arrays import header
from genkit.core.errors import DataError, first_line

PixelArray = NDArray[np.uint8]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".npy", ".jfif")

ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b";"}
"""The last bytes of a whole file."""

MAX_PIXELS = 2**26
"""8192 x 8192. Larger pictures are refused by their header, before anything is allocated."""

EXTREME_ASPECT = 20
"""Pictures this many times longer than wide are accepted with a note."""

DARK = "16-bit that uses 12 bits or fewer"
"""Note on a picture that is nearly black: its values are 12-bit ones, as many cameras give them, in a 16-bit file."""

_opening = Lock()  # warnings.catch_warnings is not safe among threads


def read_pixels(
    content: bytes, name: str, announce: Callable[[int], None] | None = None
) -> tuple[PixelArray, tuple[str, ...]]:
    """The pixels of an image file or .npy array, (H, W, C) with C of 1 or 3, and notes of its conversions.

    See `genkit.images.pixels.decode` for the rules and for `announce`.

    Raises:
        DataError: starting with `name`.
    """
    if not content:
        raise refusal(name, "the file is empty")
    if name.lower().endswith(".npy"):
        return _array(content, name), ("array",)
    picture = _open(content, name)
    if announce:
        announce(math.prod(picture.size))
    try:
        if picture.format == "PNG":  # whose checksums are not looked at when it is decoded
            Image.open(io.BytesIO(content), formats=("PNG",)).verify()
        pixels, notes = _eight_bit(picture, name)
    except (DataError, MemoryError):
        raise
    except Exception as damage:  # Pillow's decoders raise a dozen unrelated types
        raise refusal(name, f"damaged {picture.format} ({first_line(damage)})") from damage
    return pixels, notes


def check_content(content: bytes, name: str) -> None:
    """Looks at an image file, and decodes it only where its end is not that of its format.

    Raises:
        DataError: starting with `name`, as `read_pixels` would; damage in the middle is not seen.
    """
    if content and not name.lower().endswith(".npy"):
        end = ENDS.get(_open(content, name).format or "")
        if end and content.endswith(end):
            return
    read_pixels(content, name)


def refusal(name: str, reason: str) -> DataError:
    """`name: reason` in one printable line."""
    return DataError(f"{printable(name)}: {reason}")


def printable(name: str) -> str:
    """`name` unchanged, or escaped when it holds line breaks or bytes that are no text."""
    return name if name.isprintable() else ascii(name)


def _open(content: bytes, name: str) -> Image.Image:
    """The header only: nothing is decoded yet."""
    try:
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.init()  # without it, `formats` may only name the plugins that are loaded already
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as bomb:
        raise refusal(
            name,
            f"too large (over {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels); at most {MAX_PIXELS} pixels are accepted",
        ) from bomb
    except MemoryError:
        raise
    except UnidentifiedImageError as failure:
        raise refusal(name, f"not an image; accepted: {', '.join(s[1:] for s in SUFFIXES)}") from failure
    except Exception as failure:  # a header can break a plugin in any way
        raise refusal(name, f"damaged ({first_line(failure)})") from failure
    if math.prod(picture.size) > MAX_PIXELS:
        size = "{} x {}".format(*picture.size)
        raise refusal(name, f"too large ({size} pixels); at most {MAX_PIXELS} pixels are accepted")
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        raise refusal(name, f"an animation of {picture.n_frames} pictures; save its pictures as files")  # type: ignore[attr-defined]
    return picture


def _eight_bit(picture: Image.Image, name: str) -> tuple[PixelArray, tuple[str, ...]]:
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PPM"):  # of PPM the header says the range
        kind = "floats" if picture.mode == "F" else "32-bit or signed integers"
        raise refusal(name, f"holds {kind}, whose range is unknown; save it as 8-bit or 16-bit")
    notes = [note for note, holds in _oddities(picture).items() if holds]
    picture.load()
    if "rotated" in notes:
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):
        pixels, dark = _from_sixteen_bit(np.asarray(picture))
        return pixels[..., None], (*notes, "16-bit", *([DARK] if dark else []))
    if picture.has_transparency_data:
        return _array_of(_on_white(picture)), (*notes, "alpha on white")
    wanted = "L" if picture.mode in ("1", "L") else "RGB"
    return _array_of(picture if picture.mode == wanted else picture.convert(wanted)), tuple(notes)


def _oddities(picture: Image.Image) -> dict[str, bool]:
    """Note -> whether it applies, read from the header before loading, which loses some of it."""
    longer, shorter = max(picture.size), min(picture.size)
    return {
        "16-bit colour": picture.mode[0] != "I" and any(";16" in str(tile) for tile in getattr(picture, "tile", ())),
        "rotated": picture.getexif().get(0x0112, 1) != 1,
        "palette": picture.mode in ("P", "PA"),
        "1-bit": picture.mode == "1",
        "colour space": picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"),
        "first of several": getattr(picture, "n_frames", 1) > 1,
        "extreme aspect ratio": longer > EXTREME_ASPECT * shorter,
    }


def _from_sixteen_bit(values: NDArray[np.generic]) -> tuple[PixelArray, bool]:
    """8-bit pixels, and whether only a sixteenth of the range is used, though not only black."""
    wide = values.astype(np.int32)
    return ((wide + 128) // 257).astype(np.uint8), 0 < wide.max() < 2**12


def _on_white(picture: Image.Image) -> Image.Image:
    """The picture composited on white, the page that transparent pictures are drawn for."""
    grey = picture.mode in ("1", "L", "LA", "La")
    front = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, front).convert("L" if grey else "RGB")


def _array_of(picture: Image.Image) -> PixelArray:
    pixels = np.array(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _array(content: bytes, name: str) -> PixelArray:
    try:
        shape, dtype = header(io.BytesIO(content))
        if math.prod(shape) * dtype.itemsize > len(content):
            raise refusal(name, f"shape {shape} of {dtype} needs more than the file's {len(content)} bytes")
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except DataError:
        raise
    except Exception as damage:  # numpy raises by where the header breaks; a huge shape is a MemoryError
        raise refusal(name, f"not a plain array ({first_line(damage)})") from damage
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8:
        raise refusal(name, f"holds {_describe(values)}; arrays must be uint8 in 0 to 255")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3 and values.shape[2] not in (1, 3) and values.shape[0] in (1, 3):
        values = np.moveaxis(values, 0, 2)
    if values.ndim != 3 or values.shape[2] not in (1, 3) or not 0 < values.size <= 3 * MAX_PIXELS:
        raise refusal(name, f"has shape {values.shape}; arrays must be (H, W), (H, W, C) or (C, H, W) with C of 1 or 3")
    return values


def _describe(values: object) -> str:
    if not isinstance(values, np.ndarray):
        return "several arrays"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return f"{values.dtype} with numbers that are not finite"
    return str(values.dtype)
