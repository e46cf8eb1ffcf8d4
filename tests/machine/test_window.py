"""The examination of napari's window, on real screens that nobody sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.machine import window
from napari_fastnet.machine.window import examine_window

pytest.importorskip("qtpy")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("Xvfb") is None, reason="needs Xvfb"
    ),
]

ABOUT_SCREENS = (
    *("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "PYOPENGL_PLATFORM"),
    *("XRDP_SESSION", "SESSIONNAME"),
)


@pytest.fixture
def environment(tmp_path):
    """Return the variables of a process without a screen, with settings of its own."""
    kept = {
        name: text for name, text in os.environ.items() if name not in ABOUT_SCREENS
    }
    return kept | {"NAPARI_CONFIG": str(tmp_path / "settings.yaml")}


@pytest.fixture
def screen():
    """Return a function that begins a screen and returns its number."""
    begun = []

    def begin(*words):
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24"]
        begun.append(
            subprocess.Popen(
                [*command, *words], pass_fds=[writing], stderr=subprocess.DEVNULL
            )
        )
        os.close(writing)
        with os.fdopen(reading) as file:
            return file.readline().strip()

    yield begin
    for process in begun:
        process.terminate()
        process.wait(20)


def none(environment):
    """Return the one finding where there is no window."""
    (finding,) = examine_window(environment)
    assert (finding.name, finding.ok, finding.needed) == ("window", False, True)
    return finding


def test_a_screen_with_glx_is_told_with_its_opengl_and_who_draws(
    screen, environment
) -> None:
    environment["DISPLAY"] = f":{screen('+extension', 'GLX')}"
    found = {finding.name: finding for finding in examine_window(environment)}
    assert found["window"].text == f"xcb {environment['DISPLAY']}, 1280 x 1024 px"
    assert found["OpenGL"].ok
    assert "Mesa" in found["OpenGL"].text
    assert int(found["largest texture"].text.split()[0]) >= 2048
    assert found["local screen"].ok
    # nobody has a graphics card for such a screen
    assert not found["graphics card"].ok
    assert "llvmpipe" in found["graphics card"].text
    assert "VirtualGL" in found["graphics card"].mend
    assert [name for name in found if found[name].needed] == ["window", "OpenGL"]


def test_a_screen_without_glx_has_a_remedy_that_helps(screen, environment) -> None:
    environment["DISPLAY"] = f":{screen('-extension', 'GLX')}"
    finding = none(environment)
    assert "GLX, which this screen lacks" in finding.text
    assert "PYOPENGL_PLATFORM=egl" in finding.mend
    assert examine_window(environment | {"PYOPENGL_PLATFORM": "egl"})[0].ok


def test_without_a_screen_it_says_what_works_all_the_same(environment) -> None:
    finding = none(environment)
    assert finding.text == "no screen: neither DISPLAY nor WAYLAND_DISPLAY is set"
    for word in ("NoMachine", "VirtualGL", "napari-fastnet detect"):
        assert word in finding.mend


def test_a_screen_that_does_not_answer_is_named(environment) -> None:
    finding = none(environment | {"DISPLAY": ":4711"})
    assert finding.text.endswith("could not connect to display :4711")
    assert "correct DISPLAY" in finding.mend


def test_a_platform_that_draws_nothing_is_named(environment) -> None:
    finding = none(environment | {"QT_QPA_PLATFORM": "offscreen"})
    assert "offscreen" in finding.text
    assert finding.mend.startswith("unset QT_QPA_PLATFORM")


def test_a_screen_without_opengl_is_told(screen, environment) -> None:
    environment |= {"DISPLAY": f":{screen()}", "QT_XCB_GL_INTEGRATION": "none"}
    assert none(environment).text == "no OpenGL on this screen"


def test_a_screen_reached_through_the_network_is_told(screen, environment) -> None:
    number = screen("-listen", "tcp", "-ac", "+extension", "GLX")
    environment["DISPLAY"] = f"127.0.0.1:{number}"
    found = {finding.name: finding for finding in examine_window(environment)}
    assert found["window"].ok
    assert not found["local screen"].ok
    assert f"DISPLAY is 127.0.0.1:{number}" in found["local screen"].text
    assert "VirtualGL" in found["local screen"].mend


def test_an_opengl_that_is_too_old_is_told(screen, environment) -> None:
    environment |= {
        "DISPLAY": f":{screen('+extension', 'GLX')}",
        "MESA_GL_VERSION_OVERRIDE": "1.4",
    }
    found = {finding.name: finding for finding in examine_window(environment)}
    assert not found["OpenGL"].ok
    assert found["OpenGL"].text.startswith("1.4")
    assert "2.1" in found["OpenGL"].mend


def test_a_driver_that_crashes_ends_nothing_else(screen, environment, monkeypatch):
    monkeypatch.setattr(window, "LOOK", "import os; os.abort()")
    finding = none(environment | {"DISPLAY": f":{screen()}"})
    assert "signal 6" in finding.text
    assert "LIBGL_ALWAYS_SOFTWARE=1" in finding.mend


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"DISPLAY": ":0"}, None),
        ({"DISPLAY": "unix:0.0"}, None),
        ({"DISPLAY": "localhost:10.0"}, "network"),
        ({"DISPLAY": "reading-room:0"}, "network"),
        ({"DISPLAY": ":10", "XRDP_SESSION": "1"}, "xrdp"),
        ({"SESSIONNAME": "RDP-Tcp#3"}, "Remote Desktop"),
        ({"SESSIONNAME": "Console", "DISPLAY": ":0"}, None),
    ],
)
def test_where_a_window_is_seen_is_known_from_its_session(variables, word) -> None:
    finding = window._screen(variables)
    assert finding.ok == (word is None)
    assert word is None or word in finding.text


@pytest.mark.parametrize(
    ("renderer", "ok"),
    [
        ("NVIDIA RTX A2000/PCIe/SSE2", True),
        ("Mesa Intel(R) UHD Graphics 770 (ADL-S GT1)", True),
        ("AMD Radeon Pro W6600 (radeonsi, navi23)", True),
        ("Apple M2", True),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", False),
        ("GDI Generic", False),
        ("Apple Software Renderer", False),
    ],
)
def test_a_graphics_card_is_told_from_a_processor(renderer, ok) -> None:
    assert window._card(renderer).ok == ok


def test_the_command_ends_with_1_where_there_is_no_window(monkeypatch, capsys) -> None:
    for name in ABOUT_SCREENS:
        monkeypatch.delenv(name, raising=False)
    assert main(["doctor", "--window"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("MISSING  window  no screen")
    (line,) = captured.err.splitlines()
    assert line.startswith(
        "error: window cannot be used; napari can open no window here"
    )
