"""Where the models lie that a user has added."""

from __future__ import annotations

import os
from pathlib import Path

#: Names another folder than the user's own, for example one that a group shares.
VARIABLE = "NAPARI_FASTNET_MODELS"


def models_folder() -> Path:
    """Return the folder of added models; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-fastnet", appauthor=False) / "models"


def added_names() -> list[str]:
    """Return the names of the models that were added, sorted."""
    try:
        folders = list(models_folder().iterdir())
    except OSError:  # there is none, or it is not for this user
        return []
    return sorted(
        folder.name
        for folder in folders
        if not folder.name.startswith(".") and (folder / "model.json").is_file()
    )
