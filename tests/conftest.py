"""What tests of several parts need: slides of every kind, a model with random weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import settings
from PIL import Image

TILE = 64
JAVA = Path(__file__).parent / "java"

# The same cases in every run: what fails here fails everywhere. To look for new ones:
# `make test ARGS="--hypothesis-profile search"`.
# No deadline: a busy machine is no failure.
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.register_profile("same", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(config, items):
    """Keep a file in one process, so that its fixtures are made once; pages are apart."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if "page" not in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture
def real_slides():
    """Return the folder of real slides, or skip the test."""
    folder = os.environ.get("NAPARI_FASTNET_SLIDES")
    if folder is None:
        pytest.skip("no $NAPARI_FASTNET_SLIDES")
    return Path(folder)


def _shrink(image, factor):
    height, width = (max(1, round(side / factor)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.BOX))


@pytest.fixture(scope="session")
def texture():
    """Return a function that makes an image with detail at all scales, no two alike."""

    def make(height, width, seed=0):
        rng = np.random.default_rng(seed)
        image = np.zeros((height, width, 3))
        for cell in (2, 8, 32):
            rough = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3))
            fine = Image.fromarray(rough.astype(np.uint8)).resize(
                (width, height), Image.BICUBIC
            )
            image += np.asarray(fine) / 3
        return image.astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def write_svs():
    """Return a function that writes an Aperio-like slide."""

    def write(path, image, *, factors=(1,), mpp=0.25, compression="deflate", **options):
        height, width = image.shape[:2]
        field = "" if mpp is None else f"|MPP = {mpp}"
        description = f"Aperio Image Library\r\n{width}x{height}|AppMag = 40{field}"
        common = {
            "photometric": "rgb",
            "compression": compression,
            "description": description,
            "metadata": None,
            **options,
        }
        with tifffile.TiffWriter(path) as tif:
            for index, factor in enumerate(factors):
                level = _shrink(image, factor) if factor != 1 else image
                tif.write(level, tile=(TILE, TILE), **common)
                if index == 0:  # Aperio's second page is the thumbnail
                    tif.write(_shrink(image, 8), rowsperstrip=16, **common)
        return path

    return write


@pytest.fixture(scope="session")
def write_tiff():
    """Return a function that writes a generic TIFF, its levels as pages or subIFDs."""

    def write(path, image, *, factors=(1,), sub_ifds=False, mpp=None, **options):
        common = {"photometric": "rgb", "compression": "deflate", "tile": (TILE, TILE)}
        common |= {"metadata": None, **options}
        with tifffile.TiffWriter(path) as tif:
            for index, factor in enumerate(factors):
                level = _shrink(image, factor) if factor != 1 else image
                extra = {}
                if mpp is not None:
                    y, x = np.broadcast_to(mpp, 2)
                    extra["resolution"] = (1e4 / x / factor, 1e4 / y / factor)
                    extra["resolutionunit"] = "centimeter"
                if index == 0 and sub_ifds:
                    extra["subifds"] = len(factors) - 1
                elif index:
                    extra["subfiletype"] = 1
                tif.write(level, **common, **extra)
        return path

    return write


@pytest.fixture(scope="session")
def tile_place():
    """Return a function that tells where a tile lies in a file: (offset, bytes)."""

    def place(path, index, page=0):
        with tifffile.TiffFile(path) as tif:
            table = tif.pages[page]
            return table.dataoffsets[index], table.databytecounts[index]

    return place


@pytest.fixture
def overwrite():
    """Return a function that replaces bytes in the middle of a file."""

    def replace(path, offset, data):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return replace


