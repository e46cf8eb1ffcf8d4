"""Facts about a slide as rows of text, and as a notebook shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.display import notebook_card, png_bytes

if TYPE_CHECKING:
    from napari_fastnet.slide.tiles import Pixels


def slide_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what `Slide.to_dict` says as rows of (what, text)."""
    size = f"{facts['width']:,} x {facts['height']:,} px"
    spacing = f"{facts['mpp_source']}: give it with --mpp"
    if facts["mpp"] is not None:
        size += f" = {facts['width_mm']:.1f} x {facts['height_mm']:.1f} mm"
        y, x = facts["mpp"]
        number = f"{x:.4g}" if x == y else f"{x:.4g} x {y:.4g}"
        spacing = f"{number} ({facts['mpp_source']})"
    rows = [
        ("slide", Path(facts["path"]).name),
        ("size", size),
        ("µm/px", spacing),
        ("vendor", facts["vendor"]),
        ("fingerprint", facts["fingerprint"]),
    ]
    if bounds := facts["bounds"]:
        y, x = bounds["y"], bounds["x"]
        rows.append(
            ("scanned", f"from {y:g} (y), {x:g} (x) px on: see --bounds-offset")
        )
    if profile := facts["icc_profile"]:
        rows.append(("colours", f"as stored; the ICC profile {profile} is not applied"))
    for level in facts["levels"]:
        ratio = max(level["downsample"])
        pixels = f"{level['width']:,} x {level['height']:,} px"
        rows.append((f"level {level['index']}", f"{pixels}, 1:{ratio:.6g}"))
    return rows


def slide_card(facts: dict[str, Any], thumbnail: Pixels) -> str:
    """Return thumbnail and facts as a notebook shows them, HTML."""
    return notebook_card(slide_rows(facts), png=png_bytes(thumbnail))
