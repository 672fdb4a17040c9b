from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from genkit.core.errors import GenkitError, WeightsError
from genkit.posthoc.directions.deformators import MLPDeformator, UnitColumns
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.directions_folder import TENSORS, TEXT, of_generator, read_directions, write_directions
from tests.posthoc.directions.test_spaces import GAN, LABELLED, made


@pytest.mark.parametrize("kind", [UnitColumns, MLPDeformator])
def test_round_trip_with_names_that_a_person_gives(kind: type, tmp_path: Path) -> None:
    generator = made(GAN)
    found = Directions(generator, kind(3, 3).eval(), names=["", "darker"])
    found.measure()
    write_directions(tmp_path, found, "learned")
    kept = load_file(tmp_path / TENSORS)
    assert kept["directions"].equal(found.rows()) and kept["unit"] == found.unit
    told = yaml.safe_load((tmp_path / TEXT).read_text())
    assert told["names"] == {0: "", 1: "darker", 2: ""} and told["space"] == "z" and told["method"] == "learned"
    told["names"] = {2: "größer"}
    (tmp_path / TEXT).write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    again = read_directions(tmp_path, generator)
    assert again.names == ("", "", "größer") and again.number("größer") == 2
    for number in range(3):
        assert again.strip(number, [-3.0, 2.0], [1]).equal(found.strip(number, [-3.0, 2.0], [1]))
        sample = torch.Generator().manual_seed
        assert (
            again.edited(number, 2.0).sample(2, rng=sample(1)).equal(found.edited(number, 2.0).sample(2, rng=sample(1)))
        )
    assert of_generator(tmp_path, generator)
    assert of_generator(tmp_path, found.edited(0, 1.0))
    generator.network.stem.weight.data += 1  # type: ignore[union-attr, operator]
    assert not of_generator(tmp_path, generator)


def test_what_is_damaged_or_of_another_generator(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="'genkit directions' writes them"):
        read_directions(tmp_path, made(GAN))
    write_directions(tmp_path, Directions(made(LABELLED), UnitColumns(2, 4), "w"), "sefa")
    with pytest.raises(GenkitError, match="no space 'w': a GAN has no styles"):
        read_directions(tmp_path, made(GAN))
    text = (tmp_path / TEXT).read_text()
    (tmp_path / TEXT).write_text(text.replace("space: w", "space: z"))
    with pytest.raises(GenkitError, match="directions of 4 numbers, and the latent z has 3"):
        read_directions(tmp_path, made(LABELLED))
    for names in ("names: {7: x}", "names: {true: x}", "names: [x]", "names: {0: x, 1: x}"):
        (tmp_path / TEXT).write_text(text.split("names:")[0] + names)
        with pytest.raises(GenkitError, match=r"names|take at most"):
            read_directions(tmp_path, made(LABELLED))
    for name in ("no", "true", "1", "1.5", "[a]"):
        (tmp_path / TEXT).write_text(text.split("names:")[0] + f"names: {{1: {name}}}")
        with pytest.raises(GenkitError, match=r"the name of 1 is read as .* and not as a text; put it in quotes"):
            read_directions(tmp_path, made(LABELLED))
    (tmp_path / TEXT).write_text("names: {}\n")
    with pytest.raises(WeightsError, match="damaged"):
        read_directions(tmp_path, made(LABELLED))
    (tmp_path / TEXT).write_text(f"{text}\n'")
    line = len(text.splitlines()) + 2
    with pytest.raises(WeightsError, match=rf"^{tmp_path / TEXT}:{line} is damaged"):
        read_directions(tmp_path, made(LABELLED))
    (tmp_path / TEXT).write_text(text.replace("space: w", "space: v"))
    with pytest.raises(GenkitError, match=rf"^{tmp_path}: no space 'v'"):
        read_directions(tmp_path, made(LABELLED))
    (tmp_path / TEXT).write_text(text)
    whole = load_file(tmp_path / TENSORS)
    for name, value in (
        ("directions", torch.zeros(0, 4)),
        ("directions", torch.full((2, 4), math.nan)),
        ("unit", torch.tensor(math.inf)),
        ("unit", torch.tensor(0.0)),
        ("unit", torch.ones(2)),
        ("mean", torch.full((4,), math.nan)),
        ("mean", torch.zeros(3)),
    ):
        save_file({**whole, name: value}, tmp_path / TENSORS)
        with pytest.raises(GenkitError, match=rf"^{tmp_path}: .*(damaged|finite)"):
            read_directions(tmp_path, made(LABELLED))
    (tmp_path / TENSORS).write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="damaged"):
        read_directions(tmp_path, made(LABELLED))
