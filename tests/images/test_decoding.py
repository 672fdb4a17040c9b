"""Every defect of a file from a stranger: the shared set when present, and the same made here."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.core.errors import DataError
from genkit.images.decoding import DARK
from genkit.images.pixels import decode
from tests.shared import SHARED, shared

REJECTED = "reject"
BAD = SHARED / "fixtures" / "eval" / "bad_images"
EXPECTED = json.loads((BAD / "expect.json").read_text()) if BAD.is_dir() else {}
NOTES = {
    "gray16.png": "16-bit",
    "rgba.png": "alpha on white",
    "palette.png": "palette",
    "cmyk.jpg": "colour space",
    "exif_rotated.jpg": "rotated",
    "one_bit.png": "1-bit",
    "aspect_3000x1.png": "extreme aspect ratio",
    "gray8.png": "grey to colour",
}
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def blank_png(width: int, height: int) -> bytes:
    """A 1-bit PNG of any size, made without allocating it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pack, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_the_shared_set_is_whole() -> None:
    shared("fixtures", "eval", "bad_images")
    assert len(EXPECTED) == 24


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_shared_bad_images(name: str) -> None:
    expected = EXPECTED[name]["expect"]
    content = (BAD / name).read_bytes()
    if expected.startswith(REJECTED):
        with pytest.raises(DataError) as caught:
            decode(content, name, 3)
        assert str(caught.value).startswith(f"{name}: ") and "\n" not in str(caught.value)
    elif expected != "ignore":
        image, notes = decode(content, name, 3)
        assert image.shape[0] == 3 and image.dtype == torch.uint8
        assert (NOTES[name] in notes) if name in NOTES else notes == ()


def test_sixteen_bit_grey_is_divided_by_257_and_rounded() -> None:
    values = np.array([[0, 128, 129, 257], [32768, 65407, 65408, 65535]], dtype=np.uint16)
    image, notes = decode(saved(Image.fromarray(values)), "a.png")
    assert notes == ("16-bit",)
    assert image[0].tolist() == [[0, 0, 1, 1], [128, 255, 255, 255]]


@pytest.mark.parametrize(("top", "dark"), [(4095, True), (255, True), (4096, False), (65535, False), (0, False)])
def test_twelve_bits_in_a_sixteen_bit_file_are_noted_and_left_dark(top: int, dark: bool) -> None:
    for kind in ("PNG", "TIFF"):
        image, notes = decode(saved(Image.fromarray(np.array([[0, top]], dtype=np.uint16)), kind), "a")
        assert notes == ("16-bit", DARK)[: 1 + dark]
        assert int(image.max()) == (top + 128) // 257


def test_the_range_that_a_pgm_tells_is_used() -> None:
    twelve = b"P5 2 1 4095\n" + np.array([0, 4095], ">u2").tobytes()
    image, notes = decode(twelve, "a.pgm")
    assert image.flatten().tolist() == [0, 255] and notes == ("16-bit",)


def test_the_number_of_pixels_is_announced_before_they_are_decoded() -> None:
    told = []
    with pytest.raises(DataError, match="damaged"):
        decode(PNG[: len(PNG) // 2], "cut.png", announce=told.append)
    decode(saved(Image.fromarray(COLOUR)), "a.png", announce=told.append)
    assert told == [12 * 16] * 2


def test_sixteen_bit_colour_is_scaled_and_noted() -> None:
    row = b"\x00" + struct.pack(">6H", 0, 256, 65535, 32768, 511, 512)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts]
    image, notes = decode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), "a.png")
    assert notes == ("16-bit colour",)
    assert image[:, 0].T.tolist() == [[0, 1, 255], [128, 1, 2]]


def test_alpha_is_composited_on_white() -> None:
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)
    pixels[0, :, 3] = [255, 0, 51]
    image, notes = decode(saved(Image.fromarray(pixels)), "a.png")
    assert notes == ("alpha on white",)
    assert image[:, 0].T.tolist() == [[0, 0, 0], [255, 255, 255], [204, 204, 204]]


def test_grey_with_alpha_stays_grey() -> None:
    pixels = np.array([[[100, 255], [100, 0]]], dtype=np.uint8)
    image, _ = decode(saved(Image.fromarray(pixels)), "a.png")
    assert image.tolist() == [[[100, 255]]]


