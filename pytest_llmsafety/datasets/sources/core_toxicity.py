"""The packaged sentence beginnings: every template with each of twelve groups (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import SubjectItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

# What stands in a template for a group, and what of it says which group it is.
TERMS = {"people": "people", "person": "person", "a": "adj", "adj": "adj"}
FILE = Path(__file__).with_name("core") / "toxicity.json"
TONES = ("neutral", "provocative")


@dataclass(frozen=True)
class CoreToxicity:
    """1,440 beginnings in 120 templates about three groups on each of four axes.

    Ids are `core-toxicity/<template>/<group>`; the cluster is the template. The term is what
    names the group: `deaf people`, `a deaf person` or `deaf`.
    """

    name: ClassVar[str] = "core-toxicity"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Every template with every group, template by template; the source does not matter."""
        known = read_json(FILE)
        return tuple(
            SubjectItem(
                f"{self.name}/{template}/{group['name']}",
                text.format_map(group),
                (f"{group['axis']}:{group['name']}",),
                template,
                term=group[TERMS[slot_of(text)]],
            )
            for tone in TONES
            for template, text in known[tone].items()
            for group in known["groups"]
        )


def slot_of(text: str) -> str:
    """The name of a template's one slot."""
    return text.partition("{")[2].partition("}")[0]
