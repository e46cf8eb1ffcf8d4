"""What goes wrong while a window is used: tracebacks of every kind, messages of Qt."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections import Counter
from typing import Any

#: Of Qt's warnings those that tell of a misuse by a program.
MISUSE = ("QObject::", "QThread", "QPainter", "QTimer", "QBasicTimer", "QWidget::")

#: Faults of napari alone that were looked into: no line of this package is involved, and
#: nothing is wrong afterwards. What stands in the traceback, and where it is known.
OF_NAPARI = {
    "in _draw\n    and self.data[tuple(np.round(c).astype(int))] == 0": "painting beside "
    "a Labels layer in the 3D view, https://github.com/napari/napari/issues/7325",
    "in _world_to_displayed_data_normal": "key O, which turns a plane, on a picture "
    "without depth in the 3D view",
}


class Watch:
    """Collects faults, and what the user was told.

    Attributes
    ----------
    faults : list of dict
        Kind, text, and the last acts before each.
    told : Counter
        Messages that napari showed, which are no faults.
    of_napari : Counter
        Faults of napari alone, each known.
    acts : list of str
        What was done, to be written by whoever does it.
    """

    def __init__(self) -> None:
        self.faults: list[dict[str, Any]] = []
        self.told: Counter[str] = Counter()
        self.of_napari: Counter[str] = Counter()
        self.acts: list[str] = []
        self._seen: set[tuple[str, str]] = set()

    def note(self, kind: str, text: str) -> None:
        """Take note of a fault; the same one only once."""
        for trace, known in OF_NAPARI.items():
            if trace in text and "napari_fastnet" not in text:
                self.of_napari[known] += 1
                return
        short = (kind, text.strip().splitlines()[-1] if text.strip() else "")
        if short in self._seen:
            return
        self._seen.add(short)
        self.faults.append({"kind": kind, "text": text, "acts": self.acts[-12:]})
        sys.stderr.write(f"FAULT {kind}: {text}\n")
        sys.stderr.flush()

    def install(self) -> None:
        """Listen to everything that tells of a fault."""
        from napari.utils.notifications import notification_manager
        from qtpy.QtCore import qInstallMessageHandler

        sys.excepthook = self._raised
        threading.excepthook = lambda a: self._raised(
            a.exc_type, a.exc_value, a.exc_traceback, "traceback in a thread"
        )
        sys.unraisablehook = lambda u: self._raised(
            u.exc_type, u.exc_value, u.exc_traceback, "unraisable"
        )
        qInstallMessageHandler(self._qt_said)
        notification_manager.notification_ready.connect(self._shown)
        logging.getLogger().addHandler(_Errors(self))

    def _raised(
        self, kind: Any, error: Any, trace: Any, how: str = "traceback"
    ) -> None:
        self.note(how, "".join(traceback.format_exception(kind, error, trace)))

    def _qt_said(self, kind: Any, _: Any, text: str) -> None:
        sys.stderr.write(f"Qt: {text}\n")
        if kind.name in ("QtCriticalMsg", "QtFatalMsg") or text.startswith(MISUSE):
            self.note("Qt", text)

    def _shown(self, notification: Any) -> None:
        error = getattr(notification, "exception", None)
        text = str(notification.message)
        if error is not None:
            self._raised(type(error), error, error.__traceback__, "notified traceback")
        elif "unexpected" in text:
            self.note("unexpected", text)
        else:
            self.told[f"{notification.severity}: {text.splitlines()[0][:160]}"] += 1


class _Errors(logging.Handler):
    """Tells a watch of errors that were logged."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.ERROR)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a record."""
        error = record.exc_info[1] if record.exc_info else None
        trace = "".join(traceback.format_exception(error)) if error else ""
        self._watch.note("logged", f"{record.name}: {record.getMessage()}\n{trace}")
