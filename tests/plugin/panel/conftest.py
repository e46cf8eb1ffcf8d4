"""A viewer without a window, a slide with a known tumour, and the panel."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qtpy")


def pytest_collection_modifyitems(items):
    # napari silences this, but a worker that ends meanwhile undoes that: superqt sets
    # the warning filters of the whole process from the worker's thread
    quiet = pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB:UserWarning")
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(quiet)


@pytest.fixture(scope="session")
def square_svs(tmp_path_factory, write_svs):
    """Return a slide: a pink square, a dark one in it, on glass; 1 µm/px.

    To `dark_bundle` the dark square, 400 x 400 px at (400, 520), is tumour.
    """
    image = np.full((1200, 1600, 3), 244, np.uint8)
    image[200:1000, 200:1200] = (170, 90, 150)
    image[400:800, 520:920] = (120, 60, 120)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("slides")
    return write_svs(folder / "square.svs", image, factors=(1, 4), mpp=1.0)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """Keep the network of each test to itself, and return what keeps it ready.

    The panel does not get it ready before the click: tests count what a network sees.
    """
    from napari_fastnet.plugin.detection import scan
    from napari_fastnet.plugin.detection.ready_network import ReadyNetwork
    from napari_fastnet.plugin.panel import detect

    ready = ReadyNetwork(idle_s=600)
    monkeypatch.setattr(scan, "NETWORK", ready)
    monkeypatch.setattr(detect, "NETWORK", ready)
    monkeypatch.setattr(detect, "STILL_MS", 10**6)
    yield ready
    ready.drop()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Keep napari's settings, the cache and decisions to this test."""
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # of decisions
    # those of plugins are read once, from where napari's own were when it was imported
    from napari import settings

    # before 0.9 there are none
    forget = getattr(settings, "_clear_plugin_settings_cache", lambda: None)
    forget()
    place = str(tmp_path / "napari.yaml")
    monkeypatch.setattr(settings, "_CFG_PATH", place, raising=False)
    monkeypatch.setattr(settings.get_settings().plugins, "extension2reader", {})
    yield
    forget()


@pytest.fixture
def add_slide():
    """Return a function that adds a slide's layer to a viewer."""
    opened = []

    def add(viewer, path):
        from napari.layers import Layer

        from napari_fastnet.plugin.layers.data import slide_layer_data
        from napari_fastnet.slide.slide import open_slide

        slide = open_slide(path)
        opened.append(slide)
        viewer.add_layer(Layer.create(*slide_layer_data(slide)))
        return viewer.layers[-1]

    yield add
    for slide in opened:
        slide.close()


@pytest.fixture
def viewer(qapp, settings):
    """Return a viewer without a window, its canvas 400 x 400 px."""
    from napari.components import ViewerModel

    viewer = ViewerModel()
    viewer.canvas.size = (400, 400)
    return viewer


@contextmanager
def messages(wanted):
    """Collect the messages of napari's notifications whose severity is wanted."""
    from napari.utils.notifications import notification_manager

    shown = []

    def note(notification):
        if wanted(notification.severity):
            shown.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield shown
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def errors():
    """Return the error messages that napari is asked to show."""
    from napari.utils.notifications import NotificationSeverity

    with messages(lambda severity: severity >= NotificationSeverity.ERROR) as shown:
        yield shown


@pytest.fixture
def warned():
    """Return the warnings that napari is asked to show."""
    from napari.utils.notifications import NotificationSeverity

    with messages(lambda severity: severity == NotificationSeverity.WARNING) as shown:
        yield shown


@pytest.fixture
def told():
    """Return all messages that napari is asked to show."""
    with messages(lambda severity: True) as shown:
        yield shown


@pytest.fixture
def make_panel(qtbot, settings):
    """Return a function that makes the panel of a viewer, ready for `dark_bundle`."""
    made = []

    def make(viewer):
        from napari_fastnet.plugin.panel.panel import FastNetPanel

        panel = FastNetPanel(viewer)
        made.append(panel)
        return panel

    yield make
    for panel in made:
        workspace = panel.detect.workspace
        panel.detect.leave()
        for work in workspace.works:
            for job in (work.tissue_job, work.detection and work.detection.job):
                if job is not None:
                    qtbot.waitUntil(lambda job=job: not job.running, timeout=20_000)
        panel.native.deleteLater()


