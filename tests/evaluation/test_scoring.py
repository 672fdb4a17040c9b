"""evaluate: every kind of source, the cache, and what a result says about itself."""

from __future__ import annotations

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from genkit.classifiers.conv_classifier import Classifier
from genkit.core.catalog import build
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import DataError, EvaluationError
from genkit.core.generator import LatentGenerator
from genkit.data.dataset import DataSet
from genkit.evaluation import cache, evaluate, statistics, two_sides
from genkit.evaluation.extractors.choice import extractor_for
from genkit.evaluation.extractors.extractor import Extracted, Extractor
from genkit.evaluation.functional import frechet_distance_from_features, kernel_distance
from genkit.evaluation.metrics.metric import Sides
from genkit.evaluation.reading import Reader
from genkit.evaluation.sources import of_files
from genkit.evaluation.statistics_file import Statistics
from genkit.images import grouping
from genkit.images.image_files import ImageFiles
from genkit.images.pixels import from_uint8, to_uint8, write_folder
from tests.contracts.specs import PLAIN_DDPM


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def by_two(work):
    """The results of `work` in two threads that share it as two processes would."""
    said, meet = [None, None], Barrier(2)

    class Pair(Crew):
        def exchanged(self, piece):
            said[self.rank] = piece
            meet.wait()
            both = list(said)
            meet.wait()
            return both

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, [Pair(0, 2), Pair(1, 2)]))


class Noise(LatentGenerator):
    """Smooth random pictures."""

    def __init__(self, channels: int = 1, size: int = 8):
        super().__init__()
        self.sample_shape = (channels, size, size)

    def prior(self, n, rng=None):
        return torch.randn(n, *self.sample_shape, generator=rng)

    def forward(self, z, condition=None):
        return torch.tanh(z)


