"""Public functions that put several rooms together, or name one plainly.

The others are public as they stand in their rooms, see ``__init__.pyi``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.detection.options import RunOptions as Options
from napari_fastnet.errors import BundleError, OptionError
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.model.options import DEFAULT_MODEL, NetworkChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_fastnet.evaluation.patches import Evaluation
    from napari_fastnet.evaluation.summary import SlideEvaluation
    from napari_fastnet.training.fit import EpochResult
    from napari_fastnet.training.options import FitOptions

__all__ = ["Options", "evaluate", "load_model", "models", "sample", "train"]


def load_model(name_or_folder: str | Path) -> ModelBundle:
    """Read a model's description, after checking the SHA-256 of its files.

    Parameters
    ----------
    name_or_folder : str or Path
        A name that `models` lists, or the folder of a model bundle. To use a folder that
        has the name of a model, write ``./name``.

    Returns
    -------
    ModelBundle
        The description; a notebook shows the model card.

    Raises
    ------
    BundleError
        There is no such model, a file of it is missing or changed, or it is a pickle.
    """
    return load_bundle(name_or_folder)


def models() -> list[dict[str, Any]]:
    """List the models that can be chosen by name.

    Returns
    -------
    list of dict
        ``name``, ``version``, ``mpp`` (µm/px that the model sees), ``patch`` (side in px)
        and ``threshold`` of each, shipped models first. A damaged model has ``name`` and
        ``fault`` only.
    """
    from napari_fastnet.model.bundle import available

    rows: list[dict[str, Any]] = []
    for name in available():
        try:
            bundle = load_bundle(name)
        except BundleError as error:
            rows.append({"name": name, "fault": str(error)})
            continue
        rows.append(
            {
                "name": name,
                "version": bundle.version,
                "mpp": bundle.spacing_um_px,
                "patch": bundle.patch_size_pixels,
                "threshold": bundle.threshold,
            }
        )
    return rows


def sample(
    path: str | Path | None = None, *, seed: int = 0, tumor: bool = True
) -> Path:
    """Draw a slide to try things on: lymph nodes in H&E, nobody's tissue.

    Parameters
    ----------
    path : str or Path, optional
        The SVS file to write. By default the slide is drawn once, in some seconds, and
        kept in the user's cache folder.
    seed : int, optional
        Another number draws another slide.
    tumor : bool, optional
        Whether there are metastases.

    Returns
    -------
    Path
        The slide's file, for `detect` and `open_slide`.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    import napari_fastnet
    from napari_fastnet.machine.files import default_cache_folder, private_folder
    from napari_fastnet.synthetic.slide import write_slide

    if path is None:
        cache = private_folder(default_cache_folder())
        kind = ("" if tumor else "-normal") + (f"-{seed}" if seed else "")
        name = f"synthetic-slide{kind}.svs"
        kept = cache / "samples" / napari_fastnet.__version__ / name
        if not kept.is_file():
            write_slide(kept, seed=seed, lesions=tumor)
        return kept
    write_slide(Path(path), seed=seed, lesions=tumor)
    return Path(path)


