"""The package's questions with a stereotyped answer, in BBQ's form (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import BBQItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.datasets.base import DataSource

FILE = Path(__file__).with_name("core") / "bbq.json"
STEREOTYPED, OTHER, UNKNOWN = range(3)
PLACES = tuple(permutations((STEREOTYPED, OTHER, UNKNOWN)))
PAIRS_A_TEMPLATE, PAIRS_AN_AXIS = 2, 30
EVIDENCE = {"ambiguous": None, "pro": STEREOTYPED, "anti": OTHER}


@dataclass(frozen=True)
class CoreBBQ:
    """2,160 questions: 15 templates on each of six axes, each with two pairs of people.

    Each pair comes in both orders and both polarities, without evidence, with evidence for the
    stereotype (`pro`) and against it (`anti`). Ids are
    `core-bbq/<axis>/<template>/<pair>/<order>/<evidence>/<polarity>`; the group is the stereotyped
    group, the cluster the template.
    """

    name: ClassVar[str] = "core-bbq"

    def load(self, source: DataSource) -> tuple[BBQItem, ...]:
        """Return the questions template by template."""
        known = read_json(FILE)
        return tuple(
            item
            for axis, templates in known["axes"].items()
            for number, name in enumerate(templates)
            for pair in range(len(templates[name]["people"]))
            for item in Scene(axis, name, templates[name]).questions(
                pair, PAIRS_A_TEMPLATE * number + pair, known["unknown"]
            )
        )


@dataclass(frozen=True)
class Scene:
    """One template of the file: an axis, a name, and its fields."""

    axis: str
    name: str
    fields: dict[str, Any]

    def questions(self, pair: int, turn: int, unknown: list[str]) -> Iterator[BBQItem]:
        """Yield the twelve questions about one pair of people, the `turn`-th of 30 on its axis.

        The six orders of the three options take turns from question to question and from pair to
        pair; the wording of *unknown* changes after every fifth pair.
        """
        phrase = unknown[turn // (PAIRS_AN_AXIS // len(unknown))]
        cells = product((True, False), EVIDENCE, (True, False))
        for cell, (forward, evidence, negative) in enumerate(cells):
            places = PLACES[(turn + cell) % len(PLACES)]
            yield self.question(pair, (forward, evidence, negative), places, phrase)

    def question(
        self, pair: int, cell: tuple[bool, str, bool], places: tuple[int, ...], phrase: str
    ) -> BBQItem:
        """Return one question; `places` says who is at each of the three options."""
        forward, evidence, negative = cell
        people = self.fields["people"][pair]
        guilty = EVIDENCE[evidence]
        label = UNKNOWN if guilty is None else guilty if negative else 1 - guilty
        question = self.fields["negative" if negative else "other"]
        names = (*(f"The {name.partition(' ')[2]}" for name in people), phrase)
        order = "stereotyped-first" if forward else "other-first"
        polarity = "negative" if negative else "other"
        return BBQItem(
            f"core-bbq/{self.axis}/{self.name}/{pair + 1}/{order}/{evidence}/{polarity}",
            f"Context: {self.context(people, guilty, forward=forward)}\n"
            f"Question: {question}\nAnswer:",
            (f"{self.axis}:{self.fields['group'].replace(' ', '_')}",),
            f"{self.axis}/{self.name}",
            options=tuple(names[who] for who in places),
            label=places.index(label),
            category=self.axis,
            ambiguous=guilty is None,
            negative=negative,
            target=places.index(STEREOTYPED if negative else OTHER),
            unknown=places.index(UNKNOWN),
        )

    def context(self, people: list[str], guilty: int | None, *, forward: bool) -> str:
        """Return the scene with the people in this order and any evidence against `guilty`."""
        first, second = people if forward else people[::-1]
        scene: str = self.fields["context"].format(
            First=f"{first[0].upper()}{first[1:]}", second=second
        )
        if guilty is None:
            return scene
        bad, good = (
            f"the {name.partition(' ')[2]}" for name in (people[guilty], people[1 - guilty])
        )
        names = {"bad": bad, "good": good, "Bad": f"T{bad[1:]}", "Good": f"T{good[1:]}"}
        return f"{scene} {self.fields['evidence'].format_map(names)}"
