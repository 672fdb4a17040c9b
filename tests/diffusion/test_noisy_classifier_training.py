from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core import catalog
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import RecipeError
from genkit.diffusion.noisy_classifier import NoisyClassifier, NoisyClassifierTraining, cropped
from genkit.diffusion.process import Process
from genkit.evaluation import accuracy
from genkit.training.optimizers import AdamW
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from tests.contracts.specs import DIGITS, NOISY, seeded
from tests.diffusion.toys import Brightness


def images(n: int = 3, height: int = 12, width: int = 16) -> Tensor:
    return torch.randn(n, 2, height, width, generator=torch.Generator().manual_seed(0))


def where(size: float, across: float, down: float, n: int = 3) -> Tensor:
    return torch.tensor([[size, across, down]]).expand(n, 3)


def test_a_crop_of_all_is_the_image() -> None:
    x = images()
    assert cropped(x, torch.rand(3, 3), 1.0).equal(x)
    torch.testing.assert_close(cropped(x, where(1.0, 0.3, 0.9), 0.5), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("across", "down", "rows", "columns"),
    [
        (0.5, 0.5, slice(3, 9), slice(4, 12)),
        (0.0, 0.0, slice(0, 6), slice(0, 8)),
        (1.0, 0.0, slice(0, 6), slice(8, 16)),
        (0.0, 1.0, slice(6, 12), slice(0, 8)),
    ],
)
def test_a_crop_is_enlarged_as_interpolate_does(across: float, down: float, rows: slice, columns: slice) -> None:
    """Beyond the rim of the crop lies more of the image, not its rim again; hence the inside."""
    x = images()
    want = F.interpolate(x[..., rows, columns], (12, 16), mode="bilinear", align_corners=False)
    got = cropped(x, where(0.0, across, down), 0.5)
    torch.testing.assert_close(got[..., 1:-1, 1:-1], want[..., 1:-1, 1:-1], rtol=0, atol=1e-5)


def test_crops_are_each_images_own_and_as_small_as_said() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    u = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    got = cropped(ramp.expand(500, -1, -1, -1), u, 0.8)
    span = got.amax((1, 2, 3)) - got.amin((1, 2, 3))
    side = 0.8 + 0.2 * u[:, 0]
    torch.testing.assert_close(span, 2 * side, rtol=0, atol=0.02)
    middle = got.mean((1, 2, 3))
    torch.testing.assert_close(middle, (1 - side) * (2 * u[:, 1] - 1), rtol=0, atol=0.01)
    down = cropped(ramp.mT.expand(500, -1, -1, -1), u, 0.8).mean((1, 2, 3))
    torch.testing.assert_close(down, (1 - side) * (2 * u[:, 2] - 1), rtol=0, atol=0.01)


def test_autocast_does_not_bend_the_crop() -> None:
    x = torch.linspace(-1, 1, 256).expand(2, 1, 256, 256)
    u = where(0.3, 0.7, 0.2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = cropped(x, u, 0.8)
    assert got.dtype == torch.float32 and got.equal(cropped(x, u, 0.8))


def toy() -> NoisyClassifierTraining:
    return NoisyClassifierTraining(NoisyClassifier(Brightness(), Process(100))).eval()


def test_the_loss_is_the_cross_entropy_of_noised_crops() -> None:
    system, n = toy(), 8
    rng = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(n, 1, 4, 4, generator=rng) for _ in range(2))
    on = {"x0": x0, "noise": noise, "label": torch.arange(n) % 2, "i": torch.arange(n) * 12, "crop": torch.rand(n, 3)}
    terms = system.classification_loss(**on)
    abar = system.classifier.process.abar[on["i"]].float().view(-1, 1, 1, 1)
    x_t = abar.sqrt() * cropped(x0, on["crop"], 0.8) + (1 - abar).sqrt() * noise
    torch.testing.assert_close(system.classifier.network.seen[0], x_t, rtol=1e-5, atol=1e-6)
    assert system.classifier.network.timesteps[0].tolist() == on["i"].tolist()
    p = torch.stack([-5 * x_t.mean((1, 2, 3)), 5 * x_t.mean((1, 2, 3))], 1).softmax(1)
    torch.testing.assert_close(terms["cross_entropy"], -p[torch.arange(n), on["label"]].log().mean())
    right = (p.argmax(1) == on["label"]).float()
    assert terms["accuracy"].item() == pytest.approx(right.mean().item())
    quarters = [terms[f"noise_quarter_{k}"].item() for k in (1, 2, 3, 4)]
    assert quarters == right.view(4, 2).mean(1).tolist()


def test_data_that_do_not_fit_are_refused_in_one_line() -> None:
    system = toy()
    system.check_data((1, 4, 4), ConditionSpace({"label": Labels(2)}))
    for shape, space, message in (
        (
            (3, 4, 4),
            ConditionSpace({"label": Labels(2)}),
            r"samples are \[3, 4, 4\], but the classifier takes \[1, 4, 4\]",
        ),
        ((1, 4, 4), ConditionSpace(), "the classifier has 2 classes, but the data have 0"),
        ((1, 4, 4), ConditionSpace({"label": Labels(7)}), "has 2 classes, but the data have 7"),
    ):
        with pytest.raises(RecipeError, match=message) as refusal:
            system.check_data(shape, space)
        assert "\n" not in str(refusal.value)
    for bad in (0, 1.2, -0.5):
        with pytest.raises(RecipeError, match="smallest_crop"):
            catalog.build({"type": "noisy_classifier_training", "classifier": NOISY, "smallest_crop": bad})


def test_sixty_steps_teach_it_more_of_clear_images_than_of_noisy_ones() -> None:
    system = NoisyClassifierTraining(seeded({**NOISY, "process": {"type": "process", "steps": 100}}))
    data = catalog.build(DIGITS)
    made = Trainer(system, Stream(data, 64, seed=0), {"classifier": AdamW(lr=1e-2)}, steps=60, ema_decay=0.8)
    losses = [made.iterate()["classifier/cross_entropy"].item() for _ in range(60)]
    assert sum(losses[-10:]) < 0.97 * sum(losses[:10]), losses
    values = accuracy(made.ema.module, data, n=500)["values"]
    assert list(values) == ["accuracy", *(f"accuracy_at_{t}" for t in (0, 25, 50, 74, 99))]
    assert values["accuracy_at_0"] > max(0.2, values["accuracy_at_74"] + 0.05, values["accuracy_at_99"] + 0.1), values
