"""An examination of napari's window: who draws it, and what to do where nobody can."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from napari_fastnet.machine.doctor import QT_LIBRARIES, Ended, Finding, apart

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Opens a window with napari's settings and its drawing library, and prints what was found:
#: ``drawn`` whether Qt has OpenGL, ``seen`` whether PyOpenGL, by which napari draws, sees it.
LOOK = """
import json, time
import qtpy
from napari.qt import get_qapp
from OpenGL import platform
from vispy.app import Canvas, use_app
from vispy.gloo import gl

app = get_qapp()
use_app(qtpy.API_NAME)
canvas = Canvas(show=True, size=(64, 64), title="napari-fastnet doctor")
end = time.monotonic() + 2
while not canvas.native.isValid() and time.monotonic() < end:
    app.processEvents()
canvas.set_current()
screen = app.primaryScreen().geometry()
found = {
    "platform": app.platformName(),
    "screen": (screen.width(), screen.height()),
    "drawn": canvas.native.isValid(),
    "seen": bool(platform.GetCurrentContext()),
}
if found["drawn"] and found["seen"]:
    found |= {
        "vendor": gl.glGetParameter(gl.GL_VENDOR),
        "renderer": gl.glGetParameter(gl.GL_RENDERER),
        "version": gl.glGetParameter(gl.GL_VERSION),
        "texture_px": int(gl.glGetParameter(gl.GL_MAX_TEXTURE_SIZE)),
        "texture_3d_px": int(gl.glGetParameter(0x8073)),
    }
print(json.dumps(found), flush=True)
"""
#: The oldest OpenGL with which napari draws.
OLDEST_OPENGL = (2, 1)
#: What draws on the processor, in the name of an OpenGL renderer.
SOFTWARE = re.compile(
    r"llvmpipe|softpipe|swrast|software|swiftshader|gdi generic|basic render", re.I
)
#: Platforms of Qt that show no window.
UNSEEN = ("offscreen", "minimal", "minimalegl", "vnc", "linuxfb")

_REMOTE = (
    "over a network let that computer draw: NoMachine, or TurboVNC with `vglrun napari` "
    "(VirtualGL)"
)
_ELSEWHERE = (
    f"{_REMOTE}; or work without a window: `napari-fastnet detect` there, whose results "
    "open in napari anywhere"
)


def examine_window(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Open a window for a moment in a process of its own, and judge what was found.

    Parameters
    ----------
    environment : mapping of str to str, optional
        Environment variables of that process.

    Returns
    -------
    list of Finding
        The window, and who draws it; only the first where there is none.
    """
    ended = apart(("-c", LOOK), environment)
    if ended.code != 0:
        return [_no_window(*_why_none(ended, environment))]
    # a line of JSON; what is imported may print others, before and behind it
    lines = [line for line in ended.output.splitlines() if line.startswith("{")]
    seen = json.loads(lines[-1])
    if not (seen["drawn"] and seen["seen"]):
        return [_no_window(*_why_undrawn(seen, environment))]
    place = " ".join(filter(None, (seen["platform"], _display(environment))))
    width, height = seen["screen"]
    return [
        _found("window", f"{place}, {width} x {height} px", needed=True),
        _opengl(seen),
        _found(
            "largest texture",
            f"{seen['texture_px']} px; in three dimensions {seen['texture_3d_px']} px",
        ),
        _card(seen["renderer"]),
        _screen(environment),
    ]


def _found(name: str, text: str, mend: str = "", *, needed: bool = False) -> Finding:
    return Finding(name, not mend, needed, text, mend)


def _no_window(text: str, mend: str) -> Finding:
    return _found("window", text, mend, needed=True)


def _why_none(ended: Ended, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the reason for which a process with a window ended, and the remedy."""
    code, reason = ended.code, ended.reason.removeprefix("WARNING: ")
    chosen = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if "QtBindingsNotFound" in reason or "No module named" in reason:
        return reason, 'pip install "napari-fastnet[all]"'
    if _is_x11() and not _display(environment) and chosen not in UNSEEN:
        return "no screen: neither DISPLAY nor WAYLAND_DISPLAY is set", _ELSEWHERE
    if "could not connect to display" in reason:
        return (
            reason,
            f"the screen {_display(environment)} does not answer: log in again, or "
            f"correct DISPLAY; else {_ELSEWHERE}",
        )
    if "platform plugin" in reason:
        return reason, f"on Debian: {QT_LIBRARIES}"
    if code is not None and code < 0:
        return (
            f"the process was ended by signal {-code}, perhaps by the graphics driver: "
            f"{reason}",
            "update the driver; LIBGL_ALWAYS_SOFTWARE=1 draws without it (Mesa)",
        )
    return reason, f"on Debian: {QT_LIBRARIES}; else {_ELSEWHERE}"


def _why_undrawn(
    seen: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str, str]:
    """Return the reason for which a window has no OpenGL, and the remedy."""
    if seen["platform"] in UNSEEN:
        return (
            f"Qt's platform {seen['platform']} draws no OpenGL",
            "unset QT_QPA_PLATFORM; for a screen that nobody sees "
            "QT_QPA_PLATFORM=xcb and xvfb-run",
        )
    if seen["drawn"] and (other := environment.get("PYOPENGL_PLATFORM")):
        return (
            f"napari looks for OpenGL by PYOPENGL_PLATFORM={other}, Qt has another",
            "unset PYOPENGL_PLATFORM",
        )
    if seen["drawn"]:
        return (
            "Qt draws by EGL, and napari looks for GLX, which this screen lacks",
            "start napari with PYOPENGL_PLATFORM=egl, or give the screen GLX "
            "(Xvfb: +extension GLX)",
        )
    return "no OpenGL on this screen", f"on Debian: {QT_LIBRARIES}; else {_ELSEWHERE}"


def _opengl(seen: Mapping[str, Any]) -> Finding:
    text = f"{seen['version']} of {seen['vendor']}"
    number = re.match(r"\D*(\d+)\.(\d+)", seen["version"])
    old = number is None or (int(number[1]), int(number[2])) < OLDEST_OPENGL
    least = ".".join(map(str, OLDEST_OPENGL))
    mend = f"napari needs OpenGL {least}: update the graphics driver; or {_ELSEWHERE}"
    return _found("OpenGL", text, mend if old else "", needed=True)


def _card(renderer: str) -> Finding:
    """Judge whether a graphics card draws."""
    if SOFTWARE.search(renderer) is None:
        return _found("graphics card", renderer)
    return _found(
        "graphics card",
        f"{renderer} draws on the processor: slow on a large screen",
        f"install the graphics card's driver; {_REMOTE}",
    )


def _screen(environment: Mapping[str, str]) -> Finding:
    """Judge whether the window is drawn where it is seen."""
    display = environment.get("DISPLAY", "")
    host = display.rpartition(":")[0]
    if environment.get("SESSIONNAME", "").upper().startswith("RDP-"):
        how = "a session of Remote Desktop, which draws with little of OpenGL"
    elif "XRDP_SESSION" in environment:
        how = "a session of xrdp, which draws on the processor"
    elif (
        _is_x11() and host not in ("", "unix") and "WAYLAND_DISPLAY" not in environment
    ):
        how = f"DISPLAY is {display}: all drawing travels through the network"
    else:
        return _found("local screen", "yes")
    return _found("local screen", how, _ELSEWHERE)


def _display(environment: Mapping[str, str]) -> str:
    return environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or ""


def _is_x11() -> bool:
    return sys.platform not in ("win32", "darwin")
