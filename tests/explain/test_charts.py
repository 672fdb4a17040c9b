"""Small drawings: what they show, in words and in places."""

from __future__ import annotations

import re

import pytest
import torch

from genkit.explain.charts import curves, histogram, track

NAN = float("nan")


def paths(drawn: str, of: str) -> list[str]:
    return re.findall(rf'<path class="{of}" d="([^"]*)"/>', drawn)


def test_a_histogram_counts_for_and_against_about_a_zero_in_the_middle() -> None:
    drawn = histogram(torch.tensor([-1.0, 0.0, 1.0, 2.0, 2.0]))
    assert [len(paths(drawn, of)) for of in ("against", "none", "for")] == [1, 1, 2]
    zero, far = (
        list(map(float, re.findall(r"[\d.]+", path))) for path in (*paths(drawn, "none"), paths(drawn, "for")[1])
    )
    assert (zero[0] + zero[2]) / 2 == pytest.approx(130) and 2 * (52 - zero[5]) == pytest.approx(52 - far[5])
    assert "Effects from \N{MINUS SIGN}1 to +2" in drawn and re.findall("<text[^>]*>(.*?)<", drawn)[1] == "0"
    assert "nan" not in histogram(torch.zeros(3))


def test_curves_pass_over_what_is_not_known() -> None:
    drawn = curves([0.5, NAN, 1.0], [0.0, 0.01], 0.9)
    assert paths(drawn, "chosen") == ["M74.7 94L377.3 12"], "from the first to the third"
    assert len(paths(drawn, "chosen dots")) == len(paths(drawn, "random dots")) == 2 and len(paths(drawn, "rule")) == 3
    assert "Share flipped: 50" in drawn and len(paths(drawn, "alone")) == 1 and 'class="curves"' in drawn
    assert not paths(curves([0.5, 0.6], [0.0, 0.0], NAN), "alone")


def test_the_same_numbers_are_the_same_bytes_and_few_of_them() -> None:
    shares, chance = [k / 10 for k in range(10)], [k / 100 for k in range(10)]
    assert curves(shares, chance, 0.9) == curves(shares, chance, 0.9)
    assert len(curves(shares, chance, 0.9)) < 4000 and len(histogram(torch.randn(1000))) < 4000


def test_a_track_goes_from_before_to_after() -> None:
    assert 'x1="4.0" x2="111.0"' in track(0.0, 1.0) and 'x1="116.0" x2="9.0"' in track(1.0, 0.0)
    assert 'class="tip"' not in track(0.5, 0.5) and 'd="M19.8 1 h2' in track(0.1, 0.15)
