"""The table of names: additions by code and by installed packages, and errors about misfits."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from genkit.core.catalog import CATALOG, build, find
from genkit.core.entry import Entry
from genkit.core.errors import BrokenPlugin, EvaluationError, RecipeError
from genkit.core.papers import bibtex, papers_of, short
from genkit.core.table import KINDS, load_plugins, lookup, register
from genkit.evaluation.extractors.choice import extractor_for
from genkit.evaluation.metrics.metric import Sides
from genkit.evaluation.metrics.scores_by_name import check_metrics, compute, metric_named, scale_of
from tests.plugins import install, untouched_table

PAPER = "@article{someone2026,\n  author = {One, Some},\n  title = {Some Thing},\n  year = {2026}\n}"


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with untouched_table():
        yield


def module(folder: Path, patch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)
    patch.syspath_prepend(str(folder))
    patch.delitem(sys.modules, name, raising=False)


def test_a_name_is_of_one_kind_and_says_in_one_line_what_it_is() -> None:
    names = [name for entries in CATALOG.values() for name in entries]
    assert len(names) == len(set(names)) and tuple(CATALOG) == KINDS
    for entries in CATALOG.values():
        for name, entry in entries.items():
            assert entry.about and "\n" not in entry.about and len(entry.about) <= 110, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_a_name_with_what_it_is_and_its_papers(kind: str) -> None:
    register(kind, "my_own", "somewhere:Thing", about="Something.", papers=("ho2020ddpm", PAPER))
    assert lookup("my_own") == (kind, Entry("somewhere:Thing", "Something.", ("ho2020ddpm", PAPER)))
    assert papers_of("my_own") == ["ho2020ddpm", PAPER] and bibtex([PAPER]) == PAPER
    assert short(PAPER) == "One 2026, Some Thing"


@pytest.mark.parametrize(
    ("papers", "message"),
    [(("ho2020dpm",), "did you mean 'ho2020ddpm'"), (("@article{x,\n  year = {2026}\n}",), "has no author")],
)
def test_a_paper_that_could_not_be_cited_is_refused(papers: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        register("networks", "my_own", "somewhere:Thing", papers=papers)
    assert lookup("my_own") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("networks", None, "a:b"), "None is no name: letters, digits"),
        (("networks", "", "a:b"), "'' is no name"),
        (("networks", "my own", "a:b"), "'my own' is no name"),
        ((["networks"], "mine", "a:b"), r"no kind \['networks'\]"),
        (("networks", "fd", CATALOG["metrics"]["fd"].target), "already has 'fd' among metrics"),
    ],
)
def test_what_is_no_name_is_refused(given: tuple[Any, Any, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        register(*given)


def test_a_description_is_one_line_and_a_single_paper_may_stand_alone() -> None:
    register("networks", "mine", "a:b", about="Two\n  lines.", papers="ho2020ddpm")
    assert CATALOG["networks"]["mine"] == Entry("a:b", "Two lines.", ("ho2020ddpm",))
    with pytest.raises(RecipeError, match="ours: about is a text, got 3"):
        register("networks", "ours", "a:b", about=3)  # type: ignore[arg-type]


def test_of_two_packages_with_one_name_the_first_by_its_own_name_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order on the disk."""
    for package, target in (("zebra", "MLPCritic"), ("ant", "MLPGenerator"), ("mole", "MLPCritic")):
        text = f"point = {{'networks': {{'theirs': ('genkit.gan.networks.mlp:{target}', '', ())}}}}\n"
        module(tmp_path, monkeypatch, f"{package}_code", text)
        install(tmp_path / package, monkeypatch, package, f"point = {package}_code:point")
    with pytest.warns(
        BrokenPlugin, match="package (mole|zebra) adds nothing to genkit: .*already has 'theirs'"
    ) as told:
        assert find("theirs") is find("mlp_generator")
    assert len(told) == 2


def test_a_metric_is_no_type_of_a_recipe() -> None:
    for name in ("fd", "inception", "ppogan/critic"):
        with pytest.raises(RecipeError, match="unknown type"):
            build({"type": name})


