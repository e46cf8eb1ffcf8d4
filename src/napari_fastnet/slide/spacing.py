"""The µm/px of a slide: its sources in the file, and the limits it must keep to."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import ParseError

from napari_fastnet.errors import SpacingError

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Pair

SpacingSource = Literal["vendor", "OME", "resolution tag", "user", "unknown"]

#: µm/px outside this range belong to no scanner: 72 dpi, say, is 353 µm/px.
LOWEST_MPP, HIGHEST_MPP = 0.05, 5.0

#: x and y may differ by this much, relative to the smaller, and no more.
ANISOTROPY = 0.02

_HINT = "give the right value with --mpp (in the panel: the µm/px field)"

# OME-XML's units of length that scanners use, in µm.
_UM_PER_UNIT = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "μm": 1.0,  # the Greek letter, where the above is the micro sign
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25400.0,
}


# TIFF's numbers: tags, and the units of the last in µm.
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_UM_PER_TAG_UNIT = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}


@dataclass(frozen=True, slots=True)
class Spacing:
    """µm/px of level 0 as stated, believable or not.

    Parameters
    ----------
    mpp : tuple of float or None
        (y, x) in µm/px; None where nothing states it.
    source : {"vendor", "OME", "resolution tag", "user", "unknown"}
        Who states it.
    """

    mpp: Pair | None = None
    source: SpacingSource = "unknown"

    @classmethod
    def of_user(cls, mpp: float | Pair) -> Spacing:
        """Return the spacing a user gives, one number or (y, x)."""
        return cls(pair_of(mpp), "user")

    @classmethod
    def stated(cls, y: Any, x: Any, source: SpacingSource) -> Spacing | None:
        """Return the spacing a file states, None where that is not two numbers."""
        try:
            return cls((number(y), number(x)), source)
        except (TypeError, ValueError):
            return None

    def require(self, name: str) -> Pair:
        """Return (y, x) µm/px within 0.05..5 that differ by at most 2 %.

        SpacingError, with the file's name, where it is unknown or absurd; it is never guessed.
        """
        if self.mpp is None:
            raise SpacingError(
                f"{name}: µm/px is unknown, no vendor field, OME size or resolution "
                f"tag states it; {_HINT}"
            )
        y, x = self.mpp
        origin = "as given" if self.source == "user" else f"from the {self.source}"
        said = f"{name}: {y:.6g} (y), {x:.6g} (x) µm/px, {origin},"
        if not all(isfinite(v) and LOWEST_MPP <= v <= HIGHEST_MPP for v in (y, x)):
            raise SpacingError(
                f"{said} must lie in {LOWEST_MPP:g} to {HIGHEST_MPP:g}; {_HINT}"
            )
        if abs(y - x) > ANISOTROPY * min(y, x):
            raise SpacingError(
                f"{said} must not differ by more than {ANISOTROPY:.0%}; {_HINT}"
            )
        return y, x


def number(value: Any) -> float:
    """Parse a number of a file, also with a comma as its decimal point.

    TypeError or ValueError where it is none.
    """
    return float(value.replace(",", ".") if isinstance(value, str) else value)


def pair_of(mpp: float | Pair) -> Pair:
    """Return one number, or two, as (y, x)."""
    y, x = mpp if isinstance(mpp, (tuple, list)) else (mpp, mpp)
    return float(y), float(x)


def tiff_spacing(
    *,
    aperio: str | None,
    tag: Spacing | None,
    shape: tuple[int, int],
    ome_xml: str | None,
    philips_xml: str | None,
) -> Spacing:
    """Return the µm/px of a TIFF slide as stated; `Spacing.require` checks it.

    The first that states two numbers counts: the vendor's own field, OME-XML, and last the
    resolution tag, which OME writers often leave at a default. The shape, (height, width) of
    level 0, px, tells the slide's image from others of the XML.
    """
    return (
        (_aperio_spacing(aperio) if aperio else None)
        or (_philips_spacing(philips_xml) if philips_xml else None)
        or (_ome_spacing(ome_xml, shape) if ome_xml else None)
        or tag
        or Spacing()
    )


def tag_spacing(tags: Any) -> Spacing | None:
    """Return the spacing in a page's resolution tags, None without a unit of length."""
    um = _UM_PER_TAG_UNIT.get(tags.valueof(_RESOLUTION_UNIT))
    sizes = [tags.valueof(code) for code in (_Y_RESOLUTION, _X_RESOLUTION)]
    if um is None or None in sizes:
        return None
    try:
        y, x = (um * bottom / top for top, bottom in sizes)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return Spacing.stated(y, x, "resolution tag")


def _aperio_spacing(text: str) -> Spacing | None:
    """Return the field ``MPP`` of Aperio's description."""
    for field in text.split("|"):
        name, _, value = field.partition("=")
        if name.strip() == "MPP":
            return Spacing.stated(value.strip(), value.strip(), "vendor")
    return None


def _philips_spacing(philips_xml: str) -> Spacing | None:
    """Return the pixel spacing of the whole-slide image, stated in mm as in DICOM.

    Where no image is called so, the one spacing that the file states.
    """
    own, others = [], set()
    for image in _elements(philips_xml, "DataObject"):
        stated = {node.get("Name"): (node.text or "").strip() for node in image}
        sizes = stated.get("DICOM_PIXEL_SPACING", "").replace('"', "").split()
        try:
            y, x = (1e3 * number(size) for size in sizes)
        except ValueError:
            continue
        others.add((y, x))
        if stated.get("PIM_DP_IMAGE_TYPE") == "WSI":
            own.append((y, x))
    found = own[:1] or (list(others) if len(others) == 1 else [])
    return Spacing(found[0], "vendor") if found else None


def _elements(xml: str, name: str) -> list[Any]:
    """Return the elements of a name, none where it is no XML to be trusted."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError):
        return []
    return [node for node in root.iter() if node.tag.rpartition("}")[2] == name]


def _ome_spacing(ome_xml: str, shape: tuple[int, int]) -> Spacing | None:
    """Return the pixel size of the image of that shape, or of the only one."""
    images = _elements(ome_xml, "Pixels")
    wanted = (str(shape[0]), str(shape[1]))
    fitting = [n for n in images if (n.get("SizeY"), n.get("SizeX")) == wanted]
    # of one image alone it is, whatever size is written there
    for node in fitting[:1] or (images if len(images) == 1 else []):
        y, x = (_ome_length(node, f"PhysicalSize{axis}") for axis in "YX")
        return Spacing.stated(y, x, "OME")
    return None


def _ome_length(node: Any, attribute: str) -> float | None:
    """Return a length of OME-XML in µm, its default unit; None if not stated."""
    unit = node.get(f"{attribute}Unit", "µm")
    try:
        return number(node.get(attribute)) * _UM_PER_UNIT[unit]
    except (KeyError, TypeError, ValueError):
        return None
