"""What SECURITY.md promises: no code out of files, nothing outside the chosen folders."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.cohort.slides import result_names
from napari_fastnet.errors import AnnotationError, BundleError, OptionError
from napari_fastnet.machine.files import private_folder, write_bytes
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.user_models import keep, read_candidate, remove_model
from napari_fastnet.results.record import results_name
from napari_fastnet.store.cache import cached_runs, clear_cache
from napari_fastnet.store.lock import hold

links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


@pytest.mark.parametrize("name", ["...svs", "..", "....svs", ".svs", "a.svs"])
def test_results_never_leave_the_output_folder(tmp_path, name):
    output, slide = tmp_path / "out", Path("/slides") / f"x/{name}"
    if name == "..":
        slide = Path("/slides/...")

    places = [output / results_name(slide), output / result_names([slide])[0]]

    assert all(place.resolve().parent == output.resolve() for place in places)


@pytest.mark.parametrize("name", ["../a", "..", "a/b", "", ".hidden", "/tmp/a", "a\0"])
def test_a_model_is_added_under_a_plain_name_only(models_here, tiny_bundle, name):
    with pytest.raises(OptionError, match="letters, digits"):
        keep(read_candidate(tiny_bundle.folder, name=name or " "))
    with pytest.raises(OptionError, match="was added"):
        remove_model(name)


def test_a_pickle_is_never_opened(tmp_path, tiny_bundle):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    load_bundle(folder)
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")

    with pytest.raises(BundleError, match="pickle, which can run code"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><ASAP_Annotations>&x;</ASAP_Annotations>',
        '<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><ASAP_Annotations/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    ],
)
def test_xml_has_neither_entities_nor_a_network(tmp_path, document):
    path = tmp_path / "a.xml"
    path.write_text(document)

    with pytest.raises(AnnotationError, match="document type or entities"):
        read_asap_xml(path)


@links
def test_a_file_is_put_in_the_place_of_a_link_not_behind_it(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    link = tmp_path / "out.json"
    link.symlink_to(victim)

    write_bytes(link, b"new")

    assert (victim.read_bytes(), link.read_bytes()) == (b"mine", b"new")


@links
@pytest.mark.parametrize("name", [".holder.json", ".lock"])
def test_a_lock_writes_through_no_link(tmp_path, name):
    run, victim = tmp_path / "run.zarr", tmp_path / "victim"
    run.mkdir()
    victim.write_bytes(b"mine")
    (run / name).symlink_to(victim)

    try:
        with hold(run, wait_s=0):
            pass
    except OSError:  # refused altogether
        pass

    assert victim.read_bytes() == b"mine"


@links
def test_what_a_link_in_the_cache_leads_to_is_not_deleted(tmp_path):
    cache, other = tmp_path / "cache", tmp_path / "mine"
    (other / "run.zarr").mkdir(parents=True)
    (other / "thesis.txt").write_text("all of it")
    (cache / "runs/key").mkdir(parents=True)
    (cache / "runs/key/slide").symlink_to(other)

    assert cached_runs(cache) == []
    clear_cache(cache)

    assert (other / "thesis.txt").read_text() == "all of it"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_cache_is_for_its_user_alone(tmp_path):
    made = private_folder(tmp_path / "a/cache")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700

    made.chmod(0o770)  # a group shares it
    assert stat.S_IMODE(private_folder(made).stat().st_mode) == 0o770


def test_nothing_asks_the_network_when_it_is_imported():
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise SystemExit('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import napari_fastnet, napari_fastnet.cli.app\n"
        "for name in napari_fastnet.__all__: getattr(napari_fastnet, name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
