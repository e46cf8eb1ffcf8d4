"""What a notebook shows is whole, and text stays text."""

from __future__ import annotations

import re
from base64 import b64decode

from napari_fastnet.core.display import notebook_card


def test_the_picture_is_in_the_page():
    page = notebook_card([("a", "b")], png=b"bytes of a picture")
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert b64decode(data) == b"bytes of a picture"


def test_without_a_picture_there_is_a_table_alone():
    page = notebook_card([("slide", "a.svs"), ("size", "3 px")])
    assert "<img" not in page
    assert page.count("<tr>") == 2


def test_a_slide_called_like_markup_is_shown_as_it_is_called():
    page = notebook_card([("slide", "<script>alert(1)</script> & co")])
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page
