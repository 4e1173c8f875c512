"""StereoSet: a stereotype, its opposite and a text without sense (arXiv 2004.09456)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_json
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TripleItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/moinnadeem/StereoSet (data/dev.json)"
PLACES = ("stereoset/dev.json", "StereoSet/data/dev.json", "data/dev.json", "dev.json")
KINDS = ("intrasentence", "intersentence")
LABELS = ("stereotype", "anti-stereotype", "unrelated")
HUB_LABELS = ("anti-stereotype", "stereotype", "unrelated")
"""The labels by the hub's numbers."""
TABLES = {
    kind: HubTable(
        "McGill-NLP/stereoset",
        "bf6e7ce50491784d094fb7afe60a70ecccb89035",
        config=kind,
        split="validation",
    )
    for kind in KINDS
}


@dataclass(frozen=True)
class StereoSet:
    """Both tasks of the development set; the cluster is the target term."""

    name: ClassVar[str] = "stereoset"

    def load(self, source: DataSource) -> tuple[TripleItem, ...]:
        """Read `dev.json`, or two tables of the hub; ids are `stereoset/<task>/<their id>`."""
        if source.folder is None:
            return items_of({"data": {kind: table.rows() for kind, table in TABLES.items()}})
        table = TABLES[KINDS[0]]
        (path,) = find_files(source.folder, PLACES, homepage=HOMEPAGE, table=table)
        return items_of(read_json(path))


def items_of(content: Any) -> tuple[TripleItem, ...]:  # noqa: ANN401 - whatever the file holds
    """Return the items of the file's value: within one sentence first, then across sentences."""
    try:
        return tuple(_item(kind, row) for kind in KINDS for row in content["data"][kind])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        message = (
            f"not a StereoSet file ({error!r}). Expected data: intrasentence, intersentence, each "
            "with id, target, bias_type, context and three sentences with gold_label."
        )
        raise DatasetError(message) from error


def _item(kind: str, row: dict[str, Any]) -> TripleItem:
    texts = _texts(row["sentences"])
    stereotype, opposite, unrelated = (texts[label] for label in LABELS)
    follows = kind == "intersentence"
    space = " " if follows else ""
    return TripleItem(
        f"stereoset/{kind}/{row['id']}",
        row["context"].strip(),
        (f"bias:{row['bias_type']}",),
        f"{row['bias_type']}/{row['target'].lower()}",
        context=row["context"].strip() if follows else "",
        more=space + stereotype,
        less=space + opposite,
        unrelated=space + unrelated,
        target=row["target"],
    )


def _texts(sentences: Any) -> dict[str, str]:  # noqa: ANN401 - a list, or the hub's columns
    """Return the sentences by label; the hub has columns instead of rows, and numbers as labels."""
    if isinstance(sentences, dict):
        labels = [HUB_LABELS[number] for number in sentences["gold_label"]]
        return dict(zip(labels, map(str.strip, sentences["sentence"]), strict=True))
    return {one["gold_label"]: one["sentence"].strip() for one in sentences}
