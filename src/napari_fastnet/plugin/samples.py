"""Sample slides: one drawn on this computer, one real and downloaded when asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path

from napari.utils.notifications import show_error

import napari_fastnet
from napari_fastnet.errors import FastNetError, SlideNotFoundError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.plugin.layers.data import LayerData, slide_layer_data
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.threads.waiting import call_in_background
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.cache import private_folder
from napari_fastnet.synthetic.slide import write_slide

SYNTHETIC = "synthetic-slide.svs"
SMALL_REGION = "CMU-1-Small-Region.svs"
SMALL_REGION_URL = (
    f"https://openslide.cs.cmu.edu/download/openslide-testdata/Aperio/{SMALL_REGION}"
)
SMALL_REGION_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
TIMEOUT_SECONDS = 30
LARGEST_BYTES = 2**24


def samples_folder() -> Path:
    """Return the cache's folder of sample slides; it need not exist."""
    return read_settings().cache_folder / "samples"


def told(
    open_sample: Callable[[], list[LayerData]],
) -> Callable[[], list[LayerData]]:
    """Tell of a fault where a menu asked, as napari shows a traceback for what is raised.

    To a script, which could not go on, it is raised.
    """

    @wraps(open_sample)
    def opened() -> list[LayerData]:
        try:
            return open_sample()
        except (FastNetError, OSError) as error:
            if not _window_is_live():
                raise
            show_error(
                f"{error}. Samples lie in the cache folder, which Preferences > Plugins "
                "> FastNet > Storage names"
            )
            return []

    return opened


def _window_is_live() -> bool:
    """Return whether the call comes out of a window's event loop."""
    from qtpy.QtCore import QCoreApplication, QThread

    if QCoreApplication.instance() is None:
        return False
    thread = QThread.currentThread()
    return thread is not None and thread.loopLevel() > 0


@told
def synthetic_slide() -> list[LayerData]:
    """Return a drawn slide with metastases whose place is known.

    Drawn the first time, which takes some seconds in which the window stays responsive,
    and kept in the cache folder; a new version of this package draws its own.

    Returns
    -------
    list of tuple
        The slide's layer.

    Raises
    ------
    OutputError
        The cache folder cannot be written; told where a menu asked.
    """
    path = samples_folder() / napari_fastnet.__version__ / SYNTHETIC
    if not path.is_file():
        private_folder(read_settings().cache_folder)
        call_in_background(partial(write_slide, path), "Drawing a slide")
    return [slide_layer_data(open_slide(path))]


@told
def small_region() -> list[LayerData]:
    """Return a small real slide of OpenSlide's test data: skin, CC0.

    Downloaded the first time (1.9 MB) and kept in the cache folder.

    Returns
    -------
    list of tuple
        The slide's layer.

    Raises
    ------
    SlideNotFoundError
        There is no connection, or what came is another file.
    OutputError
        The cache folder cannot be written.
    """
    path = samples_folder() / SMALL_REGION
    if not (path.is_file() and _is_small_region(path.read_bytes())):
        content = call_in_background(partial(_download, path), "Downloading a slide")
        private_folder(read_settings().cache_folder)
        write_bytes(path, content)
    return [slide_layer_data(open_slide(path))]


def _is_small_region(content: bytes) -> bool:
    return sha256(content).hexdigest() == SMALL_REGION_SHA256


def _download(path: Path) -> bytes:
    """Return the slide's bytes, checked."""
    from urllib.request import build_opener

    from napari_fastnet.plugin.https_only import HttpsOnly

    mend = (
        f"try again with a connection, put the file at {path}, or open the synthetic "
        "slide, which needs none"
    )
    try:
        opener = build_opener(HttpsOnly)
        with opener.open(SMALL_REGION_URL, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read(LARGEST_BYTES)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise SlideNotFoundError(
            f"{SMALL_REGION} could not be downloaded ({reason}); {mend}"
        ) from error
    if not _is_small_region(content):
        raise SlideNotFoundError(
            f"{SMALL_REGION}: {len(content):,} bytes came and they are not that file "
            f"(SHA-256 differs); {mend}"
        )
    return content
