from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from genkit import foreign
from genkit.core.catalog import CATALOG
from genkit.core.errors import WeightsError


def test_layouts_are_sorted_and_importable():
    assert foreign.layouts() == sorted(foreign.layouts()) and "ppogan/generator" in foreign.layouts()
    for entry in CATALOG["layouts"].values():
        module, _, function = entry.target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_an_unknown_layout_is_refused_with_the_nearest():
    with pytest.raises(WeightsError, match="did you mean 'ppogan/critic'"):
        foreign.load("ppogan/critics", {}, {})


def test_listing_layouts_does_not_import_torch():
    code = "import sys; from genkit import foreign; foreign.layouts(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
