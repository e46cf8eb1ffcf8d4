"""A slide by its address gives the results of its file, and loses none to a fault."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import napari_fastnet as nf
from napari_fastnet import errors
from napari_fastnet.cli.app import main
from napari_fastnet.machine.remote.url import path_of


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs, texture):
    """Return a slide that is scanned in five blocks."""
    folder = tmp_path_factory.mktemp("slides")
    image = np.full((768, 7168, 3), 245, np.uint8)
    image[200:560, 100:7000] = texture(360, 6900) // 2 + (90, 40, 80)
    return write_svs(folder / "slide.svs", image, factors=(1, 4), mpp=0.97)


@pytest.fixture(scope="module")
def local(slide_path):
    """Return the result of the file."""
    return nf.detect(slide_path)


@pytest.fixture
def address(request, slide_path, monkeypatch):
    """Return the slide's address on a server of each kind."""
    if request.param == "s3":
        return request.getfixturevalue("bucket")(slide_path, "a folder/slide.svs")
    serve = request.getfixturevalue("serve")
    if request.param == "http":
        return f"{serve(slide_path.parent).address}/slide.svs"
    certificate, authority = request.getfixturevalue("authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server = serve(slide_path.parent, certificate=certificate)
    return f"{server.address}/slide.svs"


def same(one, other):
    values = one.heatmap.probabilities, other.heatmap.probabilities
    return np.array_equal(*values, equal_nan=True) and one.regions == other.regions


@pytest.mark.parametrize("address", ["http", "https", "s3"], indirect=True)
def test_the_result_is_that_of_the_file_bit_for_bit(address, local, tmp_path) -> None:
    found = nf.detect(address, tmp_path)
    assert same(found, local)
    assert found.record.slide.path == address
    assert found.record.slide.fingerprint == local.record.slide.fingerprint
    assert found.folder == tmp_path / "slide"


def test_few_bytes_are_fetched_that_are_not_needed(
    serve, slide_path, monkeypatch
) -> None:
    monkeypatch.setenv("NAPARI_FASTNET_REMOTE_CACHE", "0")
    server = serve(slide_path.parent)
    nf.detect(f"{server.address}/slide.svs")
    with nf.open_slide(slide_path) as slide:
        tiles = slide._source.levels[0].load.func.__self__.byte_counts.sum()
    # all tiles of level 0, level 1 for the tissue, and the pages
    assert server.sent_bytes <= 1.3 * tiles


def test_slides_pickle_as_their_address(serve, slide_path) -> None:
    address = f"{serve(slide_path.parent).address}/slide.svs?signature=secret"
    with nf.open_slide(address) as slide:
        assert "secret" not in repr(slide)
        with pickle.loads(pickle.dumps(slide)) as again:
            assert again.path == path_of(address)
            assert again.fingerprint == slide.fingerprint


def test_a_signature_gets_into_no_file_and_a_note_says_so(
    serve, slide_path, tmp_path, capsys
) -> None:
    address = f"{serve(slide_path.parent).address}/slide.svs?signature=secret"
    main(["detect", address, "-o", str(tmp_path), "--stride", "patch"])
    said = "".join(capsys.readouterr())
    assert "recorded without what follows its question mark" in said
    assert "secret" not in said
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"secret" not in path.read_bytes()


def stopping(count):
    """Return a function that asks to stop after so many questions."""
    asked = []
    return lambda: asked.append(1) or len(asked) > count


@pytest.mark.parametrize("first", ["file", "address"])
def test_a_run_goes_on_from_the_other_place(
    serve, slide_path, local, tmp_path, first
) -> None:
    address = f"{serve(slide_path.parent).address}/slide.svs"
    places = [slide_path, address]
    one, other = places if first == "file" else places[::-1]
    part = nf.detect(one, tmp_path, should_stop=stopping(3))
    assert part.record.counts.stopped > 0
    steps = []
    whole = nf.detect(other, tmp_path, progress=steps.append)
    assert same(whole, local)
    assert steps[0].done > part.record.counts.computed > 0


class _Fault:
    """A fault that begins after the first block of a run, and can be undone."""

    def __init__(self, kind, server, path):
        self.kind, self.server, self.path = kind, server, path
        self.data, self.facts = path.read_bytes(), path.stat()

    def __call__(self, *_):
        if self.kind == "replaced":
            self.path.write_bytes(self.data[:-1] + b"x")
        elif self.kind == "vanished":
            self.path.unlink(missing_ok=True)
        else:
            self.server.faults[:] = [f"{self.kind}*"]

    def undo(self):
        self.server.faults.clear()
        self.path.write_bytes(self.data)
        os.utime(self.path, ns=(self.facts.st_atime_ns, self.facts.st_mtime_ns))


@pytest.mark.parametrize("kind", ["503", "cut", "403", "replaced", "vanished"])
def test_a_fault_during_a_run_is_one_line_and_the_run_goes_on(
    serve, slide_path, local, tmp_path, kind
) -> None:
    path = tmp_path / "served" / "slide.svs"
    path.parent.mkdir()
    path.write_bytes(slide_path.read_bytes())
    server = serve(path.parent)
    address = f"{server.address}/slide.svs"
    fault = _Fault(kind, server, path)
    with pytest.raises(errors.FastNetError) as caught:
        nf.detect(address, tmp_path / "out", progress=fault)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    fault.undo()
    steps = []
    assert same(nf.detect(address, tmp_path / "out", progress=steps.append), local)
    assert len(steps) < 5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    serve, slide_path, local, tmp_path
) -> None:
    server = serve(slide_path.parent, latency_s=0.1)
    words = ["detect", f"{server.address}/slide.svs", "-o", str(tmp_path)]
    run = subprocess.Popen([sys.executable, "-m", "napari_fastnet", *words])
    store = tmp_path / "slide" / "run.zarr"
    while run.poll() is None and not list(store.glob("c/*/[0-9]*")):
        time.sleep(0.005)
    run.kill()
    assert run.wait() == -9
    assert not (tmp_path / "slide" / "run.json").exists()
    steps = []
    done = nf.detect(words[1], tmp_path, progress=steps.append)
    assert same(done, local)
    assert len(steps) < 5


