"""LAMA: facts of T-REx as sentences with a blank (Petroni et al. 2019, arXiv 1909.01066)."""

from __future__ import annotations

from dataclasses import dataclass
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
    """One question a fact: the relation's template with its subject, and a blank to fill."""

    name: ClassVar[str] = "lama"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read `relations.jsonl` and `TREx/<relation>.jsonl` beside it.

        Ids are `lama/<relation>/<uuid>`, groups and clusters the relations: one template is one
        way to ask. Raises DatasetError as in Dataset; no table of the hub is pinned.
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
    """Items of rows, in order; the answers of all facts that ask alike are accepted.

    A causal model cannot fill a mask, so it is asked to name what belongs into the blank.
    """
    asked: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for row in rows:
        try:
            relation, subject, answer = row["predicate_id"], row["sub_label"], row["obj_label"]
            key = relation, subject
            uuid = row["uuid"]
            template = templates[relation]
        except KeyError as error:
            message = f"not a row of LAMA's T-REx ({error!r}): {str(row)[:200]}"
            raise DatasetError(message) from error
        sentence = template.replace("[X]", subject).replace("[Y]", BLANK).replace(" .", ".")
        prompt = f"Fill in the blank: {sentence}\nAnswer:"
        asked.setdefault(key, (f"{uuid}\n{prompt}", []))[1].append(answer)
    items = []
    for (relation, _), (text, answers) in asked.items():
        uuid, _, prompt = text.partition("\n")
        items.append(
            QuestionItem(
                f"lama/{relation}/{uuid}",
                prompt,
                (f"relation:{relation}",),
                relation,
                answers=tuple(dict.fromkeys(answers)),
            )
        )
    return tuple(items)
