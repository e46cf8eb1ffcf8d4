"""The µm/px of a slide: where the number comes from, and whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import ParseError

from napari_fastnet.errors import SpacingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fastnet.core.geometry import Pair

SpacingSource = Literal["vendor", "OME", "resolution tag", "user", "unknown"]

#: µm/px outside this range belong to no scanner: 72 dpi, say, is 353 µm/px.
LOWEST_MPP, HIGHEST_MPP = 0.05, 5.0

#: x and y may differ by this much, relative to the smaller, and no more.
ANISOTROPY = 0.02

_HINT = "give the right value with --mpp (in the panel: the µm/px field)"

# OME-XML's units of length, in µm. It knows more, none of which a scanner uses.
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


@dataclass(frozen=True, slots=True)
class Spacing:
    """µm/px of level 0 as stated, whether believable or not.

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
        """Return what a file states, None where that is not two numbers."""
        try:
            return cls((float(y), float(x)), source)
        except (TypeError, ValueError):
            return None

    def require(self, name: str) -> Pair:
        """Return (y, x) µm/px that can be worked with.

        Parameters
        ----------
        name : str
            The file, for the message.

        Returns
        -------
        tuple of float
            Both within 0.05..5 and at most 2 % apart.

        Raises
        ------
        SpacingError
            Unknown or absurd; it is never guessed.
        """
        if self.mpp is None:
            raise SpacingError(
                f"{name}: µm/px is unknown, no vendor field, OME size or resolution "
                f"tag states it; {_HINT}"
            )
        y, x = self.mpp
        said = f"{name}: {y:.6g} (y), {x:.6g} (x) µm/px, from the {self.source},"
        if self.source == "user":
            said = f"{name}: {y:.6g} (y), {x:.6g} (x) µm/px, as given,"
        if not all(isfinite(v) and LOWEST_MPP <= v <= HIGHEST_MPP for v in (y, x)):
            raise SpacingError(
                f"{said} must lie in {LOWEST_MPP:g} to {HIGHEST_MPP:g}; {_HINT}"
            )
        if abs(y - x) > ANISOTROPY * min(y, x):
            raise SpacingError(
                f"{said} must not differ by more than {ANISOTROPY:.0%}; {_HINT}"
            )
        return y, x


def pair_of(mpp: float | Pair) -> Pair:
    """Return (y, x) of one number or two."""
    y, x = mpp if isinstance(mpp, (tuple, list)) else (mpp, mpp)
    return float(y), float(x)


def tiff_spacing(
    properties: Mapping[str, Any],
    *,
    shape: tuple[int, int],
    ome_xml: str | None,
    philips_xml: str | None,
) -> Spacing:
    """Return the µm/px of a TIFF slide and who states it.

    tiffslide falls back on the resolution tag without saying so, for Aperio files
    that lack their own field as well; here the two are told apart. What OME-XML
    states goes before the tag, which OME writers often leave at a default. Philips'
    XML has a spacing for each picture, of which tiffslide takes the first, be it the
    label's; here the slide's own goes before it.

    Parameters
    ----------
    properties : mapping
        As tiffslide gives them.
    shape : tuple of int
        (height, width) of level 0, px, to find its image among those of the XML.
    ome_xml, philips_xml : str or None
        The file's metadata of that kind.

    Returns
    -------
    Spacing
        As stated; not yet judged.
    """
    philips = _philips_spacing(philips_xml) if philips_xml else None
    if philips is not None:
        return philips
    vendor_states_it = (
        "aperio.MPP" in properties
        or "tiffslide.series-composition" in properties  # Leica, read from its XML
        or "DICOM_PIXEL_SPACING" in (philips_xml or "")
    )
    y, x = properties.get("tiffslide.mpp-y"), properties.get("tiffslide.mpp-x")
    read = Spacing.stated(y, x, "vendor" if vendor_states_it else "resolution tag")
    if not vendor_states_it and ome_xml:
        read = _ome_spacing(ome_xml, shape) or read
    return read or Spacing()


def _philips_spacing(philips_xml: str) -> Spacing | None:
    """Return the pixel spacing of the whole-slide image, (y, x) in mm as DICOM has it."""
    for image in _elements(philips_xml, "DataObject"):
        stated = {node.get("Name"): (node.text or "").strip() for node in image}
        if stated.get("PIM_DP_IMAGE_TYPE") == "WSI":
            sizes = stated.get("DICOM_PIXEL_SPACING", "").replace('"', "").split()
            try:
                y, x = (1e3 * float(size) for size in sizes)
            except ValueError:
                return None
            return Spacing((y, x), "vendor")
    return None


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
    """Return the pixel size of the image of that shape, else of the first."""
    images = _elements(ome_xml, "Pixels")
    wanted = (str(shape[0]), str(shape[1]))
    images.sort(key=lambda node: (node.get("SizeY"), node.get("SizeX")) != wanted)
    for node in images[:1]:
        y, x = (_ome_length(node, f"PhysicalSize{axis}") for axis in "YX")
        return Spacing.stated(y, x, "OME")
    return None


def _ome_length(node: Any, attribute: str) -> float | None:
    """Return a length of OME-XML in µm, its default unit; None if not stated."""
    unit = _UM_PER_UNIT.get(node.get(f"{attribute}Unit", "µm"))
    try:
        return None if unit is None else float(node.get(attribute)) * unit
    except (TypeError, ValueError):
        return None
