"""A bench: one table of several entries, resumable, and pages that hold everything."""

from __future__ import annotations

import json
import math
import signal
from html.parser import HTMLParser

import pytest
import torch
import yaml

from genkit.classifiers.conv_classifier import Classifier
from genkit.cli.bench import ShownTraining
from genkit.cli.console import Lines
from genkit.cli.main import main
from genkit.core.catalog import CATALOG
from genkit.core.entry import Entry
from genkit.core.errors import EvaluationError, RecipeError, TrainingError
from genkit.core.interruption import Stopped
from genkit.evaluation.bench import benchmark as bench_module
from genkit.evaluation.bench.benchmark import run_bench
from genkit.evaluation.bench.figures import neighbour_picture
from genkit.evaluation.bench.report_page import table
from genkit.evaluation.bench.spec import Bench
from genkit.evaluation.bench.summary import best, interval, summarise, within
from genkit.evaluation.extractors.choice import extractor_for
from genkit.evaluation.metrics.scores_by_name import metric_named
from genkit.evaluation.opening import open_source, opening
from genkit.evaluation.scoring import evaluate
from genkit.images.pixels import decode, write_folder
from genkit.training.recipe import Recipe
from genkit.training.watcher import TrainingWatcher
from tests.evaluation.test_scoring import Mean, Noise, pictures


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CATALOG["generators"], "noise_for_bench", Entry("tests.evaluation.test_scoring:Noise", "", ()))
    torch.manual_seed(0)
    Classifier(size=8, width=4, classes=3).save_pretrained("judge")
    Noise().save_pretrained("noise")
    write_folder([pictures(30)], "real")
    write_folder([pictures(30, 1)], "other")
    return tmp_path


def spec(**changes):
    return {
        "name": "<b>names & marks</b>",
        "against": "real",
        "n": 20,
        "metrics": ["fd", "pr"],
        "extractor": "judge",
        "seeds": [0, 1],
        "entries": [{"name": "noise | <i>", "source": "noise"}, {"name": "other", "source": "other", "cost": 5}],
    } | changes


def test_results_and_pages(here):
    result = run_bench(Bench.from_dict(spec()), "out")
    assert json.loads((here / "out" / "bench.json").read_text()) == json.loads(json.dumps(result))
    noise, other = result["entries"]
    assert set(noise["summary"]) == {"fd", "precision", "recall"} and noise["summary"]["fd"]["label"] == "FD/judge"
    assert (
        len(noise["summary"]["fd"]["values"]) == 2
        and 0 <= noise["summary"]["fd"]["low"] < noise["summary"]["fd"]["high"]
    )
    assert noise["cost"] > 0 and other["cost"] == 5
    assert [len(e["runs"]) for e in result["entries"]] == [2, 2]
    text = (here / "out" / "bench.md").read_text()
    assert "FD/judge" in text and " to " in text and "noise \\| &lt;i>" in text


class Page(HTMLParser):
    """Collects tags and where pictures and links point."""

    def __init__(self):
        super().__init__()
        self.tags, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href")]


def test_the_page_is_self_contained_and_escaped(here):
    run_bench(Bench.from_dict(spec()), "out")
    page = Page()
    page.feed((here / "out" / "bench.html").read_text())
    assert "b" not in page.tags and "i" not in page.tags and "script" not in page.tags
    assert len(page.sources) == 6 and all(s.startswith("data:image/png;base64,") for s in page.sources)


def test_a_second_run_scores_only_what_changed(here, monkeypatch):
    first = run_bench(Bench.from_dict(spec()), "out")
    scored = []
    original = bench_module.evaluate
    monkeypatch.setattr(
        bench_module, "evaluate", lambda a, *rest, **more: scored.append(a.name) or original(a, *rest, **more)
    )
    again = run_bench(Bench.from_dict(spec()), "out")
    assert scored == [] and again == first
    (here / "out" / "results").joinpath("other-seed1.json").write_text("{half")
    write_folder([pictures(1, 7)], "other", start=30)
    run_bench(Bench.from_dict(spec()), "out")
    assert scored == ["other", "other"]
    run_bench(Bench.from_dict(spec(n=15)), "out")
    assert len(scored) == 2 + 4