class Mean(nn.Module):
    """Features: means over quarters of each image."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def pictures(n: int, seed: int = 0, channels: int = 1, size: int = 8) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=rng)


def saved_classifier(folder: Path) -> Path:
    torch.manual_seed(0)
    return Classifier(size=8, width=4, classes=3, class_names=("a", "b", "c")).save_pretrained(folder / "judge")


def test_scores_are_those_of_the_features():
    real, fake = DataSet("real", pictures(80)), DataSet("fake", pictures(60, 1))
    scores = evaluate(fake, real, ("fd", "kd"), n=100, extractor=Mean())
    x, y = Mean()(from_uint8(real.x)), Mean()(from_uint8(fake.x))
    assert scores["fd"] == pytest.approx(frechet_distance_from_features(x, y), rel=1e-6)
    assert scores["kd"] == pytest.approx(kernel_distance(x, y), rel=1e-6)
    assert scores.scores["fd"].label == "FD/Mean"
    assert scores.scores["fd"].standard_error > 0


def test_a_generator_is_scored_by_its_seed_at_any_batch_size():
    data = DataSet("real", pictures(50))
    first = evaluate(Noise(), data, n=50, extractor=Mean(), seed=3)
    same = evaluate(Noise(), data, n=50, extractor=Mean(), seed=3, batch_size=7)
    other = evaluate(Noise(), data, n=50, extractor=Mean(), seed=4)
    assert same["fd"] == pytest.approx(first["fd"], rel=1e-6)
    assert other["fd"] != pytest.approx(first["fd"], rel=1e-6)


def test_folder_zip_tensor_and_batches_agree(tmp_path):
    images = pictures(40)
    write_folder([images], tmp_path / "images")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted((tmp_path / "images").iterdir()):
            archive.write(path, path.name)
    reference = DataSet("real", pictures(40, 1))
    batches = [(from_uint8(part), torch.zeros(len(part))) for part in images.split(9)]
    sources = [tmp_path / "images", str(tmp_path / "images.zip"), images, batches, DataSet("same", images)]
    values = [evaluate(source, reference, n=40, extractor=Mean())["fd"] for source in sources]
    assert values == pytest.approx([values[0]] * len(values), rel=1e-6)


def test_weights_and_run_folders(tmp_path):
    from genkit.core.catalog import CATALOG
    from genkit.core.entry import Entry

    CATALOG["generators"]["noise_for_tests"] = Entry(f"{__name__}:Noise", "", ())
    try:
        Noise().save_pretrained(tmp_path / "run" / "weights")
        data = DataSet("real", pictures(30))
        expected = evaluate(Noise(), data, n=30, extractor=Mean())["fd"]
        for path in (tmp_path / "run", tmp_path / "run" / "weights"):
            assert evaluate(str(path), data, n=30, extractor=Mean())["fd"] == expected
    finally:
        del CATALOG["generators"]["noise_for_tests"]


def test_names_with_splits_and_specs_of_data():
    scores = evaluate("digits/test", {"type": "digits", "split": "train"}, ("fd",), n=50, extractor=Mean())
    assert (scores.a.name, scores.against.name) == ("digits/test", "digits/train")


def test_points_need_no_extractor():
    data = build({"type": "gaussians8"})
    scores = evaluate(data.x[:500] + 1, data, n=500)
    assert scores.scores["fd"].label == "FD/points"
    assert scores["fd"] == pytest.approx(2, abs=0.5)


def test_points_of_a_mixture_are_counted_by_mode():
    """By default too; two of 25 modes, a quarter of the points between them."""
    data = build({"type": "gaussians25", "n": 400}, kind="data")
    fakes = torch.tensor([[0.0, 0.0], [0.0, 0.1], [1.0, -2.0], [0.5, 0.5]]).repeat(100, 1)
    scores = evaluate(DataSet("fake", fakes), data, n=400)
    assert list(scores)[:2] == ["fd", "kd"] and (scores["modes"], scores["good_samples"]) == (2, 0.75)
    assert scores["rarest_mode"] == 0
    said = scores.to_json()
    assert said["labels"]["good_samples"] == "good_samples/points" and said["settings"]["good_within_std"] == 3
    assert said["better"]["modes"] == said["better"]["good_samples"] == "higher"
    assert said["standard_errors"]["good_samples"] == pytest.approx((0.75 * 0.25 / 400) ** 0.5)
    assert "modes" not in list(evaluate(data, DataSet("fake", fakes), n=400))


def test_modes_need_centres_that_are_known():
    points, pictured = DataSet("cloud", torch.randn(20, 2)), DataSet("real", pictures(20))
    for reference, kwargs, name in (
        (points, {}, "cloud has none"),
        (pictured, {"extractor": Mean()}, "extractor Mean has none"),
        ({"type": "gaussians8", "n": 20}, {"extractor": nn.Linear(2, 3)}, "extractor Linear has none"),
    ):
        with pytest.raises(EvaluationError, match=f"known centres, such as gaussians25 .*{name}"):
            evaluate(points if reference is not pictured else pictured, reference, ["modes"], n=20, **kwargs)


def test_the_same_data_is_at_distance_zero_and_says_so():
    data = DataSet("real", pictures(30))
    scores = evaluate(data, data, n=30, extractor=Mean())
    assert abs(scores["fd"]) < 1e-9
    assert "both sides are the same data" in scores.warnings


def test_numbers_of_python_are_checked():
    data = DataSet("real", pictures(30))
    for given, message in (
        ({"batch_size": 0}, "the batch size must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "the seed must be a whole number of at least 0, got -1"),
        ({"seed": "a"}, "the seed must be a whole number"),
        ({"seed": 2**70}, "a seed is below 2.63"),
    ):
        with pytest.raises(EvaluationError, match=message):
            evaluate(data, data, n=30, extractor=Mean(), **given)


def test_two_statistics_files_are_warned_of_as_samples_are(tmp_path):
    judge = extractor_for(Mean(), "pictures", (3, 8, 8), None)
    for name, n in (("a", 3), ("b", 40)):
        Statistics.of(torch.randn(n, 3), judge, name, name, 0).save(tmp_path / f"{name}.npz")
    few = evaluate(tmp_path / "a.npz", tmp_path / "a.npz", ["fd"], 3).warnings
    assert "both sides are the same data" in few and any("3 samples for 3 dimensions" in line for line in few)
    assert evaluate(tmp_path / "b.npz", tmp_path / "b.npz", ["fd"], 40).warnings == ["both sides are the same data"]


def test_samples_of_the_same_weights_are_told(tmp_path):
    """Noise is drawn by one seed on both sides."""
    gan = build({"type": "gan", "network": {"type": "mlp_generator", "latent_dim": 2, "width": 4, "depth": 1}})
    gan.save_pretrained(tmp_path / "a")
    gan.save_pretrained(tmp_path / "b")
    scores = evaluate(tmp_path / "a", tmp_path / "b", ["fd"], 30)
    assert abs(scores["fd"]) < 1e-9 and any("of the same weights by the same seed" in w for w in scores.warnings)
    with torch.no_grad():
        next(gan.parameters()).add_(1)
    gan.save_pretrained(tmp_path / "b")
    assert not any("the same" in w for w in evaluate(tmp_path / "a", tmp_path / "b", ["fd"], 30).warnings)


def test_the_same_weights_with_other_settings_are_no_same_samples():
    torch.manual_seed(0)
    one = build(PLAIN_DDPM)
    same, other = build(PLAIN_DDPM), build(PLAIN_DDPM | {"solver": {"type": "ddim", "steps": 3}})
    for parameter in one.parameters():
        nn.init.normal_(parameter, std=0.1)
    for copy in (same, other):
        copy.load_state_dict(one.state_dict())
    lines = [evaluate(one, against, ["fd"], 20, Mean()).warnings for against in (same, other)]
    assert [any("the same" in line for line in told) for told in lines] == [True, False]


def test_a_generator_beside_its_own_samples_is_told(tmp_path):
    made = Noise().sample(40, rng=torch.Generator().manual_seed(0))
    write_folder([to_uint8(made)], tmp_path / "own")
    scores = evaluate(Noise(), tmp_path / "own", ["fd"], 40, Mean())
    assert scores["fd"] < 1e-3 and any("both sides are the same samples" in line for line in scores.warnings)
    write_folder([to_uint8(Noise().sample(40, rng=torch.Generator().manual_seed(1)))], tmp_path / "other")
    assert not any("the same" in line for line in evaluate(Noise(), tmp_path / "other", ["fd"], 40, Mean()).warnings)


def test_independent_samples_are_never_the_same() -> None:
    rng = torch.Generator().manual_seed(0)

    def alike(real: torch.Tensor, fake: torch.Tensor) -> bool:
        return two_sides._alike(Sides(Extracted(real), Extracted(fake)))

    apart = torch.zeros(40, 2)
    apart[:, 0] = torch.randn(40, generator=rng)
    assert alike(apart, apart.flip(0)) and not alike(apart, apart + torch.tensor([0.0, 5.0])), "constants that differ"
    points = torch.rand(30_000, 2, generator=rng)
    assert not alike(points, torch.rand(30_000, 2, generator=rng)) and alike(points, points.flip(0))
    assert not alike(points, torch.stack([points[:, 0], points[:, 1].flip(0)], 1)), "another joint of these columns"
    for drawn in range(300):
        one, other = (torch.randn(100, 1, generator=rng) for _ in range(2))
        assert not alike(one, other), drawn
        rare = [torch.cat([torch.rand(500, 1, generator=rng) < 0.004, torch.ones(500, 3)], 1).float() for _ in range(2)]
        assert not alike(*rare), "nearly nothing differs"


def test_samples_that_are_all_alike_to_the_extractor_are_told():
    grey = DataSet("grey", torch.full((30, 1, 8, 8), 100, dtype=torch.uint8))
    lines = evaluate(grey, DataSet("real", pictures(30)), ["fd"], 30, Mean()).warnings
    assert [line for line in lines if "alike" in line] == [
        "grey: all samples are alike to the extractor: none of its features varies"
    ]


def test_a_classifier_gives_class_shares(tmp_path):
    judge = saved_classifier(tmp_path)
    data = DataSet("real", pictures(64))
    scores = evaluate(Noise(), data, ("fd", "is"), n=64, extractor=str(judge))
    module = Classifier.from_pretrained(judge)
    logits = module(from_uint8(data.x)).detach().double()
    expected = torch.bincount(logits.argmax(1), minlength=3) / 64
    assert list(scores.against.classes.shares.values()) == pytest.approx(expected.tolist())
    assert list(scores.against.classes.shares) == ["a", "b", "c"]
    assert scores.against.classes.top_probability == pytest.approx(
        logits.softmax(1).max(1).values.mean().item(), rel=1e-5
    )
    assert scores.scores["is"].label == "CS/judge"


def test_json_says_what_the_numbers_depend_on():
    scores = evaluate(
        Noise(), DataSet("real", pictures(20)), ("fd", "kd", "pr", "dc", "vendi"), n=20, extractor=Mean(), seed=5
    )
    found = json.loads(json.dumps(scores.to_json()))
    assert set(found["values"]) == {"fd", "kd", "precision", "recall", "density", "coverage", "vendi"}
    assert found["standard_errors"].keys() == found["values"].keys() == found["labels"].keys()
    assert found["a"]["n"] == found["against"]["n"] == 20
    assert found["a"]["rank"] == 4 and found["dim"] == 4 and found["seed"] == 5
    assert len(found["extractor"]["sha256"]) == 64 and found["extractor"]["resize"] == "none"
    assert (
        found["against"]["fingerprint"] and found["versions"]["torch"] and found["settings"]["precision_recall_k"] == 3
    )


def test_progress_counts_both_sides():
    seen = []
    evaluate(
        Noise(),
        DataSet("r", pictures(30)),
        ("fd",),
        n=20,
        extractor=Mean(),
        batch_size=8,
        progress=lambda *p: seen.append(p),
    )
    assert seen[-1] == (40, 40) and [d for d, _ in seen] == sorted(d for d, _ in seen)


def test_few_samples_are_said():
    data = DataSet("real", pictures(4))
    warnings = evaluate(Noise(), data, ("fd",), n=5, extractor=Mean()).warnings
    assert "real: 4 samples instead of 5" in warnings
    assert any("4 samples for 4 dimensions" in w for w in warnings)


class TestCache:
    def scores(self, tmp_path, data, **more):
        return evaluate(Noise(), data, ("fd", "is"), n=20, extractor=str(saved_classifier(tmp_path)), **more)

    def test_a_second_run_extracts_only_the_samples(self, tmp_path, monkeypatch):
        data = DataSet("real", pictures(30))
        first = self.scores(tmp_path, data)
        names = []
        original = Reader._extract
        monkeypatch.setattr(Reader, "_extract", lambda self, side: names.append(side.name) or original(self, side))
        again = self.scores(tmp_path, DataSet("copy", data.x.clone()))
        assert names == ["Noise"]
        assert again.to_json()["values"] == first.to_json()["values"]
        assert again.against.classes == first.against.classes

    def test_other_content_seed_or_number_is_another_entry(self, tmp_path, own_cache):
        for data, seed in (
            (DataSet("r", pictures(30)), 0),
            (DataSet("r", pictures(30, 1)), 0),
            (DataSet("r", pictures(30)), 1),
        ):
            self.scores(tmp_path, data, seed=seed)
        assert len(list((own_cache / "features").glob("*.npz"))) == 3

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
    def test_a_damaged_entry_is_computed_again(self, tmp_path, own_cache, damage):
        data = DataSet("real", pictures(30))
        first = self.scores(tmp_path, data)
        (entry,) = (own_cache / "features").glob("*.npz")
        content = bytearray(entry.read_bytes())
        content[len(content) // 2] ^= 0xFF
        entry.write_bytes(bytes(content) if damage is None else damage)
        assert self.scores(tmp_path, data).to_json()["values"] == first.to_json()["values"]
        assert cache.read(entry) is not None

    def test_a_module_of_the_user_is_not_cached(self, own_cache):
        evaluate(Noise(), DataSet("r", pictures(20)), ("fd",), n=20, extractor=Mean())
        assert not own_cache.exists()

    def test_a_folder_that_cannot_be_written_is_a_warning(self, tmp_path, own_cache):
        own_cache.write_text("a file where the folder should be")
        assert any("not kept" in w for w in self.scores(tmp_path, DataSet("r", pictures(20))).warnings)


class TestStatistics:
    def test_they_give_the_same_distance(self, tmp_path):
        real, fake = DataSet("real", pictures(60)), DataSet("fake", pictures(50, 1))
        judge = saved_classifier(tmp_path)
        expected = evaluate(fake, real, ("fd",), n=60, extractor=str(judge))
        for name, data in (("real", real), ("fake", fake)):
            made, _ = statistics(data, extractor=str(judge))
            made.save(tmp_path / f"{name}.npz")
        for a, b in ((fake, "real.npz"), ("fake.npz", "real.npz"), ("fake.npz", real)):
            sides = [tmp_path / side if isinstance(side, str) else side for side in (a, b)]
            extractor = None if a == "fake.npz" and b == "real.npz" else str(judge)
            found = evaluate(*sides, ("fd",), n=60, extractor=extractor)
            assert found["fd"] == pytest.approx(expected["fd"], rel=1e-6, abs=1e-9)
            assert found.scores["fd"].label == "FD/judge"

    def test_only_the_frechet_distance(self, tmp_path):
        made, _ = statistics(DataSet("real", pictures(30)), extractor=str(saved_classifier(tmp_path)))
        made.save(tmp_path / "s.npz")
        with pytest.raises(EvaluationError, match=r"metric kd: .*a mean and a covariance only"):
            evaluate(Noise(), tmp_path / "s.npz", ("fd", "kd"), n=20, extractor=str(tmp_path / "judge"))
        found = evaluate(Noise(), tmp_path / "s.npz", n=20, extractor=str(tmp_path / "judge"))
        assert list(found) == ["fd"] and set(found.to_json()["missing"]) == {"kd", "pr"}
        assert found.warnings[0].startswith("without kd, pr: real holds a mean and a covariance only")

    def test_of_another_extractor(self, tmp_path):
        made, _ = statistics(DataSet("real", pictures(30)), extractor=str(saved_classifier(tmp_path)))
        made.save(tmp_path / "s.npz")
        torch.manual_seed(1)
        other = Classifier(size=8, width=4, classes=3).save_pretrained(tmp_path / "other" / "judge")
        with pytest.raises(EvaluationError, match=r"statistics of extractor judge.*not of judge"):
            evaluate(Noise(), tmp_path / "s.npz", ("fd",), n=20, extractor=str(other))

    def test_damaged_foreign_or_pickled(self, tmp_path):
        made, _ = statistics(DataSet("real", pictures(30)), extractor=str(saved_classifier(tmp_path)))
        path = made and tmp_path / "s.npz"
        made.save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(EvaluationError, match=r"s\.npz is no readable statistics"):
            evaluate(Noise(), path, ("fd",), n=20)
        np.savez(path, mu=np.zeros(3), sigma=np.eye(3))
        with pytest.raises(EvaluationError, match="which extractor"):
            evaluate(Noise(), path, ("fd",), n=20)
        np.savez(path, mu=np.array([{}], dtype=object), sigma=np.eye(3))
        with pytest.raises(EvaluationError, match="no readable statistics"):
            evaluate(Noise(), path, ("fd",), n=20)


class TestRefusals:
    def test_unknown_names(self):
        data = DataSet("real", pictures(10))
        with pytest.raises(EvaluationError, match="did you mean 'fd'"):
            evaluate(Noise(), data, ("fdd",), n=10)
        with pytest.raises(EvaluationError, match="did you mean 'mnist-classifier'"):
            evaluate(Noise(), data, n=10, extractor="mnist-clasifier")
        with pytest.raises(EvaluationError, match="did you mean 'digits'"):
            evaluate("digit", data, n=10)
        with pytest.raises(DataError, match="does not exist"):
            evaluate("/nowhere/at/all", data, n=10)

    @pytest.mark.parametrize("n", [0, 1, -5, True, 2.5])
    def test_numbers_of_samples(self, n):
        with pytest.raises(EvaluationError, match="at least 2"):
            evaluate(Noise(), DataSet("real", pictures(10)), n=n)

    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            (torch.full((4, 1, 8, 8), torch.nan), "not finite"),
            (torch.full((4, 1, 8, 8), 200.0), r"\[-1, 1\]"),
            (torch.zeros(4, 8, 8, 3), "C of 1 or 3"),
            (torch.zeros(4, 4, 8, 8), "C of 1 or 3"),
            (torch.zeros(4, 1, 8, 8, dtype=torch.int64), "uint8"),
            (torch.zeros(0, 1, 8, 8), "B, C, H, W"),
            (torch.full((4, 2), torch.inf), "not finite"),
        ],
    )
    def test_batches(self, batch, message):
        with pytest.raises(DataError, match=f"list, samples from 4.*{message}"):
            evaluate([pictures(4), batch], DataSet("real", pictures(10)), n=20, extractor=Mean())

    def test_floats_from_0_to_1_are_warned_of(self):
        warnings = evaluate(
            [torch.rand(20, 1, 8, 8)], DataSet("r", pictures(20)), ("fd",), n=20, extractor=Mean()
        ).warnings
        assert any("no value below 0" in w for w in warnings)
        assert not evaluate(Noise(), DataSet("r", pictures(20)), ("fd",), n=20, extractor=Mean()).warnings

    def test_no_samples_and_one_sample(self):
        data = DataSet("real", pictures(10))
        with pytest.raises(EvaluationError, match="gave no samples"):
            evaluate([], data, n=10, extractor=Mean())
        with pytest.raises(EvaluationError, match="1 sample"):
            evaluate(pictures(1), data, n=10, extractor=Mean())

    def test_what_is_no_source(self):
        with pytest.raises(EvaluationError, match="int cannot be scored"):
            evaluate(3, DataSet("real", pictures(10)), n=10)
        with pytest.raises(EvaluationError, match="must be tensors"):
            evaluate(["text"], DataSet("real", pictures(10)), n=10, extractor=Mean())

    def test_a_module_that_gives_no_features(self):
        data = DataSet("real", pictures(10))
        with pytest.raises(EvaluationError, match=r"shape \(10, d\)"):
            evaluate(Noise(), data, n=10, extractor=nn.Identity())
        with pytest.raises(EvaluationError, match="cannot take samples"):
            evaluate(Noise(), data, n=10, extractor=nn.Linear(3, 4))
        with pytest.raises(EvaluationError, match=r"metric is: .*features alone"):
            evaluate(Noise(), data, ("is",), n=10, extractor=Mean())

    def test_features_that_are_not_finite(self):
        class Broken(Mean):
            def forward(self, x):
                return super().forward(x) / 0

        with pytest.raises(EvaluationError, match=r"real, samples from 0.*not finite"):
            evaluate(Noise(), DataSet("real", pictures(10)), n=10, extractor=Broken())

    def test_train_mode_does_not_matter(self):
        torch.manual_seed(0)
        judge = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), Mean()).train()
        scores = [evaluate(Noise(), DataSet("r", pictures(20)), ("fd",), n=20, extractor=judge)["fd"] for _ in range(2)]
        assert judge.training and scores[0] == scores[1]


class TestFiles:
    def make(self, tmp_path, n=12):
        write_folder([pictures(n, channels=3)], tmp_path / "images")
        return tmp_path / "images"

    def test_a_damaged_file_is_named_or_left_out(self, tmp_path):
        folder = self.make(tmp_path)
        (folder / "000003.png").write_bytes((folder / "000003.png").read_bytes()[:60])
        data = DataSet("real", pictures(12, 1, 3))
        with pytest.raises(DataError, match=r"000003\.png"):
            evaluate(folder, data, ("fd",), n=12, extractor=Mean())
        scores = evaluate(folder, data, ("fd",), n=12, extractor=Mean(), skip_bad=True)
        assert scores.a.n == 11 and scores.a.notes["rejected"][0][0] == "000003.png"
        assert any("000003.png" in w for w in scores.warnings)

    def test_a_good_file_takes_the_place_of_one_that_is_left_out(self, tmp_path):
        folder = self.make(tmp_path, 30)
        for bad in ("000003.png", "000017.png", "000018.png"):
            (folder / bad).write_bytes(b"")
        judge, data = str(saved_classifier(tmp_path)), DataSet("real", pictures(30, 1, 3))
        for batch_size in (4, 64):
            scores = evaluate(folder, data, ("fd",), n=27, extractor=judge, skip_bad=True, batch_size=batch_size)
            assert scores.a.n == 27
        assert not any("samples instead of" in line for line in scores.warnings)
        assert [name for name, _ in scores.a.notes["rejected"]] != [] and scores.a.notes["accepted"] == 27
        alone = [x for batch in of_files(ImageFiles(folder), skip_bad=True).batches(27, 0, 4) for x in batch]
        assert len(alone) == len({x.numpy().tobytes() for x in alone}) == 27

    def test_two_processes_take_the_same_files_in_place_of_bad_ones(self, tmp_path):
        folder = self.make(tmp_path, 30)
        for k in range(0, 20, 2):
            (folder / f"{k:06d}.png").write_bytes(b"")

        def batches(crew):
            source = of_files(ImageFiles(folder), skip_bad=True)
            return {b.position: b.ready for b in source.prepared(18, 0, 4, lambda image: image, crew)}, source.notes

        (left, notes), (right, same) = by_two(batches)
        alone, noted = batches(ALONE)
        assert left and right and not left.keys() & right.keys() and notes == same == noted
        assert {k: x.tolist() for k, x in (left | right).items()} == {k: x.tolist() for k, x in alone.items()}

    def test_two_processes_look_at_each_file_once_and_find_the_same_damage(self, tmp_path, monkeypatch):
        folder, read = self.make(tmp_path, 12), list[int]()
        for bad in ("000003.png", "000007.png", "000010.png"):
            (folder / bad).write_bytes(b"")
        honest = ImageFiles.read
        monkeypatch.setattr(ImageFiles, "read", lambda self, index: read.append(index) or honest(self, index))

        def damage(crew):
            with pytest.raises(DataError) as found:
                of_files(ImageFiles(folder)).check(12, 0, crew)
            return str(found.value)

        left, right = by_two(damage)
        assert sorted(read) == list(range(12))
        assert left == right == damage(ALONE) and "(3 of 12 files cannot be used)" in left

    def test_damage_is_found_before_anything_is_computed(self, tmp_path):
        class Never(Mean):
            def forward(self, x):
                raise AssertionError("computed")

        folder = self.make(tmp_path)
        (folder / "000003.png").write_bytes((folder / "000003.png").read_bytes()[:60])
        (folder / "000007.png").write_bytes(b"")
        for sides in ((DataSet("real", pictures(12, 1, 3)), folder), (folder, DataSet("real", pictures(12, 1, 3)))):
            with pytest.raises(DataError, match=r"00000[37]\.png: .*\(2 of 12 files cannot be used\).*--skip-bad"):
                evaluate(*sides, ("fd",), n=12, extractor=Never())

    def test_files_are_read_before_a_generator_draws(self, tmp_path):
        """Damage in the middle of a file shows only then."""

        class Slow(Noise):
            def sample(self, *given, **named):
                raise AssertionError("drawn")

        folder = self.make(tmp_path)
        content = bytearray((folder / "000003.png").read_bytes())
        content[len(content) // 2] ^= 255
        (folder / "000003.png").write_bytes(content)
        with pytest.raises(DataError, match=r"000003\.png"):
            evaluate(folder, Slow(), ("fd",), n=12, extractor=Mean())

    def test_mixed_sizes_go_through_an_extractor_that_resizes(self, tmp_path):
        folder = self.make(tmp_path)
        write_folder([pictures(5, 2, 3, 20)], folder, start=12)
        scores = evaluate(
            folder, DataSet("real", pictures(17, 1, 3)), ("fd",), n=17, extractor=str(saved_classifier(tmp_path))
        )
        assert scores.a.n == 17

    def test_empty_folder(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="holds no images"):
            evaluate(tmp_path / "empty", DataSet("real", pictures(12)), n=12)

    def test_twelve_bits_are_warned_of_also_from_the_cache(self, tmp_path):
        folder = tmp_path / "microscope"
        folder.mkdir()
        for i in range(6):
            values = np.random.default_rng(i).integers(0, 4096, (8, 8)).astype(np.uint16)
            Image.fromarray(values).save(folder / f"{i}.png")
        judge = str(saved_classifier(tmp_path))
        for _ in range(2):
            warnings = evaluate(folder, DataSet("r", pictures(6)), ("fd",), n=6, extractor=judge).warnings
            assert any("6 of 6 images are 16-bit files that use 12 bits" in line for line in warnings)


def test_pictures_that_are_not_read_are_told_beside_the_score(tmp_path):
    write_folder([pictures(6)], tmp_path / "images")
    (tmp_path / "images/a.heic").touch()
    found = evaluate(tmp_path / "images", DataSet("r", pictures(6)), ("fd",), n=6, extractor=saved_classifier(tmp_path))
    assert f"{tmp_path / 'images'}: not read: 1 .heic (a.heic); save pictures as JPEG or PNG" in found.warnings


class TestLargePictures:
    def test_each_is_made_small_before_it_waits_for_its_batch(self, tmp_path, monkeypatch):
        write_folder([pictures(6, channels=3, size=40)], tmp_path / "images")
        judge, seen = extractor_for(str(saved_classifier(tmp_path))), []
        prepare = Extractor.prepare
        monkeypatch.setattr(Extractor, "prepare", lambda self, x: seen.append(tuple(x.shape)) or prepare(self, x))
        evaluate(tmp_path / "images", DataSet("r", pictures(6)), ("fd",), n=6, extractor=judge)
        assert seen.count((1, 3, 40, 40)) == 6 and (6, 1, 8, 8) in seen

    def test_features_are_the_same_to_the_bit_as_of_whole_batches(self, tmp_path):
        images = pictures(20, channels=3, size=33)
        write_folder([images], tmp_path / "images")
        judge = extractor_for(str(saved_classifier(tmp_path)))
        source = of_files(ImageFiles(tmp_path / "images"))
        found = Reader(judge, 20, 0, 8, False, None, [source]).features(source)
        order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
        expected = torch.cat([judge(part).features for part in images[order].split(8)])
        assert torch.equal(found.features, expected) and source.notes["resized_from"] == [33, 33]

    def test_batches_of_any_size_hold_only_so_many_bytes(self, tmp_path, monkeypatch):
        write_folder([pictures(6, size=10)], tmp_path / "images")
        monkeypatch.setattr(grouping, "BATCH", 250)
        source = of_files(ImageFiles(tmp_path / "images"))
        assert [len(batch) for batch in source.batches(6, 0, 4)] == [2, 2, 2]


class TestChannels:
    @pytest.mark.parametrize(("a", "b", "judge"), [(1, 1, 3), (3, 3, 3), (1, 1, 1)])
    def test_like_with_like_needs_no_word(self, tmp_path, a, b, judge):
        assert not self.lines(tmp_path, a, b, judge)

    @pytest.mark.parametrize(
        ("a", "b", "judge", "told"),
        [
            (1, 3, 3, "of a are grey, those of b in colour: grey ones are compared with three equal channels"),
            (3, 1, 1, "of a are in colour, those of b grey: of colour the luminance alone counts"),
            (3, 3, 1, "of a and b are in colour: of colour the luminance alone counts"),
        ],
    )
    def test_grey_against_colour_is_said(self, tmp_path, a, b, judge, told):
        (line,) = self.lines(tmp_path, a, b, judge)
        assert told in line

    def lines(self, tmp_path, a, b, judge):
        torch.manual_seed(0)
        folder = Classifier(size=8, channels=judge, width=4, classes=3).save_pretrained(tmp_path / "judge")
        sides = [DataSet(name, pictures(12, channels=c)) for name, c in (("a", a), ("b", b))]
        warnings = evaluate(*sides, ("fd",), n=12, extractor=str(folder)).warnings
        return [line for line in warnings if line.startswith("images of")]


def test_a_score_is_found_by_the_name_it_is_published_under():
    scores = evaluate(Noise(), DataSet("real", pictures(20)), ("fd", "pr"), n=20, extractor=Mean())
    assert scores["FD"] == scores["fd"] and scores["Precision"] == scores["precision"]
    with pytest.warns(UserWarning, match="fid is given as fd, which is FD/"):
        assert scores["fid"] == scores["fd"]
    with pytest.raises(EvaluationError, match="no score 'kid' here"):
        scores["kid"]
