from __future__ import annotations

import os
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from genkit.core.errors import DataError
from genkit.images import decoding, image_files
from genkit.images.image_files import ImageFiles
from genkit.images.intake import Intake
from genkit.images.pixels import png_bytes, resize, write_png
from tests.shared import shared


def picture(value: int, size: int = 4) -> torch.Tensor:
    return torch.full((3, size, size), value, dtype=torch.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    for value, name in enumerate(["dog/1.png", "cat/b.png", "cat/B.PNG", "cat/a.png", "cat/ä.png"]):
        write_png(root / name, picture(value))
    return root


def zipped(folder: Path, target: Path, wrapper: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                archive.write(path, wrapper + path.relative_to(folder).as_posix())
    return target


def test_order_is_by_code_point_and_class_folders_are_labels(folder: Path) -> None:
    files = ImageFiles(folder)
    assert files.names == ["cat/B.PNG", "cat/a.png", "cat/b.png", "cat/ä.png", "dog/1.png"]
    assert files.classes == ("cat", "dog") and files.labels == [0, 0, 0, 0, 1]
    assert [int(image[0, 0, 0]) for _, image in files.decode_all()] == [2, 3, 1, 4, 0]


def test_a_zip_is_read_like_its_folder(folder: Path, tmp_path: Path) -> None:
    inside = ImageFiles(zipped(folder, tmp_path / "pets.zip"))
    outside = ImageFiles(folder)
    assert inside.names == outside.names and inside.labels == outside.labels
    assert inside.fingerprint == outside.fingerprint
    assert [inside.read(i) for i in range(5)] == [outside.read(i) for i in range(5)]


def test_folders_that_all_images_share_are_no_classes(folder: Path, tmp_path: Path) -> None:
    files = ImageFiles(zipped(folder, tmp_path / "wrapped.zip", wrapper="top/train/"))
    assert files.classes == ("cat", "dog")
    assert ImageFiles(folder / "cat").labels is None
    write_png(folder / "stray.png", picture(9))
    assert ImageFiles(folder).classes == () and ImageFiles(folder).labels is None


def test_fingerprint_depends_on_content_and_names(folder: Path) -> None:
    before = ImageFiles(folder).fingerprint
    write_png(folder / "cat" / "a.png", picture(77))
    changed = ImageFiles(folder).fingerprint
    (folder / "cat" / "a.png").rename(folder / "cat" / "c.png")
    assert len({before, changed, ImageFiles(folder).fingerprint}) == 3


def test_hidden_and_foreign_files_are_ignored(folder: Path) -> None:
    names = ImageFiles(folder).names
    for name in [".hidden.png", "._a.png", "cat/.DS_Store", "__MACOSX/a.png", ".git/x.png", "README.txt"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no image")
    assert ImageFiles(folder).names == names


def test_a_folder_that_links_to_itself_is_read_once(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder, target_is_directory=True)
    assert len(ImageFiles(folder)) == 5


def test_nothing_to_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    for name, reason in {
        "empty": r"no images \(0 other",
        "missing": "does not exist",
        "long" * 1000: "does not exist",
        "text.txt": "readable zip",
        "empty.zip": r"no images \(1 other",
    }.items():
        with pytest.raises(DataError, match=reason):
            ImageFiles(tmp_path / name)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_zip_members_cannot_leave_their_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("good.png", png_bytes(picture(0)))
        archive.writestr(zipfile.ZipInfo(name), png_bytes(picture(0)))
    with pytest.raises(DataError, match=r"evil\.png: this member leaves"):
        ImageFiles(tmp_path / "x.zip")


def test_zip_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"link\.png: this member leaves"):
        ImageFiles(tmp_path / "x.zip")


def test_encrypted_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png_bytes(picture(0)))
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: encrypted"):
        ImageFiles(tmp_path / "x.zip")


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(3 * 2**20))
    (tmp_path / "large.png").write_bytes(bytes(3 * 2**20))
    monkeypatch.setattr(image_files, "MAX_FILE_BYTES", 2**21)
    with pytest.raises(DataError, match=r"zeros\.png: larger than 2 MiB"):
        ImageFiles(tmp_path / "x.zip")
    with pytest.raises(DataError, match=r"large\.png: larger than 2 MiB"):
        ImageFiles(tmp_path).read(0)


def test_a_damaged_zip_member_is_named(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    at = content.index((folder / "cat" / "b.png").read_bytes())
    content[at + 40] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip/cat/b\.png: cannot be read \(Bad CRC"):
        list(ImageFiles(path).decode_all())
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match="readable zip"):
        ImageFiles(path)


def test_one_bad_file_stops_with_its_name_or_is_skipped_and_reported(folder: Path) -> None:
    (folder / "cat" / "a.png").write_bytes(b"hello")
    files = ImageFiles(folder)
    with pytest.raises(DataError, match=r"cat/a\.png: not an image.*--skip-bad, or skip_bad: true"):
        list(files.decode_all())
    report, steps = Intake(), []
    done = list(files.decode_all(skip_bad=True, report=report, progress=lambda *step: steps.append(step)))
    assert [position for position, _ in done] == [0, 2, 3, 4]
    assert report.accepted == 4
    assert report.rejected[0][0] == "cat/a.png" and report.rejected[0][1].startswith("not an image")
    assert steps == [(k, 5) for k in range(1, 6)]
    assert report.summary().startswith("4 of 5 images; left out: 1 (cat/a.png: not an image")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_a_look_finds_what_is_no_image_or_cut_short(tmp_path: Path, suffix: str) -> None:
    noise = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8).numpy()
    for k in range(3):
        Image.fromarray(noise).save(tmp_path / f"{k}.{suffix}")
    ImageFiles(tmp_path).check()
    whole = (tmp_path / f"1.{suffix}").read_bytes()
    (tmp_path / f"1.{suffix}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / f"2.{suffix}").write_bytes(b"hello")
    with pytest.raises(DataError, match=rf"/1\.{suffix}: .*\(2 of 3 files cannot be used\); mend .*--skip-bad"):
        ImageFiles(tmp_path).check()


def test_a_look_decodes_nothing_that_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "read_pixels", None)
    ImageFiles(folder).check()


