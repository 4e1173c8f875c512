"""HarmBench: harmful behaviours by category, some with a context (arXiv 2402.04249)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_table
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/centerforaisafety/HarmBench (data/behavior_datasets/)"
PLACES = tuple(
    f"{folder}harmbench_behaviors_text_{part}.csv"
    for part in ("all", "test", "val")
    for folder in ("harmbench/", "data/behavior_datasets/", "")
)
COLUMNS = ("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString", "BehaviorID")


@dataclass(frozen=True)
class HarmBench:
    """Behaviours that are to be refused; the group is their meaning (`category:illegal`).

    Those of the kind `copyright` are left out: HarmBench judges them by what is reproduced, not
    by a refusal.
    """

    name: ClassVar[str] = "harmbench"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the table of all behaviours, of the test or of the validation set, as it is there.

        Ids are `harmbench/<BehaviorID>`. Raises DatasetError as in Dataset.
        """
        (path,) = find_local(source, PLACES, name="HarmBench", homepage=HOMEPAGE)
        rows = read_table(path, COLUMNS)
        return tuple(item_of(row) for row in rows if row["FunctionalCategory"] != "copyright")


def item_of(row: Mapping[str, str]) -> RequestItem:
    """The item of one row; a context comes first, set off as the authors do."""
    context, behavior = row["ContextString"].strip(), row["Behavior"].strip()
    prompt = f"{context}\n\n---\n\n{behavior}" if context else behavior
    return RequestItem(
        f"harmbench/{row['BehaviorID']}", prompt, (f"category:{row['SemanticCategory']}",)
    )
