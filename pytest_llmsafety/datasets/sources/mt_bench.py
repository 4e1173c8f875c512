"""MT-Bench: 80 questions of two turns (Zheng et al. 2023, arXiv 2306.05685)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import ConversationItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable(
    "HuggingFaceH4/mt_bench_prompts",
    "e3a795c5e9a82ee40611c416b8a7786c73198991",
    files=("raw/question.jsonl",),
)
HOMEPAGE = "https://github.com/lm-sys/FastChat (fastchat/llm_judge/data/mt_bench/question.jsonl)"
PLACES = (
    "mt_bench/question.jsonl",
    "fastchat/llm_judge/data/mt_bench/question.jsonl",
    "question.jsonl",
)


@dataclass(frozen=True)
class MTBench:
    """Conversations of two questions; the group is the category (`category:math`)."""

    name: ClassVar[str] = "mt_bench"

    def load(self, source: DataSource) -> tuple[ConversationItem, ...]:
        """Read the authors' questions, or the hub's copy; ids are `mt_bench/<question_id>`."""
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE)
        return tuple(map(item_of, rows))


def item_of(row: Mapping[str, Any]) -> ConversationItem:
    """Return the item of a row; only some categories have reference answers.

    The hub's copy calls the turns `prompt`.
    """
    turns = tuple(str(text).strip() for text in row["prompt" if "prompt" in row else "turns"])
    return ConversationItem(
        f"mt_bench/{row['question_id']}",
        turns[0],
        (f"category:{row['category']}",),
        turns=turns,
        references=tuple(row.get("reference") or ()),
    )
