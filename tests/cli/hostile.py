"""Texts, settings and command lines that a person could hand in by accident or in malice, as hypothesis strategies."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from tests.cli.mutations import garbage, places

_CHAIN = ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"]
LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in _CHAIN)
MERGES = "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in _CHAIN)

SCALARS = [
    "!!int ''",
    "!!int 0x",
    "!!int x",
    "!!float x",
    "!!bool maybe",
    "!!null x",
    "!!timestamp foo",
    "!!binary é",
    "!!set {a, b}",
    "!!omap [a]",
    "!!pairs [a: 1]",
    "!!str [1]",
    "!!seq x",
    "!!map [x]",
    "!!python/name:os.system",
    "!!python/tuple [1, [2]]",
    "!!python/tuple x",
    "!<tag:example.org,2000:x> y",
    "2001-99-99",
    "2001-12-14t21:59:43.10-05:00",
    "1" * 6000,
    "-" + "9" * 400,
    "0x" + "f" * 6000,
    "1e99999",
    "." * 3000,
    "99:99:99",
    "0b",
    "[" * 3000,
    "{" * 3000,
    "- " * 3000,
    "[" * 60 + "]" * 60,
    "? " * 500 + "x",
    "{[1]: 2}",
    "{{a: 1}: 2}",
    "{null: 1, true: 2, 1: 3, 1.5: 4}",
    "{a: 1, a: 2}",
    "{1: 1, true: 2}",
    "{<<: {a: 1}}",
    "{=: 1}",
    "&a [*a]",
    "&a {x: *a}",
    "*nowhere",
    '"\\ud800"',
    '"\\0"',
    '"\\e[31m"',
    '"\\x85\\u2028"',
    "\ufeff",
    "\x07",
    "@",
    "`",
    "%",
    "|9",
    ">-",
    "'",
    "x" * 100_000,
    "x " * 50_000,
    "../../x",
    "a\n...\n---\nb",
    ".nan",
    "-.inf",
    "~",
    "",
    "ünï ✓",
]
"""YAML values."""

WORDS = [
    "",
    " ",
    "-1",
    "0",
    "1",
    "2",
    "-0.5",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    "9" * 5000,
    "x" * 100_000,
    "x y " * 30_000,
    "/".join(["x" * 200] * 30),
    "../..",
    ".",
    "nowhere/at/all",
    "a/b",
    "ünï ✓",
    "\udcff\udcfe",
    "a\nb",
    "\x1b[31mred",
    "[/x]",
    "[bold]",
    "%s%n",
    "{0}",
    "{type: ",
    "{type: folder}",
    "{type: gaussians8, n: 1}",
    "[" * 3000,
    "--",
    "-",
    "=",
    "a=b",
    "a.b.c=[",
    "train.steps=!!int ''",
    "train=2001-99-99",
    "name=a\tb",
    "name=" + "x" * 300,
    "data.path=\udcff",
    "description=" + "x" * 100_000,
    "system.penalties." + "9" * 5000 + "=1",
    ".=1",
    "..=1",
    "fd,,pr",
    "fd," * 3000,
    "accuracy",
    "None",
    "*",
    "~",
]
"""Words of a command line. None of them is a place that a command may write to outside its own folder."""

LINES = [
    "train {recipe} --out out",
    "train {recipe} train.steps=1 --out out --resume",
    "train {recipe} --dry-run",
    "sample {points} -n 3 --seed 1 --out out",
    "sample {images} -n 3 --label 1 --batch-size 2 --grid --out out",
    "sample fashion-mnist-ddpm -n 1 --label 1 --steps 2 --solver ddim --scale 0 --out out",
    "evaluate {points} --against gaussians8 --metrics fd -n 20 --json scores.json",
    "evaluate {folder} --against {folder} --metrics fd -n 4 --extractor mnist-classifier --seed 1 --no-cache",
    "evaluate mnist-classifier --against digits --metrics accuracy -n 4",
    "stats {folder} -n 4 --extractor mnist-classifier --out s.npz",
    "likelihood mnist-exemplar-vae --against digits -n 1 --samples 2 --json l.json",
    "knn mnist-exemplar-vae --train {folder} --test {folder} -k 1",
    "outliers {folder} --share 0.1 --steps 2 --size 8 --out r.csv",
    "exemplars mnist-exemplar-vae --replace {folder} --out out",
    "bench {bench} --out out",
    "list recipes",
    "info {run}",
    "info folder",
    "cite r1",
    "import ppogan/generator {points}/model.safetensors --config {recipe} --out out --part x",
    "export {points} --to diffusers --out out",
    "export {points} --to torch --out out",
]


@st.composite
def hostile_texts(draw: st.DrawFn, text: str) -> str:
    """A recipe's text in which one to three values are replaced, or one of the bombs."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([LAUGHS, MERGES, *SCALARS]))
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key = lines[at].split(":")[0]
        lines[at] = f"{key}: {draw(st.sampled_from(SCALARS) | st.text(max_size=12))}"
    return "\n".join(lines)


@st.composite
def hostile_json(draw: st.DrawFn, tree: dict[str, Any]) -> str:
    """A config.json with a value replaced, or damaged as a text."""
    tree = copy.deepcopy(tree)
    path = draw(st.sampled_from(list(places(tree))))
    owner: Any = tree
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = draw(garbage)
    text = json.dumps(tree)
    damage = draw(st.sampled_from(["", "", "deep", "digits", "cut", "twice", "nan", "surrogate", "nul", "bom", "list"]))
    value = json.dumps(tree["type"]) if "type" in tree else "null"
    return {
        "": text,
        "deep": text.replace(value, "[" * 10**5, 1),
        "digits": text.replace(value, "9" * 6000, 1),
        "cut": text[: draw(st.integers(0, len(text)))],
        "twice": text.replace("{", '{"type": "gan", "type": "gan", ', 1),
        "nan": text.replace(value, "NaN", 1),
        "surrogate": text.replace(value, '"\\ud800"', 1),
        "nul": text.replace(value, '"a\\u0000b"', 1),
        "bom": "\ufeff" + text,
        "list": f"[{text}]",
    }[damage]


@st.composite
def hostile_lines(draw: st.DrawFn) -> list[str]:
    """A command line with one or two words replaced, added or left out; places in braces are to be filled."""
    words = draw(st.sampled_from(LINES)).split()
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(1, max(1, len(words) - 1)))
        junk = draw(st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0/"), max_size=8))
        spoil = draw(st.sampled_from(["replace", "replace", "replace", "add", "drop", "join"]))
        if spoil == "add":
            words.insert(at, junk)
        elif at < len(words):
            words[at : at + 1] = {"replace": [junk], "drop": [], "join": [f"{words[at]}={junk}"]}[spoil]
    return words


@st.composite
def hostile_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A file of which a few bytes are changed, doubled or cut, mostly at its ends, where headers lie."""
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        near = min(len(spoilt) - 1, 400)
        at = draw(st.integers(0, near) | st.integers(max(0, len(spoilt) - near - 1), max(0, len(spoilt) - 1)))
        change = draw(st.sampled_from(["byte", "byte", "digit", "nine", "cut", "double"]))
        if change == "cut":
            spoilt = spoilt[:at] or spoilt
        elif change == "double":
            spoilt[at:at] = spoilt[at : at + draw(st.integers(1, 50))]
        else:
            spoilt[at] = {"byte": draw(st.integers(0, 255)), "digit": draw(st.integers(48, 57)), "nine": 57}[change]
    return bytes(spoilt)