def test_entries_and_seeds_may_change_their_places(here, monkeypatch):
    first = run_bench(Bench.from_dict(spec()), "out")
    original, scored = bench_module.evaluate, []
    monkeypatch.setattr(
        bench_module, "evaluate", lambda a, *rest, **more: scored.append(a.name) or original(a, *rest, **more)
    )
    turned = run_bench(Bench.from_dict(spec(entries=spec()["entries"][::-1])), "out")
    assert scored == [] and turned["entries"][::-1] == first["entries"]
    again = run_bench(Bench.from_dict(spec(seeds=spec()["seeds"][::-1])), "out")
    assert scored == ["noise", "other"], "the pictures are of what is the first seed now"
    assert [entry["samples"] for entry in again["entries"]] != [entry["samples"] for entry in first["entries"]]
    assert run_bench(Bench.from_dict(spec(seeds=spec()["seeds"][:1])), "out")["entries"][0]["samples"]
    assert len(scored) == 2


def test_entries_whose_files_would_have_one_name_have_two(here):
    entries = [{"name": name, "source": "noise"} for name in ("a b", "a/b", "a-b")]
    result = run_bench(Bench.from_dict(spec(entries=entries)), "out")
    assert len({entry["samples"] for entry in result["entries"]}) == 3


def test_the_same_rows_for_every_seed_are_no_certainty(here):
    entries = [{"name": "other", "source": "other"}]
    result = run_bench(Bench.from_dict(spec(n=30, metrics=["fd", "kd"], entries=entries)), "out")
    for score in result["entries"][0]["summary"].values():
        assert max(score["values"]) - min(score["values"]) < 1e-9 and score["interval"] == "standard error"
        assert score["high"] - score["low"] > 2 * score["standard_error"]


def test_stopped_in_the_middle_it_goes_on(here, monkeypatch):
    original, left = bench_module.evaluate, [2]

    def stops(*arguments, **more):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    monkeypatch.setattr(bench_module, "evaluate", stops)
    with pytest.raises(KeyboardInterrupt):
        run_bench(Bench.from_dict(spec()), "out")
    left[0] = 2
    assert len(run_bench(Bench.from_dict(spec()), "out")["entries"]) == 2


def test_killed_in_the_middle_of_a_draw_it_draws_on(here, monkeypatch):
    settings = spec(n=20, batch_size=2, seeds=[0], entries=[{"name": "noise", "source": "noise"}])
    whole = run_bench(Bench.from_dict(settings), "whole")
    drawn, original = [], Noise._sample

    def counted(self, condition, rows):
        drawn.append(len(rows))
        if sum(drawn) > 12:
            raise KeyboardInterrupt
        return original(self, condition, rows)

    monkeypatch.setattr(Noise, "_sample", counted)
    with pytest.raises(KeyboardInterrupt):
        run_bench(Bench.from_dict(settings), "out")
    kept = list((here / "out" / "samples").rglob("*.safetensors"))
    assert len(kept) == 1, "a part is four batches"
    monkeypatch.setattr(bench_module, "seconds_per_1000", lambda *_: 1.0)
    monkeypatch.setattr(Noise, "_sample", lambda self, c, rows: drawn.append(-len(rows)) or original(self, c, rows))
    again = run_bench(Bench.from_dict(settings), "out")
    assert sum(d for d in drawn if d < 0) == -(20 - 8), "what was drawn is not drawn again"
    assert again["entries"][0]["summary"] == whole["entries"][0]["summary"]
    assert not list((here / "out" / "samples").rglob("*.safetensors")), "kept until the scores are there"


def test_samples_are_drawn_once_for_all_extractors(here, monkeypatch):
    Classifier(size=8, width=6, classes=3).save_pretrained("second")
    drawn, original = [], Noise._sample
    monkeypatch.setattr(bench_module, "seconds_per_1000", lambda *_: 1.0)
    monkeypatch.setattr(Noise, "_sample", lambda self, c, rows: drawn.append(len(rows)) or original(self, c, rows))
    result = run_bench(Bench.from_dict(spec(also={"second": ["fd"]}, seeds=[0])), "out")
    assert sum(drawn) == 20
    noise, other = result["entries"]
    alone = evaluate(Noise(), "real", ["fd"], 20, "second", 0)["fd"]
    assert noise["summary"]["FD/second"]["mean"] == pytest.approx(alone) and "FD/second" in other["summary"]
    assert [e["name"] for e in result["extractors"]] == ["judge", "second"]
    assert "FD/second" in (here / "out" / "bench.md").read_text()


