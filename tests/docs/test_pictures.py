"""Every picture of the docs is shown, and the gallery has all of them with a word and a link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GALLERY = DOCS / "gallery.md"
KINDS = {".png", ".gif", ".jpg"}
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")

pytestmark = pytest.mark.skipif(not GALLERY.exists(), reason="no docs beside the tests")


def shown_on(page):
    """Return the files that a page shows; in a README with addresses, those of the clone."""
    text = re.sub(r"\]\(https://\S+?/raw/HEAD/", "](", page.read_text("utf-8"))
    return [(page.parent / place).resolve() for _, place in PICTURE.findall(text)]


def test_every_picture_is_on_a_page_and_every_page_has_its_pictures():
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    shown = {picture for page in pages for picture in shown_on(page)}
    there = {path for path in DOCS.rglob("*") if path.suffix in KINDS}
    assert shown == there


def test_the_gallery_has_every_picture_of_the_work_once():
    shown = [path for path in shown_on(GALLERY) if path.parent == DOCS / "images"]
    there = sorted(path for path in (DOCS / "images").iterdir())
    assert sorted(shown) == there


def test_pictures_of_the_gallery_have_a_caption_and_a_link_to_a_page():
    paragraphs = GALLERY.read_text("utf-8").split("\n\n")
    for paragraph, caption in zip(paragraphs, [*paragraphs[1:], ""], strict=True):
        if PICTURE.match(paragraph):
            words, place = PICTURE.match(paragraph).groups()
            assert len(words) > 10, place
            assert not caption.startswith(("!", "#")), place
            assert re.search(r"\]\(\w+/[\w-]+\.md", caption), place


def test_pictures_of_the_work_are_made_by_a_script():
    scripts = "".join(
        (DOCS / name).read_text("utf-8") for name in ("screenshots.py", "pictures.py")
    )
    for path in (DOCS / "images").iterdir():
        assert f'"{path.name}"' in scripts, f"{path.name}: no script makes it"
        with Image.open(path) as picture:
            assert picture.width >= 300, path.name
