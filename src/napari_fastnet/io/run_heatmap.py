"""The heatmap of a finished run: its file, or its store where that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import StoreError
from napari_fastnet.io.file_names import HEATMAP, STORE
from napari_fastnet.io.results import read_heatmap_ome_tiff
from napari_fastnet.io.store import read_store

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.io.store import RunStore


def read_run_heatmap(folder: Path, record: dict[str, Any]) -> Heatmap | None:
    """Read the heatmap of a finished run.

    Parameters
    ----------
    folder : Path
        Of its results.
    record : dict
        Its record.

    Returns
    -------
    Heatmap or None
        Of ``heatmap.ome.tif``, or of ``run.zarr`` where that is missing; None where
        there is neither, since only tissue was computed.

    Raises
    ------
    StoreError
        It is damaged, or the store holds patches of other masks besides, which are no
        part of the result.
    """
    if (folder / HEATMAP).is_file():
        return read_heatmap_ome_tiff(folder / HEATMAP)[0]
    if not (folder / STORE).is_dir():
        return None
    store, _ = read_store(folder / STORE)
    if store.notes:
        raise StoreError(" ".join(store.notes))
    return heatmap_of_store(store, record)


def heatmap_of_store(store: RunStore, record: dict[str, Any]) -> Heatmap:
    """Return the heatmap of a finished run out of its store.

    Parameters
    ----------
    store : RunStore
        Of the run.
    record : dict
        The run's; with it, the store must hold what the run did and no more.

    Returns
    -------
    Heatmap
        What is known.

    Raises
    ------
    StoreError
        It holds patches of other masks besides, which are no part of the result.
    """
    heatmap = store.heatmap()
    known = int(heatmap.computed.sum())
    told = (record.get("counts") or {}).get("computed", known)
    if known > told:
        raise StoreError(
            f"{store.folder}: holds {known:,} patches where the run has {told:,}, since it "
            f"keeps those of other masks too, and {HEATMAP} beside it is missing; run "
            "detect again, which writes it"
        )
    return heatmap