def test_parameters_and_the_training_on_the_card_are_told(here):
    (here / "noise" / "README.md").write_text("---\ntraining: two weeks\n---\n\n# noise\n")
    noise, other = run_bench(Bench.from_dict(spec(seeds=[0])), "out")["entries"]
    assert noise["training"] == "two weeks" and noise["parameters"] == sum(p.numel() for p in Noise().parameters())
    assert other["training"] is None and "two weeks" in (here / "out" / "bench.md").read_text()


def test_real_data_do_not_win_over_generators(here):
    entries = [{"name": "noise", "source": "noise"}, {"name": "real", "source": "real"}]
    result = run_bench(Bench.from_dict(spec(seeds=[0], entries=entries)), "out")
    _, rows = table(result)
    assert any(bold for _, bold in rows[0]) and not any(bold for _, bold in rows[1])


def test_the_shipped_bench_is_found_by_its_name(here):
    bench = Bench.load("fashion_mnist")
    assert bench.n == 10_000 and {e.source for e in bench.entries} > {"fashion_mnist/train", "fashion-mnist-gan"}
    for entry in bench.entries:
        opening(entry.source, entry.name)


def test_recipes_are_trained_for_every_seed(here):
    trained = []

    class Recipes:
        def check(self, recipe, overrides):
            trained.append((recipe, overrides))

        def train(self, recipe, overrides, seed, out):
            trained.append((recipe, overrides, seed))
            return Noise().save_pretrained(out / "weights")

    entries = [{"name": "r", "recipe": "digits/wgan_ratio_clipping", "overrides": ["train.steps=1"]}]
    run_bench(Bench.from_dict(spec(entries=entries)), "out", Recipes())
    name = "digits/wgan_ratio_clipping"
    assert trained == [(name, ["train.steps=1"]), (name, ["train.steps=1"], 0), (name, ["train.steps=1"], 1)]
    with pytest.raises(EvaluationError, match="has to be trained first"):
        run_bench(Bench.from_dict(spec(entries=entries)), "out")


class Unread:
    def check(self, recipe, overrides):
        Recipe.load(recipe, overrides)


def test_what_cannot_be_scored_is_named_before_anything_is(here):
    entries = [*spec()["entries"], {"name": "judged", "source": "judge"}]
    with pytest.raises(RecipeError, match=r"^judged: judge holds a Classifier, not a Generator"):
        run_bench(Bench.from_dict(spec(entries=entries)), "out")
    assert not (here / "out").exists()
    with pytest.raises(RecipeError, match=r"^no bench file 'fashion_mnits', nor a shipped one; did you mean 'fash"):
        Bench.load("fashion_mnits")
    entries = [{"name": "mine", "recipe": "digits/wgan_ratio_clipping", "overrides": ["train.stepz=1"]}]
    with pytest.raises(RecipeError, match=r"^mine: .*train\.stepz"):
        run_bench(Bench.from_dict(spec(entries=entries)), "out", Unread())


def test_a_stopped_training_goes_on_with_the_bench(here, monkeypatch):
    """The bench has no --resume."""

    def stopped(*_, **__):
        raise Stopped(signal.SIGTERM, 3)

    monkeypatch.setattr("genkit.training.stages.train", stopped)
    with pytest.raises(Stopped, match=r"^stopped by SIGTERM after iteration 3; start the bench again, and it goes on$"):
        ShownTraining(TrainingWatcher(Lines())).train("digits/wgan_ratio_clipping", [], 0, here / "run")


def test_a_diverged_training_is_told_in_terms_of_the_bench(here, monkeypatch):
    def diverged(*_, **__):
        raise TrainingError("iteration 3: the loss is not finite; set its clip_norm in a new run --from this one")

    monkeypatch.setattr("genkit.training.stages.train", diverged)
    with pytest.raises(TrainingError, match=r"seed 0, iteration 3: the loss is not finite; .*overrides of") as told:
        ShownTraining(TrainingWatcher(Lines())).train("digits/wgan_ratio_clipping", [], 0, here / "run")
    assert "--from" not in str(told.value)


def test_results_do_not_lie_in_the_data_of_a_recipe(here, capsys):
    write_folder([pictures(6)], "few")
    recipe = {"name": "r", "recipe": "digits/wgan_ratio_clipping"}
    recipe["overrides"] = ["data={type: folder, path: few, size: 28, channels: 1}"]
    (here / "b.yaml").write_text(yaml.safe_dump(spec(entries=[recipe])))
    assert main(["bench", "b.yaml", "--out", "few/out"]) == 2
    assert "--out few/out lies in few, which is read (r)" in capsys.readouterr().err


