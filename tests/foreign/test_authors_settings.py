from __future__ import annotations

import pytest

from genkit.core.errors import WeightsError
from genkit.foreign import read_settings


def test_json_yaml_and_the_authors_tuples(tmp_path):
    path = tmp_path / "conf.yml"
    path.write_text("nz: 128\ncheckpoints:\n- !!python/tuple\n  - 0.5\n  - 4.0\n")
    assert read_settings(path) == {"nz": 128, "checkpoints": [[0.5, 4.0]]}
    path.write_text('{"nz": 128, "D_SCALE": 1.3}')
    assert read_settings(path) == {"nz": 128, "D_SCALE": 1.3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!python/object/apply:os.system ['touch {sentinel}']", "neither JSON nor plain YAML"),
        ("a: [", "neither JSON nor plain YAML"),
        ("[1, 2]", "mapping"),
        ("", "mapping"),
    ],
)
def test_refusals(text, message, tmp_path):
    path, sentinel = tmp_path / "conf.yml", tmp_path / "sentinel"
    path.write_text(text.replace("{sentinel}", str(sentinel)))
    with pytest.raises(WeightsError, match=message) as refusal:
        read_settings(path)
    assert "\n" not in str(refusal.value) and not sentinel.exists()
    with pytest.raises(WeightsError, match="cannot read"):
        read_settings(tmp_path / "none.yml")
    with pytest.raises(WeightsError, match="a folder"):
        read_settings(tmp_path)
