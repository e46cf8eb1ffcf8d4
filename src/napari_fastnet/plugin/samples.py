"""Sample slides: a synthetic one, and a real one that is downloaded on request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from napari.utils.notifications import show_error

import napari_fastnet
from napari_fastnet.errors import FastNetError, OutputError, SlideNotFoundError
from napari_fastnet.machine.files import private_folder, reason
from napari_fastnet.plugin.layers.data import LayerData, slide_layer_data
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.threads.waiting import call_in_background
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from requests import Response

SYNTHETIC = "synthetic-slide.svs"
#: (height, width), px, of the samples that show one thing each.
SMALL = (4096, 5120)
#: Optical density of a stain that the shipped model does not know.
PALE = 0.35
SMALL_REGION = "CMU-1-Small-Region.svs"
SMALL_REGION_URL = (
    f"https://openslide.cs.cmu.edu/download/openslide-testdata/Aperio/{SMALL_REGION}"
)
SMALL_REGION_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
TIMEOUT_SECONDS = 30
LARGEST_BYTES = 2**24


def samples_folder() -> Path:
    """Return the cache's folder of sample slides, which need not exist."""
    return read_settings().cache_folder / "samples"


def told(
    open_sample: Callable[[], list[LayerData]],
) -> Callable[[], list[LayerData]]:
    """Turn faults into messages if a menu opened the sample.

    napari would show a traceback. A script gets the exception.
    """

    @wraps(open_sample)
    def opened() -> list[LayerData]:
        try:
            return open_sample()
        except (FastNetError, OSError) as error:
            if not _window_is_live():
                raise
            show_error(
                f"{error}. Samples are kept in the cache folder; see Preferences > Plugins "
                "> FastNet > Storage"
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
    """Return a synthetic slide with metastases at known places.

    Drawn the first time, which takes some seconds (the window stays responsive), and kept
    in the cache folder. Each version of this package draws its own.

    Returns
    -------
    list of tuple
        The slide's layer.

    Raises
    ------
    OutputError
        The cache folder cannot be written.
    """
    return [_drawn(SYNTHETIC)]


@told
def two_sections() -> list[LayerData]:
    """Return two sections of one synthetic node on one slide; see `synthetic_slide`.

    Their lesions are not added up; Nodes... says that they are one node.
    """
    return [_drawn("two-sections.svs", shape=SMALL, seed=1, sections=2)]


@told
def pale_stain() -> list[LayerData]:
    """Return a synthetic slide so pale that the network has to be taught.

    See `synthetic_slide`.
    """
    return [_drawn("pale-stain.svs", shape=SMALL, seed=1, density=PALE)]


@told
def case_of_three() -> list[LayerData]:
    """Return three synthetic slides of one case, the last without tumor.

    See `synthetic_slide`.
    """
    return [
        _drawn(f"case-{seed}.svs", shape=SMALL, seed=seed, lesions=seed < 3)
        for seed in (1, 2, 3)
    ]


def _drawn(name: str, **options: Any) -> LayerData:
    """Return the layer of a synthetic slide, which is drawn unless it was before."""
    path = samples_folder() / napari_fastnet.__version__ / name
    if not path.is_file():
        private_folder(read_settings().cache_folder)
        call_in_background(partial(write_slide, path, **options), "Drawing a slide")
    return slide_layer_data(open_slide(path))


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
        There is no connection, or the downloaded file is another one.
    OutputError
        The cache folder cannot be written.
    """
    path = samples_folder() / SMALL_REGION
    private_folder(read_settings().cache_folder)
    call_in_background(partial(_fetch, path), "Downloading a slide")
    return [slide_layer_data(open_slide(path))]


def _fetch(path: Path) -> None:
    """Download the slide, unless the file is there and whole.

    pooch writes it aside and renames it once its SHA-256 is right.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")  # else it writes to stderr where files go
    remedy = (
        f"try again with a connection, put the file at {path}, or open the synthetic "
        "slide, which needs none"
    )
    try:
        pooch.retrieve(
            SMALL_REGION_URL,
            f"sha256:{SMALL_REGION_SHA256}",
            path.name,
            path.parent,
            downloader=pooch.HTTPDownloader(
                progressbar=_Limit(),
                timeout=TIMEOUT_SECONDS,
                hooks={"response": _refuse_plain_redirect},
            ),
        )
    except RequestException as error:
        cause = getattr(next(iter(error.args), None), "reason", error)
        raise SlideNotFoundError(
            f"{SMALL_REGION} could not be downloaded ({cause}); {remedy}"
        ) from error
    except ValueError as error:
        raise SlideNotFoundError(
            f"{SMALL_REGION}: another file came (its SHA-256 differs); {remedy}"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error


def _refuse_plain_redirect(response: Response, **_: Any) -> None:
    """Refuse a redirect to an address that is not https.

    requests follows it: the SHA-256 is still checked, but everybody on the way would
    see the download and could hold it up.
    """
    from requests import RequestException

    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.is_redirect and not target.lower().startswith("https://"):
        response.close()
        raise RequestException(
            f"it was redirected to {target[:200]!r}, which is not https"
        )


class _Limit:
    """A progress bar of pooch's that ends a download of more than `LARGEST_BYTES`."""

    total = seen = 0

    def update(self, count: int) -> None:
        """Count bytes that came."""
        from requests import RequestException

        self.seen += count
        if self.seen > LARGEST_BYTES:
            raise RequestException(f"more than {LARGEST_BYTES:,} bytes came")

    def reset(self) -> None:
        """Count from zero."""
        self.seen = 0

    def close(self) -> None:
        """Do nothing."""
