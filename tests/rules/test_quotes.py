"""Code in documents that is quoted from a file equals the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.markdown import ROOT, Block, blocks

OWN = sorted((ROOT / "docs").glob("own_*.md"))
SOURCE = re.compile(r"# (examples/\S+)\n")


def quotes(path: Path) -> dict[str, Block]:
    """File -> the block whose first line names it."""
    found = ((SOURCE.match(block.text), block) for block in blocks(path))
    return {named[1]: block for named, block in found if named}


def faults(path: Path) -> list[str]:
    """Files that are quoted otherwise than they are."""
    return [
        name
        for name, block in quotes(path).items()
        if block.text != f"# {name}\n{(ROOT / name).read_text(encoding='utf-8')}"
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_quoted_code_is_that_of_the_file(path: Path) -> None:
    assert not faults(path)


def test_pages_quote_all_that_the_package_has() -> None:
    quoted = {name for path in OWN for name in quotes(path)}
    plugin = ROOT / "examples" / "plugin"
    code = {p for p in plugin.rglob("*") if p.suffix in {".py", ".yaml", ".toml"} and p.name != "__init__.py"}
    assert quoted == {p.relative_to(ROOT).as_posix() for p in code}


def test_another_line_is_noticed(tmp_path: Path) -> None:
    page = OWN[0].read_text(encoding="utf-8")
    (tmp_path / "page.md").write_text(page.replace("torch.sin(5 *", "torch.sin(4 *"), encoding="utf-8")
    assert faults(tmp_path / "page.md") == ["examples/plugin/genkit_sliced/network.py"]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for place in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / place).exists(), place