@pytest.fixture(scope="session")
def dark_bundle(tmp_path_factory):
    """Return the folder of a model to whom darkness is tumour: p = 1 - mean / 255.

    Its patches are 32 px at 2 µm/px, its threshold is 0.5. Densely, a patch is judged
    by its middle 15 px. Its evidence is three times the strength of a signal, and down to
    a lesion threshold of -50 every region is a lesion.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto as Kind
    from onnx import helper

    from napari_fastnet.core.options import EvidenceScale
    from napari_fastnet.model.bundle import ONNX_FILE, WEIGHTS_FILE
    from napari_fastnet.model.description import ModelDescription
    from napari_fastnet.model.writing import write_bundle

    shape = ("patches", "height", "width", 3)
    nodes = [
        helper.make_node("Cast", ["patches"], ["values"], to=Kind.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["light"]),
        helper.make_node("Sub", ["one", "light"], ["probability"]),
        # The same of the px around each cell of FastNet's feature map, as log odds.
        helper.make_node("Slice", ["values", "begin", "end", "sides"], ["from_cell"]),
        helper.make_node("ReduceMean", ["from_cell", "colours"], ["grey"], keepdims=0),
        helper.make_node("Unsqueeze", ["grey", "plane"], ["greys"]),
        helper.make_node(
            "AveragePool", ["greys"], ["cells"], kernel_shape=[15, 15], strides=[16, 16]
        ),
        helper.make_node("Squeeze", ["cells", "plane"], ["cell_greys"]),
        helper.make_node("Div", ["cell_greys", "white"], ["cell_lights"]),
        helper.make_node("Clip", ["cell_lights", "least", "most"], ["cell_light"]),
        helper.make_node("Sub", ["one", "cell_light"], ["cell_dark"]),
        helper.make_node("Div", ["cell_dark", "cell_light"], ["odds"]),
        helper.make_node("Log", ["odds"], ["cell_margins"]),
    ]
    numbers = {"white": 255.0, "one": 1.0, "least": 1e-6, "most": 1 - 1e-6}
    indices = {
        "axes": [1, 2, 3],
        "colours": [3],
        "plane": [1],
        "begin": [8, 8],
        "end": [2**31, 2**31],
        "sides": [1, 2],
    }
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("patches", Kind.UINT8, shape)],
        [
            helper.make_tensor_value_info("probability", Kind.FLOAT, shape[:1]),
            helper.make_tensor_value_info("cell_margins", Kind.FLOAT, ["n", "h", "w"]),
        ],
        [
            *(
                helper.make_tensor(name, Kind.FLOAT, [], [value])
                for name, value in numbers.items()
            ),
            *(
                helper.make_tensor(name, Kind.INT64, [len(values)], values)
                for name, values in indices.items()
            ),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    parts = tmp_path_factory.mktemp("dark")
    onnx.save(model, parts / "model.onnx")
    (parts / "weights").write_bytes(b"none")
    description = ModelDescription(
        name="dark",
        version="1.0",
        patch_size_pixels=32,
        spacing_um_px=2.0,
        lesions=EvidenceScale(
            offset=0.0, beside=0.0, fewer=1.0, balanced=-50.0, more=-60.0
        ),
    )
    bundle = write_bundle(
        parts / "bundle",
        description,
        sources={WEIGHTS_FILE: parts / "weights", ONNX_FILE: parts / "model.onnx"},
        card="# Darkness\n",
    )
    return bundle.folder


@pytest.fixture(scope="session")
def pale_slide(tmp_path_factory, write_svs):
    """Return a drawn slide in a stain too pale for the shipped model, and strokes on it.

    The slide is 1024 x 1280 px at 0.972 µm/px. The strokes are (64, 80) cells of 16 px: 36
    of tumor (1) in three lesions, and 48 of normal tissue (2) in four places.
    """
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.slide.slide import open_slide
    from napari_fastnet.synthetic.slide import write_slide

    folder = tmp_path_factory.mktemp("pale")
    write_slide(folder / "drawn.svs", shape=(4096, 5120), seed=1)
    with open_slide(folder / "drawn.svs") as slide:
        image = slide.read(Box.of_shape(slide.shape), 0.972)
    density = -np.log(np.maximum(image, 1) / 255)
    pale = (255 * np.exp(-0.35 * density)).astype(np.uint8)
    strokes = np.zeros((64, 80), np.uint8)
    tumor = [(24, 20), (45, 32), (28, 62)]
    normal = [(15, 36), (37, 15), (16, 62), (55, 62)]
    for kind, middles in ((1, tumor), (2, normal)):
        for row, column in middles:
            strokes[row - 1 : row + 2, column - 2 : column + 2] = kind
    return write_svs(folder / "pale.svs", pale, mpp=0.972), strokes


@pytest.fixture(autouse=True, scope="session")
def no_models_of_the_user(tmp_path_factory):
    """Look for added models in an empty folder, whatever this user has added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_FASTNET_MODELS", str(tmp_path_factory.mktemp("models")))
        yield


