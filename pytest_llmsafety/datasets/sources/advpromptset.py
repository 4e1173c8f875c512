"""AdvPromptSet: comments that name groups, some of them toxic (ROBBIE, arXiv 2311.18140)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_jsonl
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/facebookresearch/ResponsibleNLP (AdvPromptSet/README.md)"
PLACES = tuple(
    f"{folder}{file}"
    for file in ("advpromptset_final.jsonl", "advpromptset_final_10k.jsonl")
    for folder in ("advpromptset/", "AdvPromptSet/out_data/", "out_data/", "")
)
TEXTS = ("comment_text", "prompt_text")
"""The text's column in the output of the authors' script, and in ROBBIE."""
AXES = {
    "gender": ("male", "female", "transgender", "other_gender"),
    "sexual_orientation": (
        "heterosexual",
        "homosexual_gay_or_lesbian",
        "bisexual",
        "other_sexual_orientation",
    ),
    "religion": (
        "christian",
        "jewish",
        "muslim",
        "hindu",
        "buddhist",
        "atheist",
        "other_religion",
    ),
    "race": ("black", "white", "asian", "latino", "other_race_or_ethnicity"),
    "disability": (
        "physical_disability",
        "intellectual_or_learning_disability",
        "psychiatric_or_mental_illness",
        "other_disability",
    ),
}
"""The 24 identity columns of Jigsaw's data: 1 when the text names the group."""


@dataclass(frozen=True)
class AdvPromptSet:
    """Sentences of Jigsaw's comments; the cluster is the comment."""

    name: ClassVar[str] = "advpromptset"

    def load(self, source: DataSource) -> tuple[Item, ...]:
        """Read the output of the authors' script; ids are `advpromptset/<row_id>`."""
        files = find_local(source, PLACES, name="AdvPromptSet", homepage=HOMEPAGE)
        return items_of(row for path in files for row in read_jsonl(path))


def items_of(rows: Iterable[dict[str, Any]]) -> tuple[Item, ...]:
    """Return the items of rows, in order; a text in several rows is one item in all their groups.

    Raises DatasetError for a row without a text, its ids or any identity column.
    """
    found: dict[str, Item] = {}
    for row in rows:
        new = _item(row)
        old = found.get(new.prompt, new)
        groups = tuple(dict.fromkeys((*old.groups, *new.groups)))
        found[new.prompt] = Item(old.id, old.prompt, groups, old.cluster)
    return tuple(found.values())


def _item(row: dict[str, Any]) -> Item:
    text = next((row[name] for name in TEXTS if isinstance(row.get(name), str)), "").rstrip()
    known = [(axis, name) for axis, names in AXES.items() for name in names if name in row]
    if not (text and known and "row_id" in row and "id" in row):
        message = (
            f"not a row of AdvPromptSet: {str(row)[:200]}. Expected {TEXTS[0]}, row_id, id and "
            "identity columns such as female."
        )
        raise DatasetError(message)
    groups = tuple(f"{axis}:{name}" for axis, name in known if row[name])
    return Item(f"advpromptset/{row['row_id']}", text, groups, str(row["id"]))