def test_points(here):
    entries = [{"name": "same", "source": "gaussians25"}, {"name": "eight", "source": "gaussians8"}]
    result = run_bench(Bench.from_dict(spec(against="gaussians25", extractor=None, entries=entries)), "out")
    assert result["entries"][1]["summary"]["fd"]["label"] == "FD/points"
    assert result["entries"][0]["neighbours"] is None


def test_a_copy_is_its_own_nearest_neighbour(here):
    images = pictures(30)
    training = open_source(images, "training")
    png = neighbour_picture([images[11], *images[:7]], training, extractor_for(Mean()), 30, 0)
    shown = decode(png, "x.png")[0]
    assert torch.equal(shown[:, :64:8, :64:8], images[11]) and torch.equal(shown[:, :64:8, 66:130:8], images[11])
    assert not torch.equal(shown[:, :8, 20:28], images[11])


def test_intervals():
    found = interval([1.0, 2.0, 3.0], [0.1, 0.2, None])
    assert found["mean"] == 2 and found["high"] - 2 == pytest.approx(4.302653 / 3**0.5, rel=1e-5) == 2 - found["low"]
    assert found["interval"] == "seeds"
    assert interval([1.0], [0.5])["high"] == pytest.approx(1.98, abs=1e-3)
    same = interval([1.0, 1.0, 1.0], [0.5, 0.4, 0.6])
    assert same["high"] == pytest.approx(1.98, abs=1e-3) and same["interval"] == "standard error"
    assert interval([1.0], [None])["low"] is None


SCALES = {scale.name: scale for name in CATALOG["metrics"] for scale in metric_named(name).scores}


@pytest.mark.parametrize("metric", [name for name, scale in SCALES.items() if scale.low > -math.inf])
def test_intervals_stay_in_the_range_of_the_metric(metric):
    lowest, highest = SCALES[metric].low, SCALES[metric].high
    width = min(highest - lowest, 50.0)
    for part in (0.0, 1e-6, 0.01, 0.3, 0.7, 0.99, 1.0):
        mean = lowest + part * width
        for half in (0.0, 1e-9, 0.01 * width, width, 100 * width):
            low, high = within(mean, half, lowest, highest)
            assert lowest <= low <= mean <= high <= highest, (mean, half)
            assert low < high or half < 1e-6 or mean in (lowest, highest), (mean, half)


def test_an_interval_is_wilsons_for_shares_and_the_usual_one_far_from_the_ends():
    share, n, z = 0.96, 200, 1.959964
    centre, root = share + z**2 / (2 * n), z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    wilson = [(centre + sign * root) / (1 + z**2 / n) for sign in (-1, 1)]
    assert within(share, z * (share * (1 - share) / n) ** 0.5, 0, 1) == pytest.approx(wilson, rel=1e-12)
    assert within(0.5, 1e-3, 0, 1) == pytest.approx((0.499, 0.501), abs=1e-8)
    assert within(300.0, 0.1, 0, float("inf")) == pytest.approx((299.9, 300.1), abs=1e-4)
    low, high = within(2.0, 6.4, 0, float("inf"))
    assert (low - 2) ** 2 / low == pytest.approx(6.4**2 / 2) == (high - 2) ** 2 / high


def test_a_metric_that_one_seed_lacks_is_summarised_over_the_others():
    def scores(**values):
        return {"values": values, **{k: dict.fromkeys(values, None) for k in ("standard_errors", "labels", "better")}}

    found = summarise([scores(fd=1.0), scores(fd=3.0, vendi=2.0)])
    assert found["fd"]["mean"] == 2.0 and found["vendi"]["values"] == [2.0]


