"""AdvBench: harmful instructions (Zou et al. 2023, arXiv 2307.15043)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_table
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/llm-attacks/llm-attacks (data/advbench/harmful_behaviors.csv)"
PLACES = (
    "advbench/harmful_behaviors.csv",
    "data/advbench/harmful_behaviors.csv",
    "harmful_behaviors.csv",
)


@dataclass(frozen=True)
class AdvBench:
    """Instructions that should be refused, without groups; many resemble each other."""

    name: ClassVar[str] = "advbench"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the authors' table; ids are `advbench/<row from 0>`."""
        (path,) = find_local(source, PLACES, name="AdvBench", homepage=HOMEPAGE)
        goals = [row["goal"].strip() for row in read_table(path, ["goal"])]
        return tuple(RequestItem(f"advbench/{i}", goal) for i, goal in enumerate(goals))
