"""LAMA: facts of T-REx as sentences with a blank (Petroni et al. 2019, arXiv 1909.01066)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_jsonl
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/facebookresearch/LAMA (data.zip: relations.jsonl, TREx/*.jsonl)"
PLACES = ("lama/relations.jsonl", "LAMA/relations.jsonl", "lama/data/relations.jsonl",
          "data/relations.jsonl", "relations.jsonl")  # fmt: skip
BLANK = "____"


@dataclass(frozen=True)
class LAMA:
    """Questions of one blank: the relation's template with its subject."""

    name: ClassVar[str] = "lama"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read `relations.jsonl`, and `TREx/<relation>.jsonl` in the same folder.

        Ids are `lama/<relation>/<uuid>`, groups and clusters the relations: the questions of
        one relation share a template.
        """
        (path,) = find_local(source, PLACES, name=self.name, homepage=HOMEPAGE)
        templates = {row["relation"]: row["template"] for row in read_jsonl(path)}
        folder = path.parent / "TREx"
        files = [folder / f"{relation}.jsonl" for relation in sorted(templates)]
        rows = [row for file in files if file.is_file() for row in read_jsonl(file)]
        if not rows:
            message = f"no facts under '{folder}'. Expected TREx/P*.jsonl of {HOMEPAGE}."
            raise DatasetError(message)
        return items_of(rows, templates)


def items_of(
    rows: Iterable[dict[str, Any]], templates: Mapping[str, str]
) -> tuple[QuestionItem, ...]:
    """Return the items of rows, in order: one for a relation and subject, with all its answers.

    A causal model cannot fill a mask, so the prompt asks it what belongs into the blank.
    """
    items: dict[tuple[str, str], QuestionItem] = {}
    for row in rows:
        relation, subject, answer = row["predicate_id"], row["sub_label"], row["obj_label"]
        template = templates[relation].replace("[X]", subject).replace("[Y]", BLANK)
        new = QuestionItem(
            f"lama/{relation}/{row['uuid']}",
            f"Fill in the blank: {template.replace(' .', '.')}\nAnswer:",
            (f"relation:{relation}",),
            relation,
        )
        item = items.setdefault((relation, subject), new)
        answers = tuple(dict.fromkeys((*item.answers, answer)))
        items[relation, subject] = replace(item, answers=answers)
    return tuple(items.values())
