from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.core.errors import (
    LINE,
    DataError,
    GenkitError,
    first_line,
    kind_of,
    one_line,
    shown,
    suggest,
    suggest_file,
    with_article,
)


@pytest.mark.parametrize(
    "message",
    ["x" * 10**6, "x " * 10**6, "a\nb\rc\u2028d", "\x1b[31mred\x07", "\ud800\udcff", "\0", "/".join(["x" * 200] * 100)],
)
def test_a_message_is_one_bounded_printable_line_whatever_it_quotes(message: str) -> None:
    text = str(DataError(f"file {message}: damaged; accepted: PNG"))
    assert text.isprintable() and len(text) <= LINE
    assert text.startswith("file ") and text.endswith("damaged; accepted: PNG")


def test_short_messages_stay_as_they_are() -> None:
    assert str(GenkitError("a  b, 'é ✓'")) == "a  b, 'é ✓'"
    assert one_line("two\nlines") == "two lines"


def test_values_are_cut() -> None:
    assert shown("a") == "'a'" and shown([1, None]) == "[1, None]"
    assert len(shown("x" * 10**6)) == len(shown([0] * 1000)) == 60 and shown("x" * 100).endswith("...")
    assert shown(10**5000) == "an int too large to show"
    nest: list[object] = []
    for _ in range(10**5):
        nest = [nest]
    assert shown(nest) == "a list too large to show"
    while nest:
        nest = nest.pop()  # type: ignore[assignment]  # freeing it at once would recurse


def test_a_title_is_no_message() -> None:
    with pytest.raises(RuntimeError) as misfit:
        torch.nn.Linear(2, 1).load_state_dict({"scale": torch.ones(1)})
    told = first_line(misfit.value)
    assert told.startswith("Error(s) in loading state_dict for Linear: Missing key(s)") and '"weight", "bias"' in told
    assert first_line(ValueError("a\nb")) == "a" and first_line(ValueError("a:")) == "a:"
    assert first_line(ValueError("\n a: \n\n  b\nc")) == "a: b" and first_line(ValueError()) == "ValueError"


def test_the_nearest_name() -> None:
    assert suggest("wigth", ["width", "depth"]) == "; did you mean 'width'?"
    assert suggest("x" * 10**6, ["width", "depth"]) == "; accepted: depth, width"
    assert suggest(10**5000, ["width"]) == "; accepted: width"
    assert suggest("digits/wgan", ["points/gan", "digits/wgan_ratio_clipping"]).endswith(
        "'digits/wgan_ratio_clipping'?"
    )
    assert suggest("w", ["width", "depth"]) == "; accepted: depth, width"


def test_a_kind_has_its_article() -> None:
    assert [kind_of(x) for x in ([], 3, None, GenkitError)] == ["a list", "an int", "nothing", "a GenkitError"]
    spoken = ["EnergyNetwork", "Upsampler", "MLPCritic", "HVAENetwork", "NVAE", "edited", "unpaired"]
    assert [with_article(name) for name in spoken] == [f"an {name}" for name in spoken]
    plain = ["GAN", "UNet", "UnitColumns", "VAE", "Metric", "MinibatchDeviation", "StyleEx", "DDPM", "unet", "batch"]
    assert [with_article(name) for name in plain] == [f"a {name}" for name in plain]


def test_nothing_is_like_no_name() -> None:
    assert suggest(None, ["cosine"]) == "; accepted: cosine"


def test_a_file_is_suggested_of_those_beside_one_that_does_not_exist(tmp_path: Path) -> None:
    for name in ("Photos.zip", ".photo.zip", "other.zip"):
        (tmp_path / name).touch()
    assert suggest_file(tmp_path / "photos.zip") == f"; did you mean {shown(str(tmp_path / 'Photos.zip'))}?"
    for none in ("music.mp3", "no/photos.zip", "a\0b", "photos.zip/x"):
        assert suggest_file(tmp_path / none) == ""
