"""genkit explain of classifiers: who is refused and why, the page, one image, animations."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from genkit.classifiers.own_classifier import OwnClassifier, unbind
from genkit.classifiers.preprocessing import Preprocessing
from genkit.cli.explaining import page
from genkit.core.fingerprint import weights_fingerprint
from genkit.core.frozen import freeze
from genkit.core.interruption import Interrupted
from genkit.explain.explanation import Explanation
from genkit.explain.single import Change, ImageExplanation
from genkit.images.pixels import write_folder
from tests.cli.console import refusal, run
from tests.explain.brightness import SIZE, Bright, Brightness
from tests.explain.made import explanation

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(192, 2)
    def forward(self, x):
        return self.linear(x.flatten(1))

net, other, number = Net(), (lambda: Net(1)), 3
make = Net
scripted = lambda: torch.jit.trace(Net(), torch.zeros(1, 3, 8, 8))
one = lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
def fails():
    raise OSError("no weights here")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with own_net.py, broken_net.py and pics of 8 pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    Path("own_net.py").write_text(OWN)
    Path("broken_net.py").write_text("import nothing_like_it\n")
    levels = torch.linspace(-1, 1, 40)[:, None, None, None].expand(40, 3, SIZE, SIZE)
    write_folder([levels], tmp_path / "pics")
    (tmp_path / "scan.ppm").write_bytes(b"P6 1 1 255 abc")
    for name in ("own_net", "broken_net"):
        sys.modules.pop(name, None)
    return tmp_path


@pytest.fixture
def styleex(monkeypatch: pytest.MonkeyPatch) -> Brightness:
    """What weights of any name are."""
    generator = Brightness(freeze(Bright()))
    monkeypatch.setattr(page, "loaded", lambda kind, name: generator)
    return generator


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Calls of a stand-in of the search, which gives a made explanation."""
    calls: list[Any] = []

    def explain(generator: Any, images: Any, settings: Any, progress: Any, **rest: Any) -> Explanation:
        calls.append(SimpleNamespace(images=images, settings=settings, **rest))
        progress(1, 1)
        return explanation(size=SIZE, reasons=("The classifier is nearly always certain.",))

    module: Any = ModuleType("genkit.explain.explaining")
    module.explain, module.SearchSettings = explain, SimpleNamespace
    monkeypatch.setitem(sys.modules, "genkit.explain.explaining", module)
    return calls


