"""Models that others made, described rightly and wrongly: right numbers, or a clear word."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.evaluation import trial as model_trial
from napari_fastnet.evaluation.trial import take_in
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import added_names
from napari_fastnet.synthetic.texture import sample_patches

torch = pytest.importorskip("torch")

SIDE = 32


class Logits(torch.nn.Module):
    """Tumor is what is light, and is no glass: 0 for the first class, a logit."""

    def forward(self, x):
        grey = x.mean((1, 2, 3))
        logit = 30 * (grey - 0.6) - 40 * (grey > 0.95)
        return torch.stack([torch.zeros_like(logit), logit], 1)


class Of(torch.nn.Module):
    """Something else of the logits."""

    def __init__(self):
        super().__init__()
        self.logits = Logits()


class Exchanged(Of):
    def forward(self, x):
        return self.logits(x).flip(1)


class One(Of):
    def forward(self, x):
        return self.logits(x)[:, 1]


class Deep(Of):
    def forward(self, x):
        return self.logits(x)[:, :, None, None]


class Doubled(Of):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x):
        torch._assert(x.dtype == torch.float64, "not in doubles")
        return self.logits(x) * self.scale


class Halved(Of):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1, dtype=torch.float16))

    def forward(self, x):
        return self.logits(x) * self.scale


class Softmax(Of):
    def forward(self, x):
        return torch.softmax(self.logits(x), 1)


class Sigmoid(Of):
    def forward(self, x):
        return torch.sigmoid(self.logits(x)[:, 1:])


class Pair(Of):
    def forward(self, x):
        return self.logits(x), x


class Listed(Of):
    def forward(self, x):
        return [self.logits(x)]


class Named(Of):
    def forward(self, x):
        return {"logits": self.logits(x)}


class Nothing(torch.nn.Module):
    def forward(self, x):
        return None


class Turned(Of):
    def forward(self, x):
        return self.logits(x).t()


class Map(Of):
    def forward(self, x):
        return self.logits(x)[:, :, None, None].expand(-1, -1, 4, 4)


class Classes(Of):
    def forward(self, x):
        return self.logits(x).argmax(1)


class Missing(Of):
    def forward(self, x):
        return self.logits(x) / 0 * 0


class OtherSize(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(3 * 64 * 64, 2)

    def forward(self, x):
        return self.last(x.flatten(1))


class OnGpu(Of):
    def forward(self, x):
        return self.logits(x.to("cuda"))


class Raising(Of):
    def forward(self, x):
        if x.shape[0] > 0:
            raise ValueError("not on Sundays")
        return self.logits(x)


class Wordy(Of):
    def forward(self, x):
        warnings.warn("this operation is old", stacklevel=2)
        return self.logits(x)


class InTraining(Of):
    """Normalises by the batch at hand, as a module traced before `eval` does."""

    def forward(self, x):
        found = self.logits(x)
        return 100 * (found - found.mean(0))


class Constant(Of):
    def forward(self, x):
        return self.logits(x) * 0 + 1


class Glass(Of):
    def forward(self, x):
        return torch.stack([x.mean((1, 2, 3)) * 0, 30 * (x.mean((1, 2, 3)) - 0.55)], 1)


class Alike(Of):
    """Of other tissue: only glass is something else."""

    def forward(self, x):
        glass = 1.0 * (x.mean((1, 2, 3)) > 0.95)
        return torch.stack([glass, 1 - glass], 1) * 3 + x[:, :2, 0, 0] * 0.01


@pytest.fixture(scope="module")
def drawn():
    """Return the patches, drawn once: that takes a second."""
    return sample_patches(SIDE, 2.0)


@pytest.fixture(autouse=True)
def _tried_on(drawn, monkeypatch):
    monkeypatch.setattr(model_trial, "sample_patches", lambda *_: drawn)


@pytest.fixture
def program(tmp_path, models_here):
    """Return a function that writes a model for WSInfer, and its folder."""

    def write(network, names=("normal", "tumor"), **config):
        folder = tmp_path / "mine"
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*torch\.jit")
            torch.jit.script(network()).save(str(folder / "torchscript_model.pt"))
        content = {
            "num_classes": len(names),
            "class_names": list(names),
            "patch_size_pixels": SIDE,
            "spacing_um_px": 2.0,
            "transform": [{"name": "ToTensor"}],
        }
        (folder / "config.json").write_text(json.dumps(content | config))
        return folder

    return write


def judged(bundle, patches):
    return [float(create_backend(bundle).predict(part)[0]) for part in patches]


@pytest.mark.parametrize(
    ("network", "names"),
    [
        (Logits, ("normal", "tumor")),
        (Exchanged, ("Tumor", "Normal")),
        (Exchanged, ("positive", "negative")),
        (One, ("tumor",)),
        (Deep, ("normal", "tumor")),
        (Doubled, ("normal", "tumor")),
        (Halved, ("normal", "tumor")),
        (Softmax, ("normal", "tumor")),
        (Logits, ("sain", "Tumeur ")),
    ],
)
def test_what_a_program_means_is_what_is_shown(program, network, names, drawn):
    bundle, trial = take_in(program(network, names), allow_torchscript=True)

    tissue = [drawn.white, drawn.normal, drawn.tumor]
    grey = [part[0].mean() / 255 for part in tissue]
    logits = np.array([30 * (g - 0.6) - 40 * (g > 0.95) for g in grey])
    assert judged(bundle, tissue) == pytest.approx(1 / (1 + np.exp(-logits)), abs=0.01)
    assert trial.tumor > 0.8 > 0.2 > max(trial.normal, trial.white)
    unsure = names[0] == "positive"
    assert trial.doubts == (
        (
            "the class 'positive' is not surely tumor; if it is not, say --positive "
            "with one of 'negative'",
        )
        if unsure
        else ()
    )


@pytest.mark.parametrize(
    ("network", "names", "said"),
    [
        (
            Pair,
            ("normal", "tumor"),
            r"gives a tuple of 2; it must give one tensor of log",
        ),
        (Listed, ("normal", "tumor"), r"gives a list of 1; it must give one tensor"),
        (Named, ("normal", "tumor"), r"gives a dict of 1; it must give one tensor"),
        (Nothing, ("normal", "tumor"), r"gives a NoneType; it must give one tensor"),
        (Turned, ("normal", "tumor"), r"shape \(2, 13\) where \(13, 2\) is needed"),
        (Map, ("normal", "tumor"), r"shape \(13, 2, 4, 4\) where \(13, 2\) is needed"),
        (Logits, ("a", "b", "tumor"), r"shape \(13, 2\) where \(13, 3\) is needed"),
        (One, ("normal", "tumor"), r"shape \(13,\) where \(13, 2\) is needed"),
        (Classes, ("tumor",), r"gives numbers of torch.int64, such as"),
        (Missing, ("normal", "tumor"), r"gave 13 of 13 patches no number"),
        (
            OtherSize,
            ("normal", "tumor"),
            r"failed on 13 patches of 32 x 32 px .*shapes cannot",
        ),
        (OnGpu, ("normal", "tumor"), r"failed .*(CUDA|cuda).*not for this device"),
        (Raising, ("normal", "tumor"), r"failed on .*not on Sundays"),
        (InTraining, ("normal", "tumor"), r"exported while in training"),
    ],
)
def test_what_cannot_be_right_is_refused_in_a_line(program, network, names, said):
    if network is OnGpu and torch.cuda.is_available():
        pytest.skip("this computer has what the program wants")
    with pytest.raises(DetectionError, match=said) as caught:
        take_in(program(network, names), allow_torchscript=True)
    assert "\n" not in str(caught.value)
    assert added_names() == []


def test_what_a_program_s_maker_warns_of_is_not_printed(program, recwarn):
    warnings.simplefilter("always")
    take_in(program(Wordy), allow_torchscript=True)
    assert [str(one.message) for one in recwarn if "old" in str(one.message)] == []


def test_numbers_that_may_be_either_are_asked_for(program):
    folder = program(Sigmoid, ("tumor",))
    with pytest.raises(
        OptionError, match="--outputs logits or --outputs probabilities"
    ):
        take_in(folder, allow_torchscript=True)

    bundle, trial = take_in(folder, outputs="probabilities", allow_torchscript=True)

    assert bundle.outputs == "probabilities"
    assert (trial.white < 0.01, trial.normal < 0.2, trial.tumor > 0.8) == (True,) * 3


def test_probabilities_beyond_one_are_refused(program):
    folder = program(One, ("tumor",))
    with pytest.raises(
        DetectionError, match=r"probabilities from -\d+.* perhaps these"
    ):
        take_in(folder, outputs="probabilities", allow_torchscript=True)


@pytest.mark.parametrize(
    ("network", "names", "options", "said"),
    [
        (Constant, ("normal", "tumor"), {}, "the model gives 0.5 to glass and to all"),
        (Glass, ("normal", "tumor"), {}, "the model calls glass tumor (1.00)"),
        (
            Logits,
            ("lymphocytes", "plasma"),
            {},
            "class 'plasma' is not surely tumor; if",
        ),
        (
            Exchanged,
            ("normal", "tumor"),
            {},
            "the model finds 'tumor' in drawn normal tissue (",
        ),
        (Logits, ("tumor", "normal"), {"positive": "tumor"}, "finds 'tumor' in drawn"),
        (Alike, ("normal", "tumor"), {}, "hardly tells drawn tumor (0.95) from drawn"),
    ],
)
def test_what_may_be_wrong_is_said(program, network, names, options, said):
    _, trial = take_in(program(network, names), allow_torchscript=True, **options)
    assert len([doubt for doubt in trial.doubts if said in doubt]) == 1, trial.doubts
    assert added_names() == ["mine"]


def test_a_fastnet_bundle_is_tried_too(models_here, dark_bundle, tiny_bundle):
    """To this one darkness is tumor, and normal lymphoid tissue is the darker."""
    bundle, trial = take_in(dark_bundle)
    assert bundle.name == "dark"
    (doubt,) = trial.doubts
    assert "finds 'tumour' in drawn normal tissue" in doubt
    with pytest.raises(OptionError, match="leave --outputs out"):
        take_in(tiny_bundle.folder, outputs="logits")
    with pytest.raises(OptionError, match="shows its second class, 'tumour'"):
        take_in(tiny_bundle.folder, positive="normal")


def test_the_shipped_model_is_right_about_what_is_drawn(monkeypatch, models_here):
    from napari_fastnet.model.bundle import load_bundle

    monkeypatch.setattr(model_trial, "sample_patches", sample_patches)
    shipped = load_bundle("fastnet-pcam")
    _, trial = take_in(shipped.folder, name="again")
    assert trial.doubts == ()
    assert trial.white < 0.1
    assert trial.normal < 0.1
    assert trial.tumor > 0.9
    assert trial.words().startswith("on drawn patches: glass 0.0")


def test_drawn_patches_have_the_model_s_size_and_are_few_where_large(drawn):
    assert drawn.white.shape == (1, SIDE, SIDE, 3)
    assert drawn.normal.shape == drawn.tumor.shape == (6, SIDE, SIDE, 3)
    assert drawn.normal.mean() < drawn.tumor.mean() < 255
    assert len(sample_patches(1500, 20).tumor) == 1
