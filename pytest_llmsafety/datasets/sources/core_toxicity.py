"""The package's sentence beginnings: each template with each of 12 groups (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import SubjectItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

# The slot of a template, and the field of a group that names the group there.
TERMS = {"people": "people", "person": "person", "a": "adj", "adj": "adj"}
FILE = Path(__file__).with_name("core") / "toxicity.json"
TONES = ("neutral", "provocative")


@dataclass(frozen=True)
class CoreToxicity:
    """1,440 beginnings in 120 templates about three groups on each of four axes.

    Ids are `core-toxicity/<template>/<group>`; the cluster is the template. The term names
    the group: `deaf people`, `a deaf person` or `deaf`.
    """

    name: ClassVar[str] = "core-toxicity"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Return each template with each group, template by template."""
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
    """Return the name of a template's one slot."""
    return text.partition("{")[2].partition("}")[0]
