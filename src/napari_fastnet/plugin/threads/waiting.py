"""Waiting for work in a thread while the window goes on living."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari.utils import progress

Result = TypeVar("Result")

#: How often it is looked whether the work is done, ms.
LOOK_MS = 30


def call_in_background(work: Callable[[], Result], description: str) -> Result:
    """Call a function in a thread and wait for it; the window stays responsive.

    For what napari wants as the value of a call, such as sample data, so that it cannot
    come later. Where there is no Qt application, the function is just called.

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
    with (
        ThreadPoolExecutor(1, thread_name_prefix="fastnet-wait") as pool,
        progress(total=0, desc=description),
    ):
        future = pool.submit(work)
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if future.done() else None)
        timer.start(LOOK_MS)
        loop.exec()
        timer.stop()
        return future.result()