def test_the_best_goes_by_direction():
    low, high = {"better": "lower", "mean": 1.0}, {"better": "higher", "mean": 0.5}
    other = {"fd": low | {"mean": 2.0}, "recall": high | {"mean": 0.9}}
    assert best([{"fd": low, "recall": high}, other]) == {"fd": 0, "recall": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entries": []}, "entries: needs a list"),
        ({"entries": [{"name": "a"}]}, "either 'source' or 'recipe'"),
        ({"entries": [{"name": "a", "source": "x", "recipe": "y"}]}, "either"),
        ({"entries": [{"name": "a", "sauce": "x"}]}, r"entries\[0\].sauce: unknown key; did you mean 'source'"),
        ({"entries": [{"name": "a", "source": "x"}] * 2}, "names must differ"),
        ({"metrics": ["fd", "nope"]}, "no metric 'nope'"),
        ({"seeds": [1, 1]}, "seeds: must differ"),
        ({"seeds": []}, "seeds"),
        ({"n": 1}, "n: .*greater than or equal to 2"),
        ({"extra": 1}, "extra: unknown key"),
        ({"also": {"second": ["nope"]}}, "no metric 'nope'"),
        ({"also": {"judge": ["fd"]}}, "also: judge is the extractor already"),
        ({"among": 0}, "among: .*greater than or equal to 1"),
    ],
)
def test_files_that_cannot_be_used(changes, message):
    with pytest.raises((RecipeError, EvaluationError), match=message):
        Bench.from_dict(spec(**changes))


def test_sources_that_cannot_be_used(here):
    for changes, message in (
        ({"against": "nothing-like-this"}, "against"),
        ({"entries": [{"name": "gone", "source": "/no/where"}]}, "gone: /no/where does not exist"),
        ({"metrics": ["pr"], "n": 4}, "at least 5"),
    ):
        with pytest.raises(ValueError, match=message):
            run_bench(Bench.from_dict(spec(**changes)), "out")


NOWHERE = "data={type: folder, path: /no/where, size: 28, channels: 1}"


def test_everything_is_named_rightly_before_the_first_score(here, monkeypatch):
    class Recipes(ShownTraining):
        def train(self, *_):
            pytest.fail("a recipe was trained")

    monkeypatch.setattr(bench_module, "evaluate", lambda *_, **__: pytest.fail("an entry was scored"))
    first = {"name": "noise", "source": "noise"}
    recipe = {"name": "r", "recipe": "digits/wgan_ratio_clipping"}
    for changes, message in (
        ({"entries": [first, {"name": "gone", "source": "/no/where"}]}, "gone: /no/where does not exist"),
        ({"entries": [first, {"name": "gone", "source": "digitz"}]}, "gone: .*did you mean 'digits'"),
        ({"entries": [first, {**recipe, "recipe": "digits/none"}]}, "no recipe 'digits/none'"),
        ({"entries": [first, {**recipe, "overrides": ["train.stepz=1"]}]}, r"train\.stepz"),
        ({"entries": [first, {**recipe, "overrides": ["system.critic.widht=1"]}]}, r"system\.critic\.widht"),
        ({"entries": [first, {**recipe, "overrides": [NOWHERE]}]}, "data.path: /no/where does not exist"),
        (
            {
                "entries": [
                    first,
                    {
                        **recipe,
                        "overrides": ["evaluate.against={type: part, " + NOWHERE.replace("=", ": ") + ", stop: 9}"],
                    },
                ]
            },
            "evaluate.against.data.path: /no/where does not exist",
        ),
        ({"neighbours": "/no/where"}, "neighbours: /no/where"),
        ({"extractor": "nothing"}, "no extractor"),
        ({"also": {"nothing": ["fd"]}}, "no extractor"),
        ({"metrics": ["fd", "dc"], "against": "few"}, "few: got 6 samples, at least 7"),
    ):
        write_folder([pictures(6)], "few")
        with pytest.raises(ValueError, match=message):
            run_bench(Bench.from_dict(spec(**changes)), "out", Recipes(None))
    (here / "file").touch()
    with pytest.raises(ValueError, match="cannot write file"):
        run_bench(Bench.from_dict(spec()), "file")
    with pytest.raises(RecipeError, match=r"metric kds: .*got 20 samples, at least 1000"):
        Bench.from_dict(spec(metrics=["kds"]))


def test_command_line(here, capsys):
    (here / "b.yaml").write_text(yaml.safe_dump(spec(seeds=[0])))
    assert main(["bench", "b.yaml", "--out", "out"]) == 0
    told = capsys.readouterr().out
    assert "seeds 0, extractor" in told and "\\" not in told and "entry" in told and "look at out/bench.html" in told
    assert "FD/judge" in told and (here / "out" / "bench.html").is_file()
    (here / "bad.yaml").write_text("against: [")
    assert main(["bench", "bad.yaml"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["bench", "absent.yaml"]) == 2
