"""Every name in the catalog takes part in the contract tests."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.core import catalog
from tests.contracts import specs


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        ("generators", set(specs.GENERATORS)),
        ("systems", set(specs.SYSTEMS)),
        ("networks", set(specs.NETWORKS)),
        ("techniques", specs.techniques() & set(catalog.CATALOG["techniques"])),
    ],
)
def test_every_entry_is_in_the_table(kind: str, listed: set[str]) -> None:
    missing = set(catalog.CATALOG[kind]) - listed
    assert not missing, f"add a tiny spec of {sorted(missing)} to tests/contracts/specs.py"
    assert listed <= set(catalog.CATALOG[kind])


@pytest.mark.parametrize("kind", ["generators", "systems", "networks", "techniques"])
def test_every_entry_exists_and_knows_its_name(kind: str) -> None:
    for name in catalog.CATALOG[kind]:
        assert catalog.name_of(catalog.find(name, kind=kind)) == name


def assert_recorded(config: dict[str, Any], spec: dict[str, Any]) -> None:
    """That `config` has everything of `spec`, also in parts of parts."""
    for key, value in spec.items():
        if isinstance(value, dict) and "type" in value:
            assert_recorded(config[key], value)
        else:
            assert config[key] == (tuple(value) if isinstance(config[key], tuple) else value)


@pytest.mark.parametrize("name", specs.NETWORKS)
def test_network_records_its_config(name: str) -> None:
    for spec in specs.NETWORKS[name]:
        network = specs.seeded(spec)
        assert network.config["type"] == name
        assert_recorded(network.config, spec)
        again = specs.seeded(network.config)
        assert all(a.equal(b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
