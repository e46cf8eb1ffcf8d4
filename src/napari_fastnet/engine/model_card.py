"""MODEL_CARD.md: what a model is for, what it was trained on, what it got right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fastnet.io.model_description import ModelDescription

_MEASURES = ("auc", "accuracy", "recall", "precision", "f1")


def write_card(description: ModelDescription) -> str:
    """Return the card of a model as Markdown, every figure from its description.

    Parameters
    ----------
    description : ModelDescription
        With training facts and metrics.

    Returns
    -------
    str
        The card.
    """
    metrics, training = description.metrics, description.training
    um = description.patch_size_pixels * description.spacing_um_px
    calibration = description.calibration
    return f"""# {description.name} {description.version}

FastNet (Xiao et al., IEEE Internet of Things Journal 2023,
doi 10.1109/JIOT.2023.3235651) for breast cancer metastases in lymph nodes.

**Research use only. Not for diagnosis.**

## What it does

It gives a patch of {description.patch_size_pixels} x {description.patch_size_pixels}
px at {description.spacing_um_px:g} µm/px ({um:.0f} µm wide) of haematoxylin and eosin
stained lymph node the probability that there is tumour in its middle.
{metrics["parameters"]:,} parameters, {metrics["flops_256px"] / 1e6:.0f} million
floating-point operations for 256 x 256 px.

## Training

- Data: {", ".join(training["data"])}; {training["normal"]:,} normal and
  {training["tumour"]:,} tumour patches of PatchCamelyon (CC0), themselves cut from
  CAMELYON16 (CC0). The label says whether the central 32 x 32 px hold tumour.
- Command: `{training["command"]}`{_start(training)}
- Options: {_words(training["options"])}
- torch {training["torch"]}, Python {training["python"]}

## Figures

On {metrics["n"]:,} patches of {metrics["data"]}, from slides that were not trained on,
called tumour from a probability of {description.threshold:g}; 95 % bootstrap intervals.
The calibration was fitted on the same patches and the training watched on them, so
that other data may fare worse.

| measure | value | 95 % interval |
|---|---|---|
{_table(metrics)}
{_other_thresholds(metrics)}
## Calibration

probability = sigmoid({calibration["scale"]:.4f} z {calibration["offset"]:=+8.4f}), z the
difference of the two logits. It holds for as many tumour as normal patches; on a slide
nearly all patches are normal, and of those called tumour a smaller share is.

## Limits

- Trained at {description.spacing_um_px:g} µm/px on JPEG-compressed patches of lymph node
  from two centres. Other organs, stains, scanners and fixations are outside its
  experience.
- It saw no pen marks, folds, blur beyond a pixel or two, or other artefacts.
- Isolated tumour cells are smaller than what it looks at.
- It does not tell kinds of tumour apart.

## Licence

BSD-3-Clause, as the rest of napari-fastnet. Training data: CC0.
"""


def _table(metrics: dict[str, Any]) -> str:
    """Return one line of the table a measure."""
    lines = []
    for name in _MEASURES:
        value, interval = metrics[name], metrics["ci95"][name]
        if value is None or interval is None:
            lines.append(f"| {name} | undefined | |")
            continue
        low, high = interval
        lines.append(f"| {name} | {value:.4f} | {low:.4f} to {high:.4f} |")
    return "\n".join(lines)


def _other_thresholds(metrics: dict[str, Any]) -> str:
    """Return which threshold finds how much; nothing for a card of an older bundle."""
    if not metrics.get("operating_points"):
        return ""
    rows = "\n".join(
        f"| {point['threshold']:.3f} | {point['recall']:.3f} "
        f"| {point['specificity']:.3f} | {point['precision']:.3f} |"
        for point in metrics["operating_points"]
    )
    return f"""
A lower threshold finds more tumour and calls more normal tissue tumour. On the same
patches (`--threshold` on the command line, the slider in the viewer):

| threshold | recall | specificity | precision |
|---|---|---|---|
{rows}
"""


def _start(training: dict[str, Any]) -> str:
    """Return which other models the training began with and learned from."""
    digest, teachers = training["started_from"], training["teachers"]
    words = f", from the weights {digest[:12]}" if digest else ""
    if teachers:
        names = ", ".join(teacher[:12] for teacher in teachers)
        words += (
            f"; labels mixed with what the models {names} say, "
            f"{training['teachers_share']:.0%}"
        )
    if training["averaged_with"]:
        names = ", ".join(other[:12] for other in training["averaged_with"])
        words += f"; weights averaged with those of {names}"
    return words


def _words(options: dict[str, Any]) -> str:
    """Return options as text, those of the augmentation among them."""
    flat = {**options, **options.get("augmentation", {})}
    flat.pop("augmentation", None)
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in flat.items()
    )