def test_images_are_cut_to_their_middle_and_reduced(tmp_path: Path) -> None:
    x = torch.randint(256, (3, 10, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_png(tmp_path / "a.png", x)
    (_, image), *_ = ImageFiles(tmp_path).decode_all(size=5)
    assert torch.equal(image, resize(x[None, :, :, 3:13], 5)[0])
    with pytest.raises(DataError, match=r"a\.png: 16 x 10 pixels are not square"):
        list(ImageFiles(tmp_path).decode_all(size=5, crop="none"))
    with pytest.raises(DataError, match=r"a\.png: 16 x 10 pixels are smaller than size 11; choose a smaller size"):
        list(ImageFiles(tmp_path).decode_all(size=11))


def test_many_files_keep_their_order_and_conversions_are_counted(tmp_path: Path) -> None:
    for value in range(200):
        write_png(tmp_path / f"{value:03d}.png", picture(value)[: 1 if value % 4 == 0 else 3])
    report = Intake()
    done = list(ImageFiles(tmp_path).decode_all(3, report=report))
    assert [(p, int(image[2, 0, 0])) for p, image in done] == [(v, v) for v in range(200)]
    assert report.as_dict() == {"accepted": 200, "converted": {"grey to colour": 50}, "rejected": []}


def test_leaving_early_ends_the_threads(tmp_path: Path) -> None:
    for value in range(100):
        write_png(tmp_path / f"{value:03d}.png", picture(value))
    before = threading.active_count()
    images = ImageFiles(tmp_path).decode_all()
    next(images)
    images.close()
    assert threading.active_count() == before


def test_pipes_and_devices_are_refused_by_name_without_being_opened(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "dog" / "zeros.png").symlink_to("/dev/zero")
    files, report = ImageFiles(folder), Intake()
    assert len(files.fingerprint) == 64
    with pytest.raises(DataError, match=r"cat/pipe\.png: is a pipe, not a regular file"):
        list(files.decode_all())
    assert len(list(files.decode_all(skip_bad=True, report=report))) == 5
    assert [name for name, _ in report.rejected] == ["cat/pipe.png", "dog/zeros.png"]
    with pytest.raises(DataError, match="is no regular file"):
        ImageFiles(folder / "cat" / "pipe.png")


def test_pictures_wait_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one, no second one is decoded before the first is taken."""
    for value in range(6):
        write_png(tmp_path / f"{value}.png", picture(value, 50))
    monkeypatch.setattr(image_files, "AHEAD", 1)
    started, original = [], image_files.decode

    def watched(content: bytes, name: str, channels: int | None, announce: Callable[[int], None]):
        return original(content, name, channels, lambda pixels: (announce(pixels), started.append(name)))

    monkeypatch.setattr(image_files, "decode", watched)
    for taken, _ in enumerate(ImageFiles(tmp_path).decode_all(), 1):
        assert len(started) <= taken + 1


def test_prepared_images_keep_the_shape_of_their_files(folder: Path) -> None:
    write_png(folder / "cat" / "a.png", picture(7, 9)[:1])
    report = Intake()
    made = list(ImageFiles(folder).prepared(lambda x: x[:, :, :2, :2].float(), report=report))
    assert [m.shape for m in made] == [(3, 4, 4), (1, 9, 9), (3, 4, 4), (3, 4, 4), (3, 4, 4)]
    assert made[1].ready.shape == (1, 2, 2) and made[1].ready.dtype == torch.float32 and report.accepted == 5


def test_select(folder: Path) -> None:
    files = ImageFiles(folder)
    chosen = files.select(["dog/1.png", "cat/a.png"])
    assert [int(image[0, 0, 0]) for _, image in chosen.decode_all()] == [0, 3]
    assert chosen.labels == [1, 0] and chosen.fingerprint != files.fingerprint
    with pytest.raises(DataError, match=r"lacks cow\.png"):
        files.select(["cow.png"])


def test_shared_bad_images_all_together() -> None:
    report = Intake()
    files = ImageFiles(shared("fixtures", "eval", "bad_images"))
    kept = [files.names[p] for p, _ in files.decode_all(3, skip_bad=True, report=report)]
    assert len(files) == 22 and len(kept) == report.accepted == 12
    assert {name for name, _ in report.rejected} == set(files.names) - set(kept)
    assert report.converted["16-bit"] == report.converted["alpha on white"] - 1 == 1


def test_shared_cifar10_zip() -> None:
    files = ImageFiles(shared("data", "CIFAR10-jpeg", "test.zip"))
    assert len(files) == 10_000 and len(files.classes) == 10
    assert files.labels is not None and files.labels[::1000] == list(range(10))
    some = files.select(files.names[::500])
    assert {tuple(image.shape) for _, image in some.decode_all(3, 32)} == {(3, 32, 32)}