@pytest.mark.parametrize("command", [["explain"], ["explain", "train"]])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("net.onnx", "an ONNX file is a graph without gradients"),
        ("net.pt2", "a torch.export file is a fixed graph"),
        ("scripted.pt", "a TorchScript file is an exported program"),
        ("pickled.pt", "a pickle can run code and is refused"),
        ("net.safetensors", "torchvision:resnet18 --weights"),
        ("notes.txt", "a classifier is no file such as"),
    ],
)
def test_files_are_refused_with_the_reason(
    here: Path, capsys: Capture, name: str, reason: str, command: list[str]
) -> None:
    for path in ("net.onnx", "net.pt2", "notes.txt"):
        Path(path).write_bytes(b"x")
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), "scripted.pt")  # type: ignore[no-untyped-call]
    torch.save({"a": torch.zeros(1)}, "pickled.pt")
    save_file({"a": torch.zeros(1)}, "net.safetensors")
    line = refusal(capsys, *command, name, "pics", "--out", "out")
    assert reason in line and name in line
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("absent_net:make", "there is no module 'absent_net' in this folder or among installed packages"),
        ("broken_net:make", "broken_net cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("own_net:mak", "own_net has no 'mak'; did you mean 'make'?"),
        ("own_net:number", "gives an int; a torch.nn.Module is needed"),
        ("own_net:fails", "calling it without arguments fails: OSError: no weights here"),
        ("own_net:scripted", "an exported TorchScript"),
    ],
)
def test_code_that_gives_no_module(here: Path, capsys: Capture, source: str, reason: str) -> None:
    assert reason in refusal(capsys, "explain", "train", source, "pics", "--out", "out", "--size", "16")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("explain own_net:make pics --out page", "say which StyleEx explains own_net:make with --by RUN"),
        ("explain run --by run", "IMAGES are missing"),
        ("explain run pics --by run", "say where the page goes with --out FOLDER"),
        ("explain run pics --by run --out page.gif", "say where the page goes with --out FOLDER"),
        ("explain run pics --by run --to dark", "pics is no file"),
        ("explain run pics/000000.png --to dark --out page", "one image is shown by --grid FILE.png"),
        ("explain run --by run --attribute 1 --out a.gif", "say which with --to CLASS"),
        ("explain run --to dark --attribute 1", "--out FILE.gif, .webp or .png"),
        ("explain run --to dark --attribute 1 --out page", "--out FILE.gif, .webp or .png"),
        ("explain run pics --to dark --strength 2", "--strength is of an --attribute"),
        ("explain run pics --out page.html", "'page.html' names a file, and a folder is written"),
        ("explain shapes-styleex scan.ppm --out page", "is one image: say what it should become"),
        ("explain run pics --by run --out page --grid g.png", "--grid and --json are of one image"),
        ("explain run --to dark --attribute 1 --out a.mp4", "--out FILE.gif, .webp or .png"),
        ("explain run --to dark --attribute 1 --out a.gif --json a.json", "--json is not read where an --attribute is"),
        ("explain run --to dark --attribute 1 --out a.gif -n 30", "-n is not read where an --attribute is animated"),
        ("explain run pics/000000.png --to dark --seed 3", "--seed is not read where one image is explained"),
        ("explain run pics/000000.png --to dark --judge nobody", "--judge is not read where one image is explained"),
        ("explain run pics/000000.png --to dark --skip-bad", "--skip-bad is not read where one image is explained"),
        ("explain fashion-mnist-exemplar-vae pics/000000.png --skip-bad", "--skip-bad is of folders"),
        ("explain run pics/000000.png --to dark --grid a.jpg", "should end with .png"),
        ("explain run pics --out page --found run", "--found is not read where a page is made"),
        ("explain run --by run --attribute 1 --to dark --out pics/a.gif pics", "lies in pics, which is read"),
        ("explain fashion-mnist-exemplar-vae --out page", "--out is of a classifier that a StyleEx explains"),
        ("explain nowhere pics --out page", "no weights at nowhere"),
        ("explain fashion-mnist-gan --out page", "fashion-mnist-gan is a GAN; what can be explained is a classifier"),
        ("explain mnist-classifier digits --out page", "say which StyleEx explains it with --by"),
        ("explain train mnist-classifier digits --out r", "wanted [1, 32, 32]; give {type: digits, size: 32"),
        ("explain train mnist-classifier digits --out r --size 64", "wanted [1, 64, 64]; give {type: digits, size: 64"),
        ("explain train mnist-classifier digits --out r --against nowhere", "no file, folder or data set 'nowhere'"),
        ("explain train mnist-classifier digits --out r --mean 0.5", "--mean is of a classifier made elsewhere"),
        ("explain train shapes-styleex digits --out r --classes a,b", "--classes is of a classifier made elsewhere"),
        ("explain shapes-styleex pics --out page -n 9", "-n 9: at least 10 images are searched"),
        ("explain train torchvison:resnet18 pics --out r", "did you mean torchvision:resnet18?"),
        (
            "explain train torchvison:resnet18 pics --out r --weights w.safetensors",
            "is of torchvision:NAME or timm:NAME; did you mean torchvision:resnet18?",
        ),
        ("explain train torchvision: pics --out r", "torchvision: is followed by a name, as in torchvision:resnet18"),
        ("explain train torchvision:resnet18 pics --out r", "give trained ones with --weights FILE.safetensors"),
        ("explain train torchvision:resnet18 pics --out r --weights own_net.py", "no .safetensors file"),
        ("explain train own_net:make pics --out r --weights own_net.py", "a factory of yours loads its own"),
        ("explain train own_net:make pics --out r --steps 3 --minutes 4", "--steps and --minutes both"),
        ("explain train own_net:make pics --out r --mean 1,x", "no list of numbers"),
        ("explain train own_net:make pics --out r --mean 1,nan", "a number that is not finite"),
        (
            "explain train own_net:make pics --out r --mean 1,2 --size 16",
            "--mean: 3 numbers, or one for all channels, are needed",
        ),
        ("explain train own_net:make pics --out r --range 1", "2 numbers are needed, got 1"),
        ("explain train own_net:make pics --out r --classes a,a", "names differ and none is empty"),
        ("explain train own_net:make pics --out r --size 16", "does not take images (2, 3, 16, 16)"),
        ("explain train own_net:make pics --out r --size 16 --input-size 8 --classes a,b,c", "--classes names 3"),
        ("explain train own_net:make gone.zip --out r --size 16 --input-size 8", "gone.zip does not exist"),
        ("explain train own_net:make pics --out pics/r", "lies in pics, which is read"),
        ("explain train own_net:make pics", "--out"),
    ],
)
def test_what_does_not_go_together_is_said_before_work_starts(
    here: Path, capsys: Capture, line: str, reason: str
) -> None:
    before = sorted(here.iterdir())
    assert reason in refusal(capsys, *line.split())
    assert [p for p in sorted(here.iterdir()) if p.name != "__pycache__"] == [
        p for p in before if p.name != "__pycache__"
    ]