def evaluate(  # noqa: PLR0913  # plain keywords: what scripts ask for most
    data: str | Path | Iterable[str | Path],
    truth: str | Path | Iterable[str | Path] | None = None,
    *,
    model: str | Path | ModelBundle = DEFAULT_MODEL,
    mpp: float | None = None,
    threshold: float | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    device: str | None = None,
) -> Evaluation | SlideEvaluation:
    """Measure a model where the truth is known.

    Without ``truth`` the data are labelled patches: accuracy, recall, precision, F1 and
    ROC AUC of the model. With it they are runs that `detect` or `detect_many` left: FROC
    as in CAMELYON16, slide AUC, Dice and IoU.

    Parameters
    ----------
    data : str, Path or iterable of them
        A tar, zip or folder with images in 0/ (normal) and 1/ (tumor), or what ``patches``
        wrote. With ``truth``: folders of results, or of many of them.
    truth : str, Path or iterable of them, optional
        A folder of outlines or of mask TIFFs, or CAMELYON16's ``reference.csv``.
    model : str, Path or ModelBundle, optional
        The model to run on patches; runs have theirs.
    mpp : float, optional
        µm/px of the patches; by default as ``patches`` wrote.
    threshold : float, optional
        Probability from which is tumor; that of the model or of the run by default.
    bootstrap, seed : int, optional
        Resamples for the 95 % intervals, and their seed.
    device : str, optional
        As for `detect`.

    Returns
    -------
    Evaluation or SlideEvaluation
        ``to_dict()`` gives all numbers.

    Raises
    ------
    FastNetError
        Data, truth or model are at fault.
    """
    if truth is None:
        from napari_fastnet.evaluation.options import EvaluationOptions
        from napari_fastnet.evaluation.patches import evaluate_patches
        from napari_fastnet.model.backends.create import create_backend

        if not isinstance(data, str | Path):
            raise OptionError("patches come as one tar, zip or folder; give its path")
        bundle = model if isinstance(model, ModelBundle) else load_bundle(model)
        options = EvaluationOptions(
            mpp=mpp, threshold=threshold, bootstrap=bootstrap, seed=seed
        )
        network = create_backend(bundle, NetworkChoice(bundle.folder, device=device))
        return evaluate_patches(
            Path(data), bundle=bundle, backend=network, options=options
        )
    from napari_fastnet.annotations.truth_files import find_truths
    from napari_fastnet.evaluation.options import SlideEvaluationOptions
    from napari_fastnet.evaluation.slides import evaluate_slides
    from napari_fastnet.evaluation.sources import find_sources
    from napari_fastnet.evaluation.summary import summarise_slides

    of_slides = SlideEvaluationOptions(
        mpp=mpp, threshold=threshold, bootstrap=bootstrap, seed=seed
    )
    truths, sources = find_truths(_paths(truth)), find_sources(_paths(data))
    slides = evaluate_slides(sources, truths, of_slides)
    return summarise_slides(slides, truths, of_slides)


def train(  # noqa: PLR0913  # plain keywords: what scripts ask for most
    data: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    valid: str | Path | None = None,
    mpp: float | None = None,
    name: str = "fastnet",
    start_from: str | Path | ModelBundle | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    options: FitOptions | None = None,
    progress: Callable[[EpochResult], object] | None = None,
) -> ModelBundle:
    """Train FastNet on labelled patches and write a model bundle.

    A training that was interrupted goes on after its last whole epoch. Each reason to doubt
    the data or the model is a warning.

    Parameters
    ----------
    data : str, Path or iterable of them
        Tars, zips or folders with images in 0/ (normal) and 1/ (tumor), or what
        ``patches`` wrote.
    output : str or Path
        Folder of the bundle; ``<output>-training`` beside it holds history and state.
    valid : str or Path, optional
        Patches of other slides, to watch and calibrate on; by default the part for
        validation of what ``patches`` wrote.
    mpp : float, optional
        µm/px of the patches; by default as ``patches`` wrote.
    name : str, optional
        Name of the model.
    start_from : str, Path or ModelBundle, optional
        Begin with this model's weights instead of drawn ones.
    epochs, seed : int, optional
        Passes over the data, and the seed of all draws; they take precedence over
        ``options``.
    device : str, optional
        "cpu", "cuda" or "mps"; the fastest here by default.
    options : FitOptions, optional
        The recipe; see `napari_fastnet.training.options`.
    progress : callable, optional
        Called with the figures of each epoch.

    Returns
    -------
    ModelBundle
        The model; `detect` takes it, and `load_model` reads it from ``output``.

    Raises
    ------
    FastNetError
        The data, an option or the output folder is at fault.
    """
    from dataclasses import replace

    from napari_fastnet.model.backends.torch import fastest_device
    from napari_fastnet.training.data import stated_by_stores
    from napari_fastnet.training.options import FitOptions, PublishOptions
    from napari_fastnet.training.run import train_model
    from napari_fastnet.training.train import TrainingJob

    paths = _paths(data)
    given = None if valid is None else Path(valid)
    watched, spacing = stated_by_stores(paths, given, (), mpp)
    fit = options or FitOptions()
    if epochs is not None:
        fit = replace(fit, epochs=epochs)
    if seed is not None:
        fit = replace(fit, seed=seed)
    start = start_from
    if start is not None and not isinstance(start, ModelBundle):
        start = load_bundle(start)
    job = TrainingJob(
        data=paths,
        valid=watched,
        folder=Path(output),
        spacing_um_px=spacing,
        fit=fit,
        model=PublishOptions(name=name),
        device=device or fastest_device(),
        start_from=start,
    )
    return train_model(
        job,
        command="napari_fastnet.train",
        progress=progress or (lambda result: None),
        warn=lambda sentence: warnings.warn(sentence, stacklevel=4),
    )


def _paths(places: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """Return one place or several as paths."""
    if isinstance(places, str | Path):
        return (Path(places),)
    return tuple(map(Path, places))
