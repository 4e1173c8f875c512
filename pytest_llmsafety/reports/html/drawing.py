"""Turn a plot of matplotlib into SVG for the page, with the page's classes in place of colours."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from pytest_llmsafety.reports.cut_text import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes

PALETTE = {
    name: f"#{number:06x}"
    for number, name in enumerate(
        ("ink", "faint", "PASS", "FAIL", "INCONCLUSIVE", *(f"heat{level}" for level in range(7))), 1
    )
}
"""Colours that become classes of the page's style sheet, which has light, dark and print."""

RC: dict[Any, Any] = {
    "axes.edgecolor": PALETTE["faint"],
    "axes.labelcolor": PALETTE["ink"],
    "font.size": 10.0,
    "svg.fonttype": "none",
    "text.color": PALETTE["ink"],
    "text.parse_math": False,
    "xtick.color": PALETTE["faint"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.color": PALETTE["faint"],
    "ytick.labelcolor": PALETTE["ink"],
}
CLASSES = {colour: name for name, colour in PALETTE.items()}
COLOURED = ("fill", "stroke")
EDGE = 4
SHOWN_SIZE = 1.25
"""Pixels a point, so that ten points are about the size of the page's small text."""
LEFT_TO_THE_PAGE = {"font-family": None, "font-size": "10px"}
"""Properties of text that the style sheet sets; None stands for any value."""
UNTURNED = "rotate(-0"
NAMESPACE = re.compile(r"\{[^}]*\}")
REFERENCE = re.compile(r"#(?=\w)")


class Canvas(NamedTuple):
    """Width and height of a plot in points, and the distances of its axes from the edges."""

    width: float
    height: float
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    @property
    def inside(self) -> tuple[float, float, float, float]:
        """Left and lower edge, width and height of the axes, as shares of the plot."""
        return (
            self.left / self.width,
            self.bottom / self.height,
            (self.width - self.left - self.right) / self.width,
            (self.height - self.top - self.bottom) / self.height,
        )


def room_for(texts: Iterable[str], most: int) -> float:
    """Return enough points for the longest of `texts`, cut to `most` characters."""
    return 6.1 * max(len(shortened(text, most)) for text in texts) + 4 * EDGE


def picture(paint: Callable[[Axes], None], canvas: Canvas, *, name: str, title: str) -> Markup:
    """Return what `paint` draws as an `<svg>` for the page; equal input gives equal text.

    `name` is unique on the page, and screen readers read `title`. Texts are never read as
    formulas. The user's settings of matplotlib and its warnings (a letter that its font lacks) are
    ignored.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    file = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        mpl.rcParams.update({**RC, "svg.hashsalt": name})
        figure = Figure(figsize=(canvas.width / 72, canvas.height / 72))
        figure.patch.set_visible(False)
        axes = figure.add_axes(canvas.inside)
        axes.patch.set_visible(False)
        paint(axes)
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _for_the_page(file.getvalue(), canvas, name, title)


def _for_the_page(text: str, canvas: Canvas, name: str, title: str) -> Markup:
    """Return the SVG of matplotlib without inline styles, which the page's policy forbids."""
    root = ET.fromstring(text)  # noqa: S314 - written by matplotlib a line ago
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)
        element.attrib = {NAMESPACE.sub("", k): v for k, v in element.attrib.items()}
    for parent in root.iter():
        for child in list(parent):
            if child.tag in {"metadata", "style"}:
                parent.remove(child)
    used = {part for e in root.iter() for v in e.attrib.values() for part in _references(v)}
    for element in root.iter():
        _restyle(element)
        _rename(element, name, used)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{SHOWN_SIZE * canvas.width:.0f}",
        "height": f"{SHOWN_SIZE * canvas.height:.0f}",
        "role": "img",
        "aria-labelledby": f"{name}-title",
    }
    heading = ET.Element("title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - escaped by ElementTree


def _restyle(element: ET.Element) -> None:
    """Turn `style` into attributes, and the colours of the palette into classes."""
    classes = []
    for rule in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in rule.partition(":"))
        if key in COLOURED and value in CLASSES:
            classes.append(f"{key}-{CLASSES[value]}")
        elif key and LEFT_TO_THE_PAGE.get(key, "") not in {None, value}:
            element.set(key, value)
    if element.get("transform", "").startswith(UNTURNED):
        del element.attrib["transform"]
    if classes:
        element.set("class", " ".join(classes))


def _rename(element: ET.Element, name: str, used: set[str]) -> None:
    """Give the ids that are used a name of this picture, and drop the others."""
    own = element.attrib.pop("id", None)
    for key, value in element.attrib.items():
        if _references(value):
            element.set(key, REFERENCE.sub(f"#{name}-", value))
    if own in used:
        element.set("id", f"{name}-{own}")


def _references(value: str) -> list[str]:
    if value.startswith("#"):
        return [value[1:]]
    return [value[5:-1]] if value.startswith("url(#") else []
