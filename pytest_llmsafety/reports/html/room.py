"""How much of a run fits on the page, estimated before anything is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import escape

from pytest_llmsafety.reports import rows
from pytest_llmsafety.reports.cut_text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import Run

LARGEST_BYTES = 2_000_000
NAME, BRIEF = 120, 600  # characters of names and of messages, in every room
MOST_CELLS = 2_500
"""Cells of all heat maps together: each takes about a millisecond to draw."""
FRAME = 40_000
ROW, FULL, GROUP, FIGURE, ITEM = 1150, 950, 130, 120, 450
CELL, TEST, CARD, LINE = 270, 150, 2500, 60
"""Bytes of an entry without its texts, a little more than was counted on pages."""


class Room(NamedTuple):
    """The most entries that the page has.

    `verdicts` limits those with a row and a mark; `entries` limits every other list, and the
    verdicts with all their details. `groups` limits the groups of a verdict, and `characters` the
    length of a text.
    """

    verdicts: int
    entries: int
    groups: int
    characters: int


ROOMS = (
    Room(400, 400, 60, 1200),
    Room(400, 400, 12, 400),
    Room(400, 120, 12, 300),
    Room(400, 60, 8, 200),
    Room(200, 60, 8, 200),
    Room(60, 30, 8, 150),
    Room(12, 12, 8, 150),
    Room(4, 4, 4, 80),
)
"""Groups and long texts are cut first, then details of verdicts, then rows of verdicts."""


def most_rows(grouped: Sequence[Verdict], room: Room) -> int:
    """Return how many groups a heat map may have, so that all maps are drawn in a few seconds."""
    return max(4, min(room.groups, MOST_CELLS // max(1, len(grouped))))


def estimate(run: Run, room: Room) -> int:
    """Return about how many bytes the page takes in this room, without drawing it."""
    ranked = rows.gravest(run.verdicts)
    shown, full = ranked[: room.verdicts], ranked[: room.entries]
    grouped = [verdict for verdict in full if verdict.groups]
    n_cells = most_rows(grouped, room) * len(grouped)
    compressions = list(dict.fromkeys(verdict.compression for verdict in ranked))[: room.entries]
    wordings = {text for verdict in shown for text in (*verdict.assumptions, *verdict.notes)}
    facts = [text for pair in (*run.settings, *run.models, *run.versions) for text in pair]
    return (
        FRAME
        + sum(ROW + 2 * _bytes([v.name, v.compression], NAME) for v in shown)
        + sum(_full(verdict, room) for verdict in full)
        + CELL * n_cells
        + sum(TEST + _bytes([t.nodeid, t.message], BRIEF) for t in run.undecided[: room.entries])
        + sum(CARD + 5 * _bytes([name], NAME) for name in compressions)
        + sum(4 * NAME + _bytes([text], room.characters) for text in list(wordings)[: room.entries])
        + _bytes(facts, room.characters)
    )


def _full(verdict: Verdict, room: Room) -> int:
    """Return the bytes of a verdict with all its details and its worst items."""
    texts = [*verdict.reasons, *verdict.assumptions, *verdict.notes, verdict.reproduce]
    texts += [text for one in verdict.artefact for text in (one.what, one.dense, one.compressed)]
    items = [text for i in verdict.worst for text in (i.prompt, i.dense_text, i.compressed_text)]
    return (
        FULL
        + 4 * _bytes([verdict.name, verdict.compression], NAME)
        + _bytes([verdict.dataset, verdict.scorer], NAME)
        + _bytes([*texts, *items], room.characters)
        + LINE * len(texts)
        + ITEM * len(verdict.worst)
        + sum(GROUP + _bytes([one.group], NAME) for one in verdict.groups[: room.groups])
        + FIGURE * min(len(verdict.figures), room.entries)
    )


def _bytes(texts: Iterable[str], characters: int) -> int:
    return sum(
        len(escape(shortened(text, characters)).encode("utf-8", "replace")) for text in texts
    )
