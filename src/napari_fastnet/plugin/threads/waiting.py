"""Waiting for a thread while the window stays responsive."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari.utils import progress
from superqt.utils import ensure_main_thread

Result = TypeVar("Result")


def call_in_background(work: Callable[[], Result], description: str) -> Result:
    """Call a function in a thread and wait for it in an event loop.

    For what napari wants as the value of a call, such as sample data. Without a Qt
    application the function is called directly.

    Parameters
    ----------
    work : callable
        Touches nothing of Qt.
    description : str
        Shown beside a bar in napari's activity dock.

    Returns
    -------
    object
        What the function returns; what it raises is raised here.
    """
    from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer

    if QCoreApplication.instance() is None:
        return work()
    with ThreadPoolExecutor(1) as pool, progress(total=0, desc=description):
        loop, future = QEventLoop(), pool.submit(work)
        leave = ensure_main_thread(lambda: loop.quit())

        def leave_when_done() -> None:
            future.add_done_callback(lambda _: leave())

        QTimer.singleShot(0, leave_when_done)  # once in the loop: it may be done by now
        loop.exec()
        return future.result()
