"""``napari-fastnet models``: the models that come with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fastnet.cli.options import AsJson
from napari_fastnet.cli.output import print_columns, print_json

if TYPE_CHECKING:
    from napari_fastnet.io.bundle import ModelBundle


def models(as_json: AsJson = False) -> None:
    """List the models that come with the package."""
    from napari_fastnet.io.bundle import load_bundle, shipped

    facts = [describe(load_bundle(name)) for name in shipped()]
    if as_json:
        print_json(facts)
        return
    header = ("name", "version", "µm/px", "patch px", "threshold", "AUC", "folder")
    print_columns([header, *(_row(model) for model in facts)])


def describe(bundle: ModelBundle) -> dict[str, Any]:
    """Return what ``models --json`` prints of one bundle, plain data."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "spacing_um_px": bundle.spacing_um_px,
        "patch_size_pixels": bundle.patch_size_pixels,
        "class_names": list(bundle.class_names),
        "threshold": bundle.threshold,
        "metrics": bundle.metrics,
        "sha256": bundle.sha256,
        "folder": str(bundle.folder),
    }


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    auc = model["metrics"].get("auc")
    return (
        model["name"],
        model["version"],
        f"{model['spacing_um_px']:g}",
        f"{model['patch_size_pixels']}",
        f"{model['threshold']:.3g}",
        "-" if auc is None else f"{auc:.4f}",
        model["folder"],
    )