@pytest.mark.slow
def test_a_folder_of_a_bucket_is_a_cohort(bucket, slide_path, tmp_path, capsys) -> None:
    for key in ("cohort/a.svs", "cohort/sub/a.svs", "cohort/notes.txt"):
        address = bucket(slide_path, key)
    folder = address.replace("notes.txt", "")
    words = ["-o", str(tmp_path), "--stride", "patch", "--json"]
    main(["detect", folder, *words])
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["failed"]) == (2, 0)
    slides = sorted(row["slide"] for row in told["slides"])
    assert slides == [f"{folder}a.svs", f"{folder}sub/a.svs"]
    main(["detect", f"{folder}*.svs", *words])
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["earlier"]) == (1, 1)


def test_a_recorded_address_is_read_again(serve, slide_path, tmp_path, capsys) -> None:
    address = f"{serve(slide_path.parent).address}/slide.svs"
    nf.detect(address, tmp_path / "out")
    run = tmp_path / "out" / "slide"
    main(["export", str(run), "-f", "png", "-o", str(tmp_path / "png")])
    assert (tmp_path / "png" / "overview.png").stat().st_size > 10_000
    main(["replay", str(run / "run.json")])
    assert "the same" in capsys.readouterr().out
    page = tmp_path / "report.html"
    main(["report", str(run), "-o", str(page)])
    assert "data:image" in page.read_text()


def test_info_and_tissue_take_an_address(serve, slide_path, tmp_path, capsys) -> None:
    address = f"{serve(slide_path.parent).address}/slide.svs"
    main(["info", address, "--json"])
    assert json.loads(capsys.readouterr().out)["path"] == address
    main(["tissue", address, "-o", str(tmp_path)])
    assert (tmp_path / "slide" / "tissue.json").is_file()


@pytest.mark.parametrize("name", ["slide.mrxs", "slide.dcm", "slide.svs"])
def test_what_is_no_tiff_is_to_be_copied(serve, tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"no TIFF" * 1000)
    address = f"{serve(tmp_path).address}/{name}"
    with pytest.raises(errors.SlideFormatError, match="copy its files") as caught:
        nf.open_slide(address)
    assert str(caught.value).startswith(address)


def test_a_slide_that_is_cut_short_says_so(serve, tmp_path, slide_path) -> None:
    data = slide_path.read_bytes()
    (tmp_path / "slide.svs").write_bytes(data[: len(data) // 2])
    with pytest.raises(errors.SlideFormatError, match="is cut short"):
        nf.open_slide(f"{serve(tmp_path).address}/slide.svs")


def test_an_empty_file_says_so(serve, tmp_path) -> None:
    (tmp_path / "slide.svs").touch()
    with pytest.raises(errors.SlideFormatError, match=r"slide.svs: .*copy"):
        nf.open_slide(f"{serve(tmp_path).address}/slide.svs")


def test_a_local_run_loads_nothing_for_addresses(slide_path, tmp_path) -> None:
    code = (
        "import sys, napari_fastnet as nf; nf.detect(*sys.argv[1:]); "
        "print([m for m in ('fsspec', 'aiohttp', 's3fs') if m in sys.modules])"
    )
    words = [sys.executable, "-c", code, str(slide_path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_relative_output_is_not_beside_the_slide(
    serve, slide_path, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"{serve(slide_path.parent).address}/slide.svs"
    main(["tissue", address, "-o", "out"])
    assert sorted(Path().iterdir()) == [Path("cache"), Path("out")]