def test_a_page_is_written(here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]) -> None:
    ran = run(capsys, "explain", "run", "pics", "--by", "run", "--out", "page", "-n", 15, "--seed", 1)
    assert ran.code == 0, ran.err
    assert {p.name for p in Path("page").iterdir()} == {
        *("explanation.html", "explanation.json", "explanation.safetensors", "class-0.png", "class-1.png")
    }
    (call,) = searched
    assert call.images.shape == (30, 3, SIZE, SIZE) and call.settings.searched == 15
    assert call.data == {"name": "pics"} and call.folder == Path("page/search")
    assert "warning: The classifier is nearly always certain." in ran.out
    html = Path("page/explanation.html").read_text("utf-8")
    assert "Do not trust this page" in html and "What changes the mind of run" in html
    assert json.loads(Path("page/explanation.json").read_text())["classes"] == ["small", "large"]


def test_the_page_of_another_is_not_replaced(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    line = ["explain", "run", "pics", "--by", "run", "--out", "page", "-n", 15]
    assert run(capsys, *line).code == 0
    told = json.loads(Path("page/explanation.json").read_text())
    Path("page/explanation.json").write_text(json.dumps(told | {"generator": weights_fingerprint(styleex)}))
    assert "the page in page will be replaced" in run(capsys, *line).out
    Path("page/explanation.json").write_text(json.dumps(told | {"generator": "another"}))
    before = {path: path.read_bytes() for path in Path("page").iterdir() if path.is_file()}
    assert "page holds the page of another StyleEx, or of other weights of it" in refusal(capsys, *line)
    assert {path: path.read_bytes() for path in Path("page").iterdir() if path.is_file()} == before


def test_the_page_says_at_which_temperature(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    line = ["explain", "run", "pics", "--by", "run", "-n", 15]
    assert run(capsys, *line, "--out", "own").code == 0
    styleex.temperature = 4.0  # type: ignore[attr-defined]
    assert run(capsys, *line, "--out", "warm").code == 0
    own, warm = (Path(out, "explanation.html").read_text("utf-8") for out in ("own", "warm"))
    assert "divided by 4" in warm and "<td>temperature</td><td>4</td>" in warm
    assert "divided by" not in own and "<td>temperature</td><td>1</td>" in own


def test_images_of_classes_that_the_classifier_does_not_know_are_told(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    for name in ("bright", "dark", "a cat"):
        write_folder([torch.rand(20, 3, SIZE, SIZE)], here / "all" / name)
        if name != "a cat":
            write_folder([torch.rand(20, 3, SIZE, SIZE)], here / "two" / name)
    line = ["explain", "run", "--by", "run", "-n", 15]
    told = "he images are also of a cat, and the classifier knows dark and bright alone"
    assert told in run(capsys, *line, "all", "--out", "page").out
    assert told in Path("page/explanation.html").read_text("utf-8")
    assert "the images are also of" not in run(capsys, *line, "two", "--out", "page2").out


def test_a_search_that_was_stopped_says_how_it_goes_on(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(sys.modules["genkit.explain.explaining"], "explain", stopped)
    ran = run(capsys, "explain", "run", "pics", "--by", "run", "--out", "page", "-n", 15)
    assert (ran.code, ran.err.count("\n")) == (130, 1)
    assert "genkit: stopped by SIGINT; the same command goes on with the search" in ran.err


def test_images_of_the_training_are_told(here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]) -> None:
    from genkit.evaluation.real_data import open_data
    from genkit.training.data_record import data_record

    Path("run/styleex").mkdir(parents=True)
    seen = open_data("pics", (3, SIZE, SIZE), "pics").taken("pics", torch.arange(25))
    Path("run/styleex/data.json").write_text(json.dumps(data_record(seen)))
    line = ["explain", "run", "pics", "--by", "run", "-n", 20]
    told = "was trained on at least 25 of these 40 images"
    assert told in run(capsys, *line, "--out", "page").out
    assert told in Path("page/explanation.html").read_text("utf-8")
    write_folder([torch.rand(40, 3, SIZE, SIZE)], here / "others")
    assert "was trained on" not in run(capsys, *line[:2], "others", *line[3:], "--out", "page2").out


def test_shipped_weights_know_what_they_were_trained_on(tmp_path: Path) -> None:
    from genkit.cli.explaining.page import _taught
    from genkit.core.catalog import build

    def found(weights: str, spec: dict[str, Any]) -> list[str]:
        data = build(spec, kind="data")
        return list(_taught(weights, data.taken(data.name, torch.arange(40))))

    for weights, seen in (
        ("mnist-styleex", {"type": "some_classes", "data": {"type": "digits", "size": 32}, "classes": [4, 9]}),
        ("shapes-styleex", {"type": "shapes", "split": "train", "label": "size"}),
    ):
        assert "was trained on at least 40 of these 40 images" in found(weights, seen)[0]
    assert not found("shapes-styleex", {"type": "shapes", "split": "test", "label": "size"})


def test_a_folder_of_other_files_is_left_alone(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    for name in ("class-0.png", "notes.txt"):
        (here / "mine").mkdir(exist_ok=True)
        (here / "mine" / name).write_text("mine")
        line = ["explain", "run", "pics", "--by", "run", "--out", "mine"]
        assert "mine holds other files; give a new folder" in refusal(capsys, *line)
    assert {p.read_text() for p in (here / "mine").iterdir()} == {"mine"} and not searched
    for _ in range(2):
        assert run(capsys, "explain", "run", "pics", "--by", "run", "--out", "page").code == 0
    (here / "theirs" / "search").mkdir(parents=True)
    assert "theirs holds other files" in refusal(capsys, *line[:-1], "theirs")


def test_a_judge_of_other_images_is_told_before_the_search(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = SimpleNamespace(predict=None, conditions={}, sample_shape=(3, 64, 64))
    monkeypatch.setattr(page, "loaded", lambda kind, name: judge if name == "judge" else styleex)
    line = ["explain", "run", "pics", "--by", "run", "--out", "page", "--judge", "judge"]
    assert "--judge judge reads images of 3 x 64 x 64, and these are of 3 x 8 x 8" in refusal(capsys, *line)
    assert not searched and not Path("page").exists()


def test_another_classifier_is_refused(here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]) -> None:
    line = ["explain", "mnist-classifier", "pics", "--by", "run", "--out", "page"]
    assert "run explains another classifier than mnist-classifier" in refusal(capsys, *line)
    assert "another classifier than own_net:make" in refusal(capsys, "explain", "own_net:make", *line[2:])
    assert not searched


def test_code_is_bound_by_its_name_on_the_line_alone(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    sys.path.insert(0, str(here))
    import own_net  # type: ignore[import-not-found]

    told = weights_fingerprint(own_net.net)
    styleex.classifier = freeze(OwnClassifier("told:before", SIZE, 2, ("a", "b"), told))
    rest = ["pics", "--by", "run", "--out", "page"]
    try:
        assert "told:before is code of yours, which no file may import" in refusal(capsys, "explain", "run", *rest)
        assert "told" not in sys.modules
        line = refusal(capsys, "explain", "own_net:other", *rest)
        assert "run explains told:before, and not own_net:other" in line
        ran = run(capsys, "explain", "own_net:make", *rest)
        assert ran.code == 0 and len(searched) == 1, ran.err
        answers = [[9.0, -9.0]] * 6
        styleex.classifier = freeze(OwnClassifier("told:before", SIZE, 2, ("a", "b"), told, answers=answers))
        line = refusal(capsys, "explain", "own_net:make", *rest)
        assert "told:before answers otherwise than when this was made, with the same weights" in line
    finally:
        unbind("told:before")


def test_an_architecture_of_a_library_is_known_by_its_name(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]
) -> None:
    from genkit.classifiers.library_classifier import LibraryClassifier

    LibraryClassifier("torchvision:squeezenet1_1", SIZE, 2, preprocessing=Preprocessing(input_size=32)).save_pretrained(
        here / "kept"
    )
    styleex.classifier = freeze(LibraryClassifier.from_pretrained(here / "kept"))
    rest = ["pics", "--by", "run", "--out", "page"]
    assert "explains another classifier" in refusal(capsys, "explain", "torchvision:resnet18", *rest)
    ran = run(capsys, "explain", "torchvision:squeezenet1_1", *rest)
    assert ran.code == 0 and len(searched) == 1, ran.err


def test_probabilities_are_refused_for_a_page_too(
    here: Path, capsys: Capture, styleex: Brightness, searched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bright, "forward", lambda self, x, honest=Bright.forward: honest(self, x).softmax(1))
    assert "gives probabilities" in refusal(capsys, "explain", "run", "pics", "--by", "run", "--out", "page")
    assert not searched and not Path("page").exists()


def kept(folder: Path) -> Explanation:
    """A made explanation of the attribute brightness, saved beside a run."""
    made = explanation(size=SIZE, classes=("dark", "bright"))
    one = {
        t: [replace(a, layer="a", channel=0, s=i) for i, a in enumerate(found)] for t, found in made.attributes.items()
    }
    made = replace(made, attributes=one)
    made.save(folder)
    return made


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
@pytest.mark.parametrize("images", [[], ["pics"], ["pics/000007.png"]])
def test_animations(
    here: Path, capsys: Capture, styleex: Brightness, monkeypatch: pytest.MonkeyPatch, name: str, images: list[str]
) -> None:
    kept(Path("run/explanation"))
    load, own = Explanation.load, weights_fingerprint(styleex)
    ends = SimpleNamespace(low=torch.tensor([-1.0, 0.0]), high=torch.tensor([1.0, 0.0]))
    line = ["explain", "run", *images, "--to", "bright", "--attribute", "1", "--strength", "1", "--out", name]
    monkeypatch.setattr(Explanation, "load", lambda folder: replace(load(folder), range=ends, generator="another"))
    assert "of another generator; search again" in refusal(capsys, *line) and not Path(name).exists()
    monkeypatch.setattr(Explanation, "load", lambda folder: replace(load(folder), range=ends, generator=own))
    ran = run(capsys, *line)
    assert ran.code == 0, ran.err
    with Image.open(name) as picture:
        assert getattr(picture, "n_frames", 1) == (1 if name == "a.png" else 46)
        if name == "a.png":
            last = picture.convert("RGB").getpixel((picture.width - 1, 0))
            assert last == (255, 255, 255)  # strength 1 is the largest value over the images
    assert "--attribute 9: there are 3 of class bright" in refusal(capsys, *line[:-5], "9", "--out", name)
    line[-3] = "0"
    assert "from 0 to 0" in run(capsys, *line).out


def test_an_explanation_must_be_there(here: Path, capsys: Capture, styleex: Brightness) -> None:
    line = refusal(capsys, "explain", "run", "--to", "bright", "--attribute", "1", "--out", "a.gif")
    assert "run holds no explanation" in line and "--found" in line


def test_one_image(here: Path, capsys: Capture, styleex: Brightness, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kept(Path("page"))
    attribute = made.attributes[1][0]
    image = torch.full((3, SIZE, SIZE), 100, dtype=torch.uint8)
    change = Change((attribute,), image + 50, 1.5, 0.8, 1, image + 60, 0.4, 0)
    found = ImageExplanation(
        classes=("dark", "bright"),
        target=1,
        original=image,
        reconstruction=image,
        probabilities=torch.tensor([0.7, 0.3]),
        reconstructed=torch.tensor([0.6, 0.4]),
        independent=[change],
        subset=[change],
        l1=1.5,
    )
    monkeypatch.setattr("genkit.explain.single.explain_image", lambda *given: found if given[3] == "bright" else None)
    line = ["explain", "run", "pics/000007.png", "--to", "bright", "--found", "page"]
    ran = run(capsys, *line, "--grid", "g.png", "--json", "g.json")
    assert ran.code == 0, ran.err
    assert "pics/000007.png is dark (70" in ran.out
    said = "it becomes bright; with the same differences the original does not: it stays dark (bright has 40 %)"
    text = (ran.out + ran.err).replace("\N{NO-BREAK SPACE}", " ")
    assert said in text and "this image is not redrawn faithfully: a pixel is off by 75 % of the" in text
    assert "alone, those that speak most for bright: attribute 1 (+1.50)\n" in ran.out
    told = json.loads(Path("g.json").read_text())
    assert told["flipped"] and told["subset"][0]["probability"] == 0.8 and not told["put_on_the_original"]
    assert told["subset"][0]["put_decision"] == 0 and len(told["doubts"]) >= 1
    assert told["image"] == "pics/000007.png" and told["subset"][0]["attributes"][0]["number"] == 1
    with Image.open("g.png") as picture:
        assert picture.width >= 4 * 32 and picture.height > 2 * 32


def test_the_search_itself_finds_what_the_classifier_looks_at(here: Path, capsys: Capture, styleex: Brightness) -> None:
    pytest.importorskip("genkit.explain.explaining")
    ran = run(capsys, "explain", "run", "pics", "--by", "run", "--out", "page", "-n", 20)
    assert ran.code == 0 and "are searched, not" not in ran.out + ran.err, ran
    spec = "{type: measured_shape, size: 8}"
    ran = run(capsys, "explain", "run", "pics", "--by", "run", "--out", "other", "-n", 200, "--judge", spec)
    assert set(Explanation.load(Path("other")).attributes[0][0].moves) == {"hue", "size", "x", "y", "background"}
    held = len(list(Path("pics").iterdir()))
    assert f"pics has {held} images: {held // 2} are searched, not 200, as others" in ran.out + ran.err, ran
    found = Explanation.load(Path("page"))
    assert found.classes == ("dark", "bright")
    for target, attributes in found.attributes.items():
        assert (attributes[0].layer, attributes[0].channel, attributes[0].direction) == ("a", 0, target)
    assert "What makes it say “bright”" in Path("page/explanation.html").read_text("utf-8")
    one = ["--found", "page", "--to", "bright"]
    ran = run(capsys, "explain", "run", "pics/000000.png", *one, "--grid", "g.png", "--json", "g.json")
    assert ran.code == 0 and "it becomes bright" in ran.out, ran
    alone = json.loads(Path("g.json").read_text())["independent"]
    most = [f"attribute {e['attributes'][0]['number']} ({e['effect']:+.2f})" for e in alone[:3] if e["effect"] > 0]
    assert most and f"alone, those that speak most for bright: {', '.join(most)}\n" in ran.out
    assert alone == sorted(alone, key=lambda each: -each["effect"])
    ran = run(capsys, "explain", "run", *one, "--attribute", "1", "--out", "a.webp")
    assert ran.code == 0 and Path("a.webp").is_file(), ran.err


def test_an_image_that_cannot_be_read_is_named(here: Path, capsys: Capture, styleex: Brightness) -> None:
    kept(here / "page")
    told = refusal(capsys, "explain", "x", "/proc/self/mem", "--to", "1", "--found", "page")
    assert "/proc/self/mem cannot be read (" in told and "give an image file" in told


def test_one_image_without_a_class_is_told_how(here: Path, capsys: Capture, styleex: Brightness) -> None:
    image = next(Path("pics").glob("*.png"))
    for out in ((), ("--out", "page")):
        told = refusal(capsys, "explain", "run", image, "--by", "run", *out)
        assert "is one image: say what it should become with --to CLASS" in told


def test_found_takes_a_run(here: Path, capsys: Capture, styleex: Brightness, searched: list[Any]) -> None:
    explanation(size=SIZE).save(Path("run/explanation"))
    image = next(Path("pics").glob("*.png"))
    for found in ("run", "run/explanation"):
        told = refusal(capsys, "explain", "run", image, "--by", "run", "--to", "large", "--found", found)
        assert "this explanation keeps no ranges" in told, "it was found and read"
    assert "pics holds no explanation" in refusal(
        capsys, "explain", "run", image, "--by", "run", "--to", "large", "--found", "pics"
    )
