"""The choice of a model: a shipped one, or the folder of a bundle; and its card."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import ComboBox
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error, show_warning

from napari_fastnet.errors import BundleError, FastNetError
from napari_fastnet.model.bundle import available, load_bundle
from napari_fastnet.model.options import DEFAULT_MODEL
from napari_fastnet.plugin.widgets.dialogs import CardDialog
from napari_fastnet.plugin.widgets.section import button, chosen_path, folder_field, row

FROM_FOLDER = "from a folder"


class ModelChoice:
    """The widgets that choose a model.

    Parameters
    ----------
    named : str or None
        The model of the settings: a shipped one or a folder.

    Attributes
    ----------
    model, folder, card : ComboBox, FileEdit, PushButton
        ``folder`` is visible if the model comes from a folder; ``card`` opens the model
        card in a window of its own.
    dialog : CardDialog or None
        The card's window, once opened.
    """

    def __init__(self, named: str | None) -> None:
        self.model = ComboBox(
            # a function: napari asks again whenever a layer comes or goes
            choices=lambda _: [*available(), FROM_FOLDER],
            tooltip="Network that classifies patches",
        )
        self.card = button(
            "card",
            "Show the model card: intended use, training data, performance",
            max_width=48,
        )
        self.folder = folder_field("Folder of a model bundle, with model.json in it")
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
        """Choose the model of the preferences, if it is usable."""
        if named in self.model.choices:
            self.model.value = named
            return
        folder = Path(named).expanduser()
        try:
            load_bundle(folder)
        except FastNetError as error:  # else every detection would fail
            show_warning(
                f"using {DEFAULT_MODEL} instead of the model of the preferences: {error}. "
                "Choose another in Preferences > Plugins > FastNet > Detection"
            )
            return
        self.folder.value = folder
        self.model.value = FROM_FOLDER

    @property
    def value(self) -> str | Path:
        """The name of a shipped model, or the folder of a bundle.

        Raises
        ------
        BundleError
            The model comes from a folder, and none is chosen.
        """
        if self.model.value != FROM_FOLDER:
            return str(self.model.value)
        folder = chosen_path(self.folder)
        if folder is None:  # another model in its place could go unnoticed
            raise BundleError(
                "no model folder is chosen; choose one in the Detect section, or a model "
                "from its list"
            )
        return folder

    def choose(self, name: str) -> None:
        """Choose a model by its name, also one that was added since."""
        self.model.reset_choices()
        self.model.value = name

    def show(self) -> None:
        """Show the folder field if the model comes from a folder, else hide it."""
        self._folder_row.visible = self.model.value == FROM_FOLDER

    def show_card(self) -> None:
        """Open the chosen model's card in a window of its own."""
        try:
            bundle = load_bundle(self.value)
            card = bundle.card()
        except FastNetError as error:
            show_error(str(error))
            return
        if self.dialog is None:
            self.dialog = CardDialog(self.card.native)
        self.dialog.show_card(f"{bundle.name} {bundle.version}", card)

    def _take_folder(self) -> None:
        self.model.value = FROM_FOLDER
