from __future__ import annotations

from unicodedata import normalize

import pytest

from genkit.core.columns.labels import Labels


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_a_name_is_found_in_either_form_of_its_letters(form: str, other: str) -> None:
    """A Mac decomposes the names of files, and no eye sees it."""
    column = Labels(2, names=[normalize(form, name) for name in ("Katze", "Hündin")])
    assert column.number(normalize(other, "Hündin")) == 1
    assert column.check("label", normalize(other, "Hündin,Katze"), 3).tolist() == [1, 0, 1]