@pytest.fixture
def open_window(qtbot, make_napari_viewer, settings):
    """Return a function that opens files in a window, and docks the panel."""

    def opened(*paths):
        viewer = make_napari_viewer(show=True)
        for path in paths:
            viewer.open(path, plugin="napari-fastnet")
        _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
        return viewer, panel

    return opened


@pytest.fixture(scope="session")
def lab_svs(tmp_path_factory, write_svs):
    """Return two slides of a stain that the shipped model does not know.

    Made of the patches of home, in other colours: tumor in the left half, normal tissue
    in the right one, 768 x 1536 px of 0.972 µm/px, with 192 px of glass around.
    """
    from napari_fastnet.training.adapt.home import home_patches

    home = home_patches("mixing")
    mixed = np.array([[0.7, 0.1, 0.2], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    folder = tmp_path_factory.mktemp("lab")
    slides = []
    for number, name in enumerate(("lab", "other")):
        halves = []
        for of_class in (home.images[home.tumor], home.images[~home.tumor]):
            patches = of_class[64 * number :][:64].reshape(8, 8, 96, 96, 3)
            halves.append(patches.swapaxes(1, 2).reshape(768, 768, 3))
        tissue = (np.concatenate(halves, axis=1) @ mixed).astype(np.uint8)
        rim = [(192, 192), (192, 192), (0, 0)]
        image = np.pad(tissue, rim, constant_values=244)
        slides.append(
            write_svs(folder / f"{name}.svs", image, factors=(1, 4), mpp=0.972)
        )
    return slides


@pytest.fixture
def panel(viewer, add_slide, square_svs, make_panel, dark_bundle, tmp_path):
    """Return the panel of a viewer with the slide; results go to ``tmp_path/out``."""
    add_slide(viewer, square_svs)
    panel = make_panel(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    return panel


@pytest.fixture
def compute(qtbot):
    """Return a function that presses "Compute masks" and waits for them."""

    def press(panel):
        panel.tissue.compute.native.click()
        work = panel.slide.work
        qtbot.waitUntil(lambda: not work.tissue_job.running, timeout=20_000)
        return work

    return press


@pytest.fixture
def detect(qtbot):
    """Return a function that presses "Detect tumors" and waits for the end."""

    def press(panel):
        panel.detect.start.native.click()
        work = panel.slide.work
        qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
        return work

    return press


@pytest.fixture
def press():
    """Return a function that presses a key of a viewer, as its canvas does."""
    from napari.utils.key_bindings import KeymapHandler

    def press(viewer, key):
        handler = KeymapHandler()
        handler.keymap_providers = [viewer]
        return handler.press_key(key)

    return press


@pytest.fixture
def before_inference(monkeypatch):
    """Return a function that sets what happens before each use of a network.

    It is given the pixels: patches (N, H, W, 3), or a picture (H, W, 3) when dense.
    """
    from napari_fastnet.plugin.detection import ready_network as network

    create = network.create_backend

    def install(act):
        def watched(run):
            return lambda pixels, *how: (act(pixels), run(pixels, *how))[-1]

        def create_watched(*arguments, **options):
            backend = create(*arguments, **options)
            for name in ("predict", "predict_densely"):
                monkeypatch.setattr(backend, name, watched(getattr(backend, name)))
            return backend

        monkeypatch.setattr(network, "create_backend", create_watched)

    return install


@pytest.fixture
def show_candidates(qtbot):
    """Return a function that gives a panel's slide a heatmap with candidates.

    They are squares of 128 µm in rows of six, numbered from left to right.
    """
    from napari_fastnet.core.geometry import Grid
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import EvidenceScale, LesionRule
    from napari_fastnet.detection.tissue import slide_facts
    from napari_fastnet.results.record import RunRecord

    # whatever that of the shipped model is
    scale = EvidenceScale(offset=0.0, beside=0.0, fewer=1.0, balanced=0.0, more=-2.0)

    def show(panel, count=30):
        work = panel.slide.work
        values = np.full((75, 100), 0.02, np.float32)
        for index in range(count):
            row, column = divmod(index, 6)
            top, left = 3 + 15 * row, 3 + 16 * column
            values[top : top + 8, left : left + 8] = 0.98
        heatmap = Heatmap(values, Grid((0.0, 0.0), (16.0, 16.0), values.shape), (1, 1))
        work.rule = LesionRule(0.5, 0.0, scale)
        work.set_heatmap(heatmap, RunRecord(slide=slide_facts(work.slide)))
        qtbot.waitUntil(lambda: len(work.review.reviewed) == count, timeout=20_000)
        return work

    return show