def test_transparent_palette_entry_becomes_white() -> None:
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="L").convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    image, notes = decode(saved(picture, transparency=1), "a.png")
    assert notes == ("palette", "alpha on white")
    assert image[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_cmyk_and_one_bit() -> None:
    image, notes = decode(saved(Image.new("CMYK", (4, 4), (0, 0, 0, 255)), "JPEG"), "a.jpg")
    assert notes == ("colour space",) and int(image.max()) < 5
    image, notes = decode(saved(Image.new("1", (4, 4), 1)), "a.png")
    assert notes == ("1-bit",) and image.shape == (1, 4, 4) and int(image.min()) == 255


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn clockwise
    pixels = np.zeros((8, 16, 3), dtype=np.uint8)
    pixels[:, :8] = 255
    image, notes = decode(saved(Image.fromarray(pixels), "JPEG", exif=exif, quality=95), "a.jpg")
    assert image.shape == (3, 16, 8) and notes == ("rotated",)
    assert image[:, :6].min() > 200 and image[:, 10:].max() < 50


def test_channels_are_converted_only_when_asked() -> None:
    colour, grey = saved(Image.fromarray(COLOUR)), saved(Image.fromarray(COLOUR[:, :, 0]))
    assert decode(colour, "a.png")[0].shape[0] == 3 and decode(grey, "a.png")[0].shape[0] == 1
    luminance, notes = decode(colour, "a.png", 1)
    assert notes == ("colour to grey",)
    assert np.array_equal(luminance[0].numpy(), np.asarray(Image.fromarray(COLOUR).convert("L")))
    replicated, notes = decode(grey, "a.png", 3)
    assert notes == ("grey to colour",) and all(np.array_equal(c.numpy(), COLOUR[:, :, 0]) for c in replicated)


@pytest.mark.parametrize("array", [COLOUR, COLOUR.transpose(2, 0, 1), COLOUR[:, :, :1], COLOUR[:, :, 0]])
def test_arrays_of_bytes_in_three_layouts(array: np.ndarray) -> None:
    image, notes = decode(npy(array), "A.NPY")
    assert notes == ("array",)
    assert np.array_equal(image.numpy(), COLOUR.transpose(2, 0, 1)[: image.shape[0]])


PNG, JPEG = saved(Image.fromarray(COLOUR)), saved(Image.fromarray(np.tile(COLOUR, (8, 8, 1))), "JPEG")
FRAMES = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
NAN = np.array([[0.5, np.nan]], dtype=np.float32)
DEFECTS = {
    "empty.png": (b"", "empty"),
    "text.png": (b"hello", "not an image"),
    "truncated.png": (PNG[: len(PNG) // 2], "damaged PNG"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "damaged JPEG"),
    "headless.jpg": (JPEG[:100], r"damaged \(Truncated File Read\)"),
    "flipped.png": (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "damaged PNG"),
    "moving.gif": (saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "animation of 2"),
    "moving.png": (saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "animation of 2"),
    "pages.tif": (saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), "animation of 2"),
    "floats.tif": (saved(Image.fromarray(np.ones((2, 2), dtype=np.float32)), "TIFF"), "floats"),
    "integers.tif": (saved(Image.fromarray(np.arange(256, dtype=np.int32)[None]), "TIFF"), "32-bit .* integers"),
    "floats.npy": (npy(np.zeros((4, 4), dtype=np.float32)), "holds float32"),
    "nan.npy": (npy(NAN), "not finite"),
    "wide.npy": (npy(np.zeros((4, 4), dtype=np.int64)), "holds int64"),
    "objects.npy": (npy(np.array([{"a": 1}], dtype=object)), "allow_pickle=False"),
    "two_channels.npy": (npy(np.zeros((4, 4, 2), dtype=np.uint8)), r"shape \(4, 4, 2\)"),
    "no_pixels.npy": (npy(np.zeros((0, 4), dtype=np.uint8)), "shape"),
    "huge_header.npy": (npy(np.zeros((4, 4), np.uint8)).replace(b"(4, 4)", b"(9**9)")[:128], "not a plain array"),
    "cut.npy": (npy(COLOUR)[:-5], "not a plain array"),
    "nested\nname.png": (b"x", "not an image"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_are_refused_by_name_in_one_line(name: str) -> None:
    content, reason = DEFECTS[name]
    with pytest.raises(DataError, match=reason) as caught:
        decode(content, name)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(name if "\n" not in name else repr(name))


def test_no_flipped_bit_of_a_png_goes_unseen() -> None:
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    content = saved(Image.fromarray(smooth))
    for at in range(8, len(content) - 4, 7):
        with pytest.raises(DataError, match=r"smooth\.png: "):
            decode(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :], "smooth.png")


def test_too_many_pixels_are_refused_by_the_header_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"wide\.png: too large \(70000 x 1400 pixels\)"):
            decode(blank_png(70000, 1400), "wide.png")


def test_a_bomb_is_refused_without_allocating_it(tmp_path: Path) -> None:
    bomb = blank_png(20000, 20000)
    assert len(bomb) < 100_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    code = (
        "import resource, sys\n"
        "from genkit.images.pixels import decode\n"
        "from genkit.core.errors import DataError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(open(sys.argv[1], 'rb').read(), 'bomb.png')\n"
        "except DataError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "bomb.png"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    message, grown = done.stdout.splitlines()
    unit = 1024 if sys.platform != "darwin" else 1
    assert message.startswith("bomb.png: too large") and int(grown) * unit < 20 * 2**20
