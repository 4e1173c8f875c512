"""How much of a run the page has room for, told before anything is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import escape

from pytest_llmsafety.reports import rows
from pytest_llmsafety.reports.html.text import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import Run

LARGEST_BYTES = 2_000_000
NAME, BRIEF = 120, 400  # characters of names and of messages, whatever the room
MOST_CELLS = 2_500
"""Cells of all heat maps together: each takes about a millisecond to draw."""
FRAME = 40_000
ROW, FULL, GROUP, FIGURE, ITEM = 1150, 950, 130, 120, 450
CELL, TEST, CARD, LINE = 270, 150, 2500, 60
"""Bytes of an entry beside its texts, a little more than was counted on pages."""


class Room(NamedTuple):
    """How many entries the page has at most.

    `verdicts` have a row and a mark. `entries` is for any other list, and so many verdicts are
    told in full. `groups` are those of one verdict, and `characters` those of a text.
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
"""Groups and long texts are given up first, then what is told in full, then rows of verdicts."""


def most_rows(grouped: Sequence[Verdict], room: Room) -> int:
    """How many groups a heat map may have, so that all maps together are soon drawn."""
    return max(4, min(room.groups, MOST_CELLS // max(1, len(grouped))))


def estimate(run: Run, room: Room) -> int:
    """About how many bytes the page takes in this room; nothing is drawn to find out."""
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
    """What a verdict told in full takes, with its worst items."""
    texts = [*verdict.reasons, *verdict.assumptions, *verdict.notes, verdict.reproduce]
    texts += [text for one in verdict.artefact for text in (one.what, one.dense, one.compressed)]
    said = [text for i in verdict.worst for text in (i.prompt, i.dense_text, i.compressed_text)]
    return (
        FULL
        + 4 * _bytes([verdict.name, verdict.compression], NAME)
        + _bytes([verdict.dataset, verdict.scorer], NAME)
        + _bytes([*texts, *said], room.characters)
        + LINE * len(texts)
        + ITEM * len(verdict.worst)
        + sum(GROUP + _bytes([one.group], NAME) for one in verdict.groups[: room.groups])
        + FIGURE * min(len(verdict.figures), room.entries)
    )


def _bytes(texts: Iterable[str], characters: int) -> int:
    """What texts take as they are shown, cut to so many characters each."""
    return sum(len(escape(told(text, characters)).encode("utf-8", "replace")) for text in texts)
