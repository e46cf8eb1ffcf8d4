"""Train the network in short, with and without each part of the recipe, and in other forms.

    python benchmarks/model/trials.py train.tar half.tar --valid valid.tar \
        --teacher lite0.onnx lite1.onnx --answers FOLDER --epochs 12 --seeds 3

Every seed draws other weights and batches; the copies and what the teachers say of them are the
same. The AUC on the validation patches after the last epoch is added to
``benchmarks/results/trials.json``; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time

import torch

from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.training.batches import Batches
from napari_fastnet.training.data import read_training_data
from napari_fastnet.training.distil import KeptAnswers, Teachers
from napari_fastnet.training.fit import Trainer
from napari_fastnet.training.options import Augmentation, FitOptions
from symmetric import GROUPS, WideFastNet, keep_symmetric

RESULTS = Path(__file__).parents[1] / "results" / "trials.json"
RECIPE = FitOptions(
    optimizer="muon",
    learning_rate=0.01,
    loss="cross-entropy",
    copies=8,
    teachers_share=0.95,
    foreign_stains=0.8,
    augmentation=Augmentation().scaled(0.7),
    precision="bfloat16",
)
PLAIN = FastNetConfig(pool_cells=3)
#: What is left out or done otherwise.
TRIALS: dict[str, FitOptions] = {
    "all of the recipe": RECIPE,
    "labels of 0 and 1": replace(RECIPE, teachers_share=0.0),
    "labels of 0 and 1, attention loss": replace(
        RECIPE, teachers_share=0.0, loss="attention"
    ),
    "no foreign stains": replace(RECIPE, foreign_stains=0.0),
    "half in foreign stains": replace(RECIPE, foreign_stains=0.5),
    "all in foreign stains": replace(RECIPE, foreign_stains=1.0),
    "two copies": replace(RECIPE, copies=2),
    "no mosaics": replace(RECIPE, mosaic_share=0.0),
    "weights of the last step": replace(RECIPE, average_decay=0.0),
    "float32": replace(RECIPE, precision="float32"),
    "AdamW for all, rate 0.01": replace(RECIPE, optimizer="adamw"),
    "AdamW for all, rate 0.003": replace(
        RECIPE, optimizer="adamw", learning_rate=0.003
    ),
}
#: Other networks; a group of `symmetric.py` at the end is that of their symmetry.
NETWORKS = ("whole map pooled", *GROUPS, "wide", "wide d4")


def build(name: str) -> FastNet:
    """Build the network of a trial."""
    if name.startswith("wide"):
        return WideFastNet(PLAIN)
    return FastNet(FastNetConfig() if name == "whole map pooled" else PLAIN)


def milliseconds(network: torch.nn.Module) -> float:
    """Measure the time of a patch of 96 px on one core, with batches of 64."""
    patches = torch.rand(64, 3, 96, 96).to(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(5):
            began = process_time()
            network(patches)
            times.append(process_time() - began)
    return 1000 * min(times) / len(patches)


def main() -> None:
    """Train what is missing, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--teacher", nargs="+", required=True)
    parser.add_argument("--answers", type=Path, required=True, help="kept there")
    parser.add_argument("--only", nargs="+", default=[*TRIALS, *NETWORKS])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = read_training_data(given.data, given.valid)
    answers = KeptAnswers(Teachers(given.teacher, given.threads), given.answers)
    made: tuple[object, Batches] | None = None
    for name in given.only:
        for seed in range(given.seeds):
            known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            of = known.setdefault(name, {"auc": {}})
            if f"{seed}" in of["auc"]:
                continue
            options = TRIALS.get(name, RECIPE)
            trainer = Trainer(
                partial(build, name),
                data.train.patches,
                data.valid.patches,
                replace(options, epochs=given.epochs, seed=seed),
                teachers=answers,
            )
            # copies of all patches take gigabytes, and longer to make than an epoch
            batches = Batches(data.train.patches, replace(options, seed=0), answers)
            kind = options.copies, options.teachers_share
            if made is None or made[0] != kind:
                made = kind, batches
            batches._copies = made[1]._copies  # noqa: SLF001
            trainer.batches = batches
            if (group := name.split()[-1]) in GROUPS:
                keep_symmetric(trainer, group)
            last = list(trainer.run())[-1]
            plain = trainer.averaged
            of["auc"][f"{seed}"] = round(last.auc or 0, 4)
            of["mosaic_auc"] = {
                **of.get("mosaic_auc", {}),
                f"{seed}": round(last.mosaic_auc or 0, 4),
            }
            of["parameters"] = parameter_count(trainer.averaged)
            of["mflops"] = round(flop_count(plain) / 1e6)
            of["milliseconds"] = round(milliseconds(plain), 2)
            print(name, seed, of, flush=True)
            RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
