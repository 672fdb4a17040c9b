from __future__ import annotations

from genkit.images.decoding import DARK
from genkit.images.intake import Intake


def test_a_report_survives_json_and_its_remarks_do_not() -> None:
    report = Intake(rejected=[("a.png", "the file is empty")], remarks=["of this start alone"])
    report.accept(("16-bit", DARK))
    again = Intake.from_dict(report.as_dict())
    assert again.as_dict() == report.as_dict() and again.remarks == []
    assert report.summary() == f"1 of 2 images; converted: 1 16-bit, 1 {DARK}; left out: 1 (a.png: the file is empty)"


def test_what_is_likely_a_mistake_is_said_with_what_to_do() -> None:
    report = Intake(remarks=["more"])
    assert list(report.warnings()) == ["more"]
    for notes in ((), ("16-bit", DARK)):
        report.accept(notes)
    dark, more = report.warnings()
    assert dark.startswith("1 of 2 images are 16-bit files that use 12 bits or fewer") and "multiply" in dark
    assert more == "more"