@pytest.fixture
def models_here(tmp_path, monkeypatch):
    """Return an empty folder for models that the test adds."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(folder))
    return folder


@pytest.fixture(scope="session")
def wsinfer_model(tmp_path_factory):
    """Return the folder of a model for WSInfer to whom darkness is tumour.

    32 px at 2 µm/px, seen as 16 px; the logit of "tumor" is 8 (0.5 - mean), of
    "normal" 0, so that at 0.5 grey the probability is a half.
    """
    import warnings

    torch = pytest.importorskip("torch")

    class Dark(torch.nn.Module):
        def forward(self, images):
            logit = 8 * (0.5 - images.mean(dim=(1, 2, 3)))
            return torch.stack([torch.zeros_like(logit), logit], dim=1)

    folder = tmp_path_factory.mktemp("wsinfer") / "dark-tumor"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        torch.jit.script(Dark()).save(str(folder / "torchscript_model.pt"))
    config = {
        "spec_version": "1.0",
        "architecture": "dark",
        "num_classes": 2,
        "patch_size_pixels": 32,
        "spacing_um_px": 2.0,
        "class_names": ["normal", "tumor"],
        "transform": [
            {"name": "Resize", "arguments": {"size": 16}},
            {"name": "ToTensor"},
        ],
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Dark\n")
    return folder


@pytest.fixture(scope="session")
def write_run():
    """Return a function that writes what ``detect`` leaves of a slide, from its values.

    A cell is 64 level-0 px of 0.243 µm, two px of CAMELYON16's truth. The evidence is
    three times the strength of a signal, and every region is a candidate.
    """
    from napari_fastnet.core.geometry import Grid
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import EvidenceScale
    from napari_fastnet.results.formats.ome_tiff import write_heatmap_ome_tiff
    from napari_fastnet.results.record import (
        Counts,
        ModelFacts,
        RunRecord,
        SlideFacts,
        TissueFacts,
        write_record,
    )
    from napari_fastnet.store.format import Seconds

    every = EvidenceScale(scale=3.0, offset=0.0, beside=0.0, balanced=-50.0, more=-60.0)

    def write(folder, values, *, mpp=0.243, cell_px=64, stopped=0, evidence=every):
        values = np.asarray(values, np.float32)
        height, width = (cell_px * side for side in values.shape)
        grid = Grid((0.0, 0.0), (float(cell_px), float(cell_px)), values.shape)
        name = f"/slides/{folder.name}.svs"
        facts = SlideFacts(name, "f", width, height, (mpp, mpp), "vendor", "none")
        computed = int((~np.isnan(values)).sum())
        record = RunRecord(
            slide=facts,
            tissue=TissueFacts(fraction=1.0),
            seconds=Seconds(0, 0, 0),
            model=ModelFacts("dark", "1.0", "0", 0.972, 96),
            grid=grid,
            threshold=0.5,
            lesion_threshold=evidence.balanced,
            evidence=evidence,
            counts=Counts(computed + stopped, computed, 0),
        )
        heatmap = Heatmap(values, grid, (mpp, mpp))
        write_heatmap_ome_tiff(folder / "heatmap.ome.tif", heatmap, record=record)
        write_record(folder / "run.json", record)
        return folder

    return write


@pytest.fixture(scope="session")
def random_network():
    """Return a FastNet whose weights are drawn and whose outputs differ by image."""
    torch = pytest.importorskip("torch")
    from napari_fastnet.nn.fastnet import FastNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FastNet()
        # Running statistics as training leaves them, and scales of both signs.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, -0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.2)
        network.train()
        with torch.no_grad():
            for _ in range(20):
                network(torch.rand(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="session")
def make_bundle(random_network, tmp_path_factory):
    """Return a function that writes a bundle of the random network."""
    from napari_fastnet.model.bundle import ONNX_FILE, WEIGHTS_FILE
    from napari_fastnet.model.description import ModelDescription
    from napari_fastnet.model.writing import write_bundle
    from napari_fastnet.nn.checkpoint import export_onnx, save_weights

    def make(**changes):
        values = {
            "name": "tiny",
            "version": "0.1",
            "patch_size_pixels": 64,
            "spacing_um_px": 1.0,
            "calibration": {"scale": 1.5, "offset": -0.25},
            "architecture": random_network.config,
        }
        description = ModelDescription(**(values | changes))
        files = tmp_path_factory.mktemp("model")
        save_weights(random_network, files / "weights")
        export_onnx(
            random_network,
            files / "graph",
            patch_size=description.patch_size_pixels,
            calibration=description.calibration,
            normalisation=description.normalisation,
        )
        return write_bundle(
            files / "bundle",
            description,
            sources={WEIGHTS_FILE: files / "weights", ONNX_FILE: files / "graph"},
            card="# tiny\n\nRandom weights, for tests.\n",
        )

    return make


@pytest.fixture(scope="session")
def tiny_bundle(make_bundle):
    """Return a bundle: 64 px at 1 µm/px, random weights, calibrated."""
    return make_bundle()


@pytest.fixture
def patches():
    """Return (5, 64, 64, 3) uint8 patches with structure, seeded."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(60, 255, (5, 8, 8, 3), dtype=np.uint8)
    noise = generator.integers(-20, 20, (5, 64, 64, 3))
    fine = coarse.repeat(8, axis=1).repeat(8, axis=2) + noise
    return fine.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def drawn_slide(tmp_path_factory):
    """Return a drawn slide of two nodes with four lesions, 1.2 mm², and its layout."""
    from napari_fastnet.synthetic.slide import write_slide

    path = tmp_path_factory.mktemp("drawn") / "drawn.svs"
    return path, write_slide(path, shape=(2048, 2560), seed=2)


