"""MODEL_CARD.md: the card of a trained model, its data and its figures.

It states measured figures and words of the user only, since any patches can be trained on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fastnet.model.description import ModelDescription

_MEASURES = ("auc", "accuracy", "recall", "precision", "f1")


def write_card(description: ModelDescription) -> str:
    """Write the card of a model as Markdown, every figure from its description.

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
    return f"""# {description.name} {description.version}

FastNet (Xiao et al., IEEE Internet of Things Journal 2023,
doi 10.1109/JIOT.2023.3235651), trained by a user of napari-fastnet.

**Research use only. Not for diagnosis.**

## What it does

It gives a patch of {description.patch_size_pixels} x {description.patch_size_pixels}
px at {description.spacing_um_px:g} µm/px ({um:.0f} µm wide) the probability that it is
what the labels of its training patches call tumor.
{metrics["parameters"]:,} parameters, {metrics["flops_256px"] / 1e6:.0f} million
floating-point operations for 256 x 256 px.

## Training

{_data(training)}
- Command: `{training["command"]}`{_start(training)}
- Epochs: {_epochs(training)}
- Options: {_words(training["options"])}
- torch {training["torch"]}, Python {training["python"]}

{_begun_with(training)}## Figures

On {_counted(training["valid"])},
called tumor from a probability of {description.threshold:g}; 95 % intervals,
{_drawn(metrics)}. {_apart(training)}
The calibration was fitted, and the epoch chosen, on the same patches: other data may
fare worse.

| measure | value | 95 % interval |
|---|---|---|
{_table(metrics)}
{_also(metrics)}{_other_thresholds(metrics)}
## Calibration

{_calibration(description)}

## Limits

- It has seen no other tissue, stain, scanner or µm/px than the patches it was trained
  on, and those of the model it began with.
- It tells two classes apart, and no kinds of tumor.
- How it fares on whole slides these figures do not say: `napari-fastnet evaluate slides`.

## Licence

{_licence(training)}
"""


def section_of(card: str, heading: str) -> str | None:
    """Return the text below a heading of a card, None where there is no such heading.

    Parameters
    ----------
    card : str
        Markdown.
    heading : str
        Of the second level, without its signs.

    Returns
    -------
    str or None
        Up to the next heading of the second level.
    """
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", card, re.M | re.S)
    return found[1].strip() if found else None


def _counted(facts: dict[str, Any]) -> str:
    """Describe data by name, numbers of patches and digest."""
    patches = facts["normal"] + facts["tumour"]
    words = f"{facts['normal']:,} normal and {facts['tumour']:,} tumor patches"
    if facts["distinct"] < patches:
        words += f", {facts['distinct']:,} of them distinct,"
    if facts["slides"] is not None:
        words += f" of {facts['slides']:,} slides"
    return f"{facts['name']}: {words} (SHA-256 {facts['sha256'][:12]})"


def _data(training: dict[str, Any]) -> str:
    """List the training data, and the words of the user about them."""
    lines = [f"- Data: {_counted(facts)}" for facts in training["datasets"]]
    said = training["data_description"]
    lines.append(
        f"- What the data are, by the one who trained: {said}"
        if said
        else "- What the data are was not stated (`--data-description`)."
    )
    return "\n".join(lines)


def _epochs(training: dict[str, Any]) -> str:
    """State the number of epochs, and the epoch of the weights."""
    kept, count = training["kept_epoch"], training["epochs"]
    if kept == 0:
        words = f"{count}, none better than the weights it began with, which are kept"
    else:
        words = (
            f"{count}; kept is epoch {kept}, the best by AUC on the validation patches"
        )
    if training["stopped"]:
        words += f". The training ended early: {training['stopped']}"
    return words


def _begun_with(training: dict[str, Any]) -> str:
    """Quote the card of the model that the training began with."""
    start = training["start"]
    if not start:
        return ""
    said = start["training"] or "(its card does not say)"
    quoted = "\n".join(f"> {line}".rstrip() for line in said.splitlines())
    return f"""## The model it began with

{start["name"]} {start["version"]}, for {start["spacing_um_px"]:g} µm/px. Its card says of \
its training:

{quoted}

"""


def _drawn(metrics: dict[str, Any]) -> str:
    if metrics["slides"] is not None:
        return f"of {metrics['slides']:,} slides drawn again"
    return "of patches drawn again: too narrow where several are of one slide"


def _apart(training: dict[str, Any]) -> str:
    """State whether training and validation patches are of different slides."""
    apart = training["slides_apart"]
    if apart is None:
        return (
            "None of them is among the\ntraining patches above; whether they are of other "
            "slides and patients is not known."
        )
    if apart:
        return "By their names they are of\nother slides than those trained on."
    return (
        "They are of slides that were\ntrained on as well: these figures are too good."
    )


def _also(metrics: dict[str, Any]) -> str:
    """Tabulate the other data that the model was measured on."""
    if not metrics["also"]:
        return ""
    rows = "\n".join(
        f"| {_counted(part)} | {_number(part['auc_before'])} | {_number(part['auc'])} |"
        for part in metrics["also"]
    )
    return f"""
Judged on as well, nothing was chosen by it; AUC of the model it began with, and its own:

| data | before | now |
|---|---|---|
{rows}
"""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _calibration(description: ModelDescription) -> str:
    calibration, metrics = description.calibration, description.metrics
    if calibration == {"scale": 1.0, "offset": 0.0}:
        return "None: on the validation patches the model is no better than chance."
    share = metrics["positives"] / metrics["n"]
    return f"""probability = sigmoid({calibration["scale"]:.4f} z \
{calibration["offset"]:=+8.4f}), z the
difference of the two logits. It holds where {share:.0%} of the patches are tumor, as of
those it was fitted on; on a slide nearly all patches are normal, and of those called
tumor a smaller share is."""


def _licence(training: dict[str, Any]) -> str:
    """State the licence of the training data, and quote that of the first model."""
    said = training["data_licence"]
    words = (
        f"Of the training data, by the one who trained: {said}."
        if said
        else "Of the training data it was not stated (`--data-licence`)."
    )
    start = training["start"]
    if start and start["licence"]:
        quoted = "\n".join(
            f"> {line}".rstrip() for line in start["licence"].splitlines()
        )
        words += (
            f" The card of {start['name']}, with\nwhich it began, says:\n\n{quoted}"
        )
    return words


def _table(metrics: dict[str, Any]) -> str:
    """Tabulate the measures, one a line."""
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
    """Tabulate recall, specificity and precision at other thresholds, if known."""
    if not metrics.get("operating_points"):
        return ""
    rows = "\n".join(
        f"| {point['threshold']:.3f} | {point['recall']:.3f} "
        f"| {point['specificity']:.3f} | {point['precision']:.3f} |"
        for point in metrics["operating_points"]
    )
    return f"""
A lower threshold finds more tumor and calls more normal tissue tumor. On the same
patches (`--threshold` on the command line, the slider in the viewer):

| threshold | recall | specificity | precision |
|---|---|---|---|
{rows}
"""


def _start(training: dict[str, Any]) -> str:
    """Name the models that the training began with, learned from or averaged with."""
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
    """Write options as text, those of the augmentation among them."""
    flat = {**options, **options.get("augmentation", {})}
    flat.pop("augmentation", None)
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in flat.items()
    )
