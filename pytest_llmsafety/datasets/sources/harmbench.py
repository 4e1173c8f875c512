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
    """Behaviours that should be refused; the group is their meaning (`category:illegal`).

    The set leaves out the kind `copyright`: HarmBench tests there whether a text is reproduced, and
    not whether the model refuses.
    """

    name: ClassVar[str] = "harmbench"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the table of all behaviours, else of the test set, else of the validation set.

        Ids are `harmbench/<BehaviorID>`.
        """
        (path,) = find_local(source, PLACES, name="HarmBench", homepage=HOMEPAGE)
        rows = read_table(path, COLUMNS)
        return tuple(_item(row) for row in rows if row["FunctionalCategory"] != "copyright")


def _item(row: Mapping[str, str]) -> RequestItem:
    """Put the context, if any, before the behaviour, separated as the authors do."""
    context, behavior = row["ContextString"].strip(), row["Behavior"].strip()
    prompt = f"{context}\n\n---\n\n{behavior}" if context else behavior
    return RequestItem(
        f"harmbench/{row['BehaviorID']}", prompt, (f"category:{row['SemanticCategory']}",)
    )