@pytest.fixture(scope="session")
def camelyon(tmp_path_factory):
    """Return a folder in CAMELYON16's layout: 2 normal, 2 tumour, 2 test slides."""
    from napari_fastnet.synthetic.camelyon import write_camelyon

    folder = tmp_path_factory.mktemp("camelyon") / "CAMELYON16"
    write_camelyon(folder, testing=2, shape=(1536, 2048))
    return folder


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    """Return a function that runs ``DataFile`` with words, and returns what it prints.

    Java itself, with classes of the names, versions and fields that QuPath's data files
    state, and nothing else of QuPath. They show that a stream is one of Java's, not that
    QuPath opens it.
    """
    if not (shutil.which("javac") and shutil.which("java")):
        pytest.skip("needs a JDK")
    classes = tmp_path_factory.mktemp("java")
    sources = sorted(map(str, JAVA.rglob("*.java")))
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-Xshare:auto", "-proc:none", "-nowarn")
    words = ["javac", *quick, "-encoding", "UTF-8", "-d", str(classes), *sources]
    subprocess.run(words, check=True)

    def run(*given):
        begin = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", str(classes)]
        words = [*begin, "qupath.lib.objects.DataFile", *map(str, given)]
        return subprocess.run(words, check=True, capture_output=True).stdout.decode()

    return run