def test_a_metric_of_ones_own_is_one_class_and_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.evaluation import evaluate

    module(
        tmp_path,
        monkeypatch,
        "own_metric",
        "from genkit.evaluation.metrics.metric import Estimate, Metric, Scale\n"
        "class Shift(Metric):\n"
        "    scores = (Scale('shift', 'lower', 0.0),)\n"
        "    def __call__(self, sides):\n"
        "        apart = sides.real.features.mean(0) - sides.fake.features.mean(0)\n"
        "        return {'shift': Estimate(apart.norm().item(), lambda: 0.25)}\n",
    )
    register("metrics", "shift", "own_metric:Shift", about="Distance of the means.")
    data = build({"type": "gaussians8", "n": 400})
    score = evaluate(data.x + 3, data, ["shift"], n=400).scores["shift"]
    assert score.value == pytest.approx(18**0.5, rel=1e-5) and score.standard_error == 0.25
    assert (score.label, score.better) == ("shift/points", "lower")


LACKING = """
from genkit.core.generator import LatentGenerator
from genkit.core.system import System
from genkit.evaluation.metrics.metric import Metric, Scale
class Half(System):
    pass
class Nothing:
    def iteration(self, data, step): ...
class Mute(LatentGenerator):
    def prior(self, n, rng=None): ...
class Unscored(Metric):
    scores = (Scale("unscored", "lower"),)
class Unnamed(Metric):
    def __call__(self, sides): ...
class Asking(Unnamed):
    scores = (Scale("asking", "lower"),)
    def __init__(self, k): ...
class Posing(Unnamed):
    scores = (Scale("mine", "lower", published="FID"),)
class Same(Unnamed):
    scores = (Scale("kd", "lower"),)
def bent(x: "Half"): ...
def listed(): return [1]
number = 3
"""


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("systems", "Half", r"Half lacks iteration\(\) of the contract System; .* in genkit\.core\.system\.System"),
        ("systems", "Nothing", r"does not make a System: Nothing does not derive from it; .*genkit\.core\.system"),
        ("generators", "Mute", r"Mute lacks forward\(\) of the contract LatentGenerator; .*docs/architecture\.md"),
        (
            "generators",
            "Nothing",
            r"does not derive from it and lacks _sample\(\); .*genkit\.core\.generator\.Generator",
        ),
        ("metrics", "Unscored", r"Unscored lacks __call__\(\) of the contract Metric; .*metrics\.metric\.Metric"),
        ("networks", "Absent", r"cannot be imported from lacking:Absent"),
        ("networks", "number", r"'my_own' is an int \(lacking:number\), no class and no function"),
        ("data", "listed", r"'my_own' does not make a DataSet: it is a list; .*data\.dataset\.DataSet"),
        ("metrics", "listed", r"'my_own' does not make a Metric: it is a list; .*metrics\.metric\.Metric"),
        ("metrics", "Unnamed", r"Unnamed\.scores must name its scores; .*metrics\.metric\.Metric"),
        ("metrics", "Asking", r"missing key 'k'; Asking needs it"),
        ("metrics", "Posing", r"'FID' is a score of fd already; give its score another name"),
        ("metrics", "Same", r"'kd' is a score of kd already; give its score another name"),
    ],
)
def test_what_a_class_lacks_is_told_with_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, message: str
) -> None:
    module(tmp_path, monkeypatch, "lacking", LACKING)
    register(kind, "my_own", f"lacking:{name}")
    with pytest.raises(RecipeError, match=message) as refused:
        metric_named("my_own") if kind == "metrics" else build({"type": "my_own"}, kind=kind, where="s")
    assert "\n" not in str(refused.value) and str(refused.value).startswith(
        "metric my_own" if kind == "metrics" else "s"
    )


