"""Which model the panel uses: a shipped one, or the folder of a bundle; and its card."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import ComboBox, PushButton
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error, show_warning

from napari_fastnet.errors import BundleError, FastNetError
from napari_fastnet.model.bundle import available, load_bundle
from napari_fastnet.model.options import DEFAULT_MODEL
from napari_fastnet.plugin.widgets.dialogs import CardDialog
from napari_fastnet.plugin.widgets.section import chosen_path, folder_field, row

FROM_FOLDER = "from a folder"


class ModelChoice:
    """The widgets that choose a model.

    Parameters
    ----------
    named : str or None
        What the settings say: a shipped model or a folder.

    Attributes
    ----------
    model, folder, card : ComboBox, FileEdit, PushButton
        ``folder`` shows where the model is to come from one; ``card`` opens the model
        card beside the window.
    dialog : CardDialog or None
        Once it was opened.
    """

    def __init__(self, named: str | None) -> None:
        self.model = ComboBox(
            choices=[*available(), FROM_FOLDER],
            tooltip="The network that judges patches",
        )
        self.card = PushButton(
            text="card",
            tooltip="What the model is for, what it was trained on, what it gets right",
        )
        self.card.max_width = 48
        self.folder = folder_field("Folder of a model, with model.json in it")
        self._folder_row = row(self.folder, label="folder")
        self.dialog: CardDialog | None = None
        self.rows: list[Widget] = [
            row(self.model, self.card, label="model"),
            self._folder_row,
        ]
        self.model.value = DEFAULT_MODEL
        if named is not None:
            self._take_preferred(named)
        self.model.changed.connect(self.show)
        self.folder.changed.connect(self._take_folder)
        self.card.changed.connect(self.show_card)

    def _take_preferred(self, named: str) -> None:
        """Choose the model of the preferences, if it can be used by now."""
        if named in self.model.choices:
            self.model.value = named
            return
        folder = Path(named).expanduser()
        try:
            load_bundle(folder)
        except FastNetError as error:  # it would block every detection
            show_warning(
                f"{DEFAULT_MODEL} is chosen, not the model of the preferences: {error}. "
                "Choose another in Preferences > Plugins > FastNet > Detection"
            )
            return
        self.folder.value = folder
        self.model.value = FROM_FOLDER

    @property
    def value(self) -> str | Path:
        """A model's name, or a folder.

        Raises
        ------
        BundleError
            A folder is asked for and none is chosen.
        """
        if self.model.value != FROM_FOLDER:
            return str(self.model.value)
        folder = chosen_path(self.folder)
        if folder is None:  # no other model in its place: nobody would notice
            raise BundleError(
                "no folder of a model is chosen; choose one in the Detect section, or a "
                "model from its list"
            )
        return folder

    def show(self) -> None:
        """Show the field for a folder where one is asked for."""
        self._folder_row.visible = self.model.value == FROM_FOLDER

    def show_card(self) -> None:
        """Open the chosen model's card; the other windows stay usable."""
        try:
            title, card = read_card(self.value)
        except FastNetError as error:
            show_error(str(error))
            return
        if self.dialog is None:
            self.dialog = CardDialog(self.card.native)
        self.dialog.show_card(title, card)

    def _take_folder(self) -> None:
        self.model.value = FROM_FOLDER


def read_card(model: str | Path) -> tuple[str, str]:
    """Return title and text of a model's card.

    Parameters
    ----------
    model : str or Path
        A shipped model's name or a bundle's folder.

    Returns
    -------
    tuple of str
        Name and version, and Markdown.

    Raises
    ------
    BundleError
        The model is damaged, or has no card.
    """
    bundle = load_bundle(model)
    return f"{bundle.name} {bundle.version}", bundle.card()
