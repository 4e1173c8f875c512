"""Write report.html of a run: every text is escaped, and the page is under two megabytes."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.record import coverage
from pytest_llmsafety.reports import figures, rows
from pytest_llmsafety.reports.advice import sentence
from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.html import heat_map
from pytest_llmsafety.reports.html.contents import contents
from pytest_llmsafety.reports.html.multiples import multiples, times
from pytest_llmsafety.reports.html.room import BRIEF, LARGEST_BYTES, NAME, ROOMS, Room, estimate

if TYPE_CHECKING:
    from jinja2 import Environment

    from pytest_llmsafety.reports.run import Run


class HtmlReport:
    """Report with the verdict first, then the evidence, then how it was measured."""

    file_name = "report.html"

    def render(self, run: Run) -> str:
        """Return the page, which loads no other file and runs no script."""
        rooms = (room for room in ROOMS[:-1] if estimate(run, room) < LARGEST_BYTES)
        pages = (self._page(run, room) for room in rooms)
        small = (page for page in pages if len(page.encode()) < LARGEST_BYTES)
        return next(small, None) or self._page(run, ROOMS[-1])

    def _page(self, run: Run, room: Room) -> str:
        from markupsafe import Markup

        style = Path(__file__).with_name("report.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        page = environment(room).get_template("report.html.jinja")
        return page.render(
            style=Markup(style),  # noqa: S704 - a file of this package
            style_digest=digest,
            **contents(run, room),
        )


@cache
def environment(room: Room) -> Environment:
    """Return a Jinja2 environment that escapes HTML and cuts every text with `shortened`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    def plain(value: object) -> object:
        known = value is None or isinstance(value, (int, float)) or hasattr(value, "__html__")
        return value if known else shortened(str(value), room.characters)

    made = Environment(
        autoescape=True,
        finalize=plain,
        loader=FileSystemLoader(Path(__file__).parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    shown: dict[str, Any] = {
        "artefact": rows.artefact,
        "bounds": figures.bounds,
        "cell_text": heat_map.cell_text,
        "change": figures.change,
        "figure": figures.figure,
        "percent": coverage.percent,
        "share_text": coverage.share_text,
        "level": heat_map.level,
        "margin": figures.margin,
        "multiples": multiples,
        "noise": figures.noise,
        "qualifier": rows.qualifier,
        "worst_groups": heat_map.worst_groups,
        "sentence": sentence,
        "size": figures.size,
        "times": times,
    }
    made.globals.update(shown)
    made.filters["name"] = partial(shortened, room=NAME)
    made.filters["brief"] = partial(shortened, room=BRIEF)
    return made
