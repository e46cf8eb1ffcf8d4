"""Distillation: probabilities of trained networks as labels for a smaller one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import expit

from napari_fastnet.core.metrics.calibration import logit_of
from napari_fastnet.errors import BundleError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.model.backends.create import create_backend, network_on_cpu
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_fastnet.model.backends.backend import Backend


class KeptAnswers:
    """A teacher whose answers are kept in a folder, for a training that goes on later.

    Parameters
    ----------
    teacher : Teachers
        Asked for what it was not asked before.
    folder : Path
        Of a file for each batch, named by teacher and pictures.
    """

    def __init__(self, teacher: Teachers, folder: Path) -> None:
        self._teacher, self._folder = teacher, folder
        self.digests = teacher.digests

    def __call__(self, images: Tensor) -> Tensor:
        """Return the (N,) probabilities of (N, H, W, 3) float patches in 0..1."""
        asked = hashlib.sha256(repr(self._teacher.files).encode())
        asked.update(images.numpy().tobytes())
        path = self._folder / f"{asked.hexdigest()[:32]}.f32"
        if path.is_file():
            known = np.fromfile(path, np.float32)
            if len(known) == len(images):
                return torch.from_numpy(known)
        answers = self._teacher(images)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, answers.numpy().astype(np.float32).tobytes())
        return answers


class Teachers:
    """Trained networks that see the same augmented patches as their pupil.

    A patch's label is the same however it was augmented; a teacher's probability is that
    of what can still be seen, and holds more to learn from than a plain 0 or 1.

    Parameters
    ----------
    names : sequence of str
        Shipped models, bundles' folders, or files ``*.onnx`` of any network with the
        input and output of a bundle's model.onnx. At least one.
    threads : int, optional
        Threads on the CPU; all physical cores by default.

    Raises
    ------
    BundleError
        There is no such model.
    DetectionError
        A network cannot be loaded.
    """

    def __init__(self, names: Sequence[str], threads: int | None = None) -> None:
        self._networks: list[Backend] = []
        #: Name and µm/px of those that state it.
        self.spacings: list[tuple[str, float]] = []
        digests: list[str] = []
        files: list[object] = []
        for name in names:
            path = Path(name)
            if path.suffix.lower() != ".onnx":
                bundle = load_bundle(name)
                choice = NetworkChoice(threads=threads)
                self._networks.append(create_backend(bundle, choice))
                self.spacings.append((name, bundle.spacing_um_px))
                digests.append(bundle.sha256)
                files.append((bundle.files, bundle.calibration, bundle.flips))
            elif path.is_file():
                self._networks.append(network_on_cpu(path, path.name, threads=threads))
                digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
                files.append(digests[-1])
            else:
                raise BundleError(f"{path}: no such file; give the teacher's .onnx")
        #: SHA-256 of the weights of each, hexadecimal.
        self.digests = tuple(digests)
        #: Everything that their answers depend on.
        self.files: tuple[object, ...] = tuple(files)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the (N,) float32 mean of the teachers' probabilities, in log odds.

        ``images`` are (N, H, W, 3) float in 0..1, at the teachers' µm/px.
        """
        patches = (images * 255).round().to(torch.uint8).cpu().numpy()
        logits = [logit_of(network.predict(patches)) for network in self._networks]
        mean = np.mean(logits, axis=0)
        return torch.from_numpy(expit(mean).astype(np.float32))