@pytest.mark.parametrize("code", ["import nothing_of_this_name", "def x(:", "1 / 0"])
def test_a_broken_class_of_a_package_is_no_answer_to_somebody_elses_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """The names that a message suggests, and the scores that a name is looked for in, are of what can be imported."""
    module(tmp_path, monkeypatch, "broken_code", code)
    for kind in ("networks", "techniques", "metrics"):
        register(kind, f"broken_{kind}", "broken_code:Thing")
    spec = {"type": "gan_training", "generator": {"type": "gann"}, "critic": {"type": "mlp_critic"}}
    with pytest.raises(RecipeError, match="unknown type 'gann'; did you mean 'gan'"):
        build(spec)
    with pytest.raises(EvaluationError, match="no metric 'fdd'; did you mean 'fd'"):
        check_metrics(["fdd"])
    assert check_metrics(["recall"])[0] == ("pr",) and scale_of("nothing_of_this_name") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{'shift': 1.5}", "metric shift gave a float as 'shift'"),
        ("{'fd': Estimate(0.0)}", "an Estimate as 'fd'; .*shift"),
    ],
)
def test_a_metric_gives_estimates_of_its_own_scores_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    text = "from genkit.evaluation.metrics.metric import Estimate, Metric, Scale\nclass Shift(Metric):\n"
    text += (
        f"    scores, needs = (Scale('shift', 'lower'),), frozenset()\n    def __call__(self, sides): return {given}\n"
    )
    module(tmp_path, monkeypatch, "giving", text)
    register("metrics", "shift", "giving:Shift")
    with pytest.raises(RecipeError, match=message):
        compute(["shift"], Sides(None, None))


def test_an_extractor_of_ones_own_may_be_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from torch import nn\ndef flat(): return nn.Flatten()\ndef nothing(): ...\ndef sized(size: int): ...\n"
    module(tmp_path, monkeypatch, "extracting", text)
    for name in ("flat", "nothing", "sized"):
        register("extractors", f"my_{name}", f"extracting:{name}")
    made = extractor_for("my_flat")
    assert made.name == "my_flat" and made(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).features.shape == (2, 16)
    with pytest.raises(EvaluationError, match=r"extractor my_nothing is nothing; .*extractor\.Extractor"):
        extractor_for("my_nothing")
    with pytest.raises(RecipeError, match="extractor my_sized: missing key 'size'"):
        extractor_for("my_sized")


def test_a_spec_in_the_place_of_a_class_of_ones_own_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "class Part:\n    def __init__(self, n: int = 1): self.n = n\n"
    text += "class Whole:\n    def __init__(self, part: Part): self.part = part\n"
    module(tmp_path, monkeypatch, "own_parts", text)
    for name in ("Part", "Whole"):
        register("networks", f"own_{name.lower()}", f"own_parts:{name}")
    assert build({"type": "own_whole", "part": {"type": "own_part", "n": "3"}}).part.n == 3


@pytest.mark.parametrize(
    "text",
    [
        "import genkit\ndef point():\n    genkit.register('networks', 'theirs', 'genkit.gan.networks.mlp:MLPCritic')\n",
        "point = {'networks': {'theirs': ('genkit.gan.networks.mlp:MLPCritic', 'Theirs.', ())}}\n",
    ],
)
def test_a_package_is_asked_when_a_name_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    module(tmp_path, monkeypatch, "their_code", text)
    install(tmp_path, monkeypatch, "their-package", "point = their_code:point")
    assert find("mlp_critic") and "their_code" not in sys.modules, "a name that is known costs no look at packages"
    assert find("theirs") is find("mlp_critic")
    sys.modules.pop("their_code")
    assert find("theirs") and not load_plugins() and "their_code" not in sys.modules, "they are asked once"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ImportError('no such thing')", "ImportError: no such thing"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("point = 3", "TypeError"),
        ("point = {'network': {'theirs': ('a:b', '', ())}}", "no kind 'network'"),
        ("point = {'networks': {'theirs': ('a:b', '', ()), 'gan': ('a:b', '', ())}}", "already has 'gan'"),
        (
            "def point():\n    import genkit\n    genkit.register('networks', 'theirs', 'a:b')\n    1 / 0",
            "ZeroDivision",
        ),
    ],
)
def test_a_broken_package_costs_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    module(tmp_path, monkeypatch, "their_code", text)
    install(tmp_path, monkeypatch, "their-package", "point = their_code:point")
    before = {kind: list(entries) for kind, entries in CATALOG.items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(Exception, match="no metric 'theirs'"):
            check_metrics(["theirs"])
        with pytest.raises(RecipeError, match="unknown type 'theirs'"):
            find("theirs")
    (line,) = [str(w.message) for w in told if issubclass(w.category, BrokenPlugin)]
    assert line.startswith("package their-package adds nothing to genkit: ") and reason in line
    assert {kind: list(entries) for kind, entries in CATALOG.items()} == before
