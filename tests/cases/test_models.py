"""Models of others on a drawn slide: what a program gives, and what becomes of it."""

from __future__ import annotations

import json
import warnings

import pytest

from napari_fastnet.cli.app import main

torch = pytest.importorskip("torch")


class Pair(torch.nn.Module):
    """What it was taught with comes along."""

    def forward(self, x):
        mean = x.mean((1, 2, 3)).reshape(-1, 1)
        return torch.cat([mean, -mean], 1), x


class Dark(torch.nn.Module):
    def forward(self, x):
        logit = 30 * (0.65 - x.mean((1, 2, 3)))
        return torch.stack([torch.zeros_like(logit), logit], 1)


class Same(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0] * 0, x[:, 0, 0, 0] * 0 + 2], 1)


class Everything(torch.nn.Module):
    def forward(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, 3 - mean], 1)


@pytest.fixture
def add(tmp_path, models_here, capsys):
    """Return a function that adds a program, and what is printed then."""

    def run(network, *options, names=("other", "tumor")):
        folder = tmp_path / network.__name__.lower()
        folder.mkdir(exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*torch\.jit")
            torch.jit.script(network()).save(str(folder / "torchscript_model.pt"))
        config = {
            "num_classes": 2,
            "class_names": list(names),
            "patch_size_pixels": 96,
            "spacing_um_px": 0.972,
            "transform": [{"name": "ToTensor"}],
        }
        (folder / "config.json").write_text(json.dumps(config))
        words = ["models", "add", str(folder), "--allow-torchscript", *options]
        return main(words), *capsys.readouterr()

    return run


@pytest.fixture
def slide(tmp_path, stained, tiff, pyramid):
    return tiff(tmp_path / "a.tif", pyramid(stained.small[:768, :1024]))


@pytest.fixture
def detect(slide, tmp_path, capsys):
    """Return a function that detects, and the record and what is said beside."""

    def run(model):
        words = ["detect", str(slide), "-o", str(tmp_path / "out"), "--model", model]
        assert main(words) == 0
        record = json.loads((tmp_path / "out/a/run.json").read_text("utf-8"))
        return record, capsys.readouterr().err

    return run


def test_a_program_that_gives_a_tuple_is_not_added(add):
    code, out, error = add(Pair)

    assert (code, out) == (1, "")
    assert error == (
        "error: the model pair wsinfer gives a tuple of 2; it must give one tensor of "
        "logits, one number a class: export it so\n"
    )


def test_a_program_that_was_added_before_says_so_when_it_is_used(
    add, slide, tmp_path, capsys
):
    """Models were not tried when they were added."""
    from napari_fastnet.model.user_models import keep, read_candidate

    add(Pair)
    keep(read_candidate(tmp_path / "pair", allow_torchscript=True))

    assert main(["detect", str(slide), "-o", str(tmp_path), "--model", "pair"]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert "the model pair wsinfer gives a tuple of 2; it must give one tensor" in line


def test_another_class_of_the_same_program_is_another_run(add, detect):
    """The file is the same, so that its SHA-256 is, too."""
    assert add(Dark, "--name", "dark")[0] == 0
    assert add(Dark, "--name", "light", "--positive", "other")[0] == 0

    dark, _ = detect("dark")
    light, _ = detect("light")

    # A patch lies over the threshold by one of them, and by no more.
    shares = [record["regions"]["cell_share"] for record in (dark, light)]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert min(shares) > 0.02


def test_a_run_of_equal_probabilities_is_warned_of(add, detect):
    _, _, said = add(Same)
    assert "warning: " in said
    assert "gives 0.881 to glass and to all drawn tissue" in said

    record, warned = detect("same")

    assert record["quality"]["warn"]
    assert record["quality"]["doubt"] in warned
    assert "probabilities are 0.881: the model tells nothing apart here" in warned


def test_a_run_that_is_tumor_all_over_is_warned_of(add, detect):
    _, _, said = add(Everything)
    assert "calls glass tumor" in said

    _, warned = detect("everything")

    assert "100.0 % of the tissue is over the threshold 0.5, which is rare" in warned


def test_a_run_like_others_is_not(add, detect):
    add(Dark)
    record, warned = detect("dark")
    assert "doubt" not in record["quality"]
    assert "over the threshold" not in warned
