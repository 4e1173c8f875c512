"""What the built-in model is asked about its bias: choices between its invented peoples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.types import ReferenceItem, TripleItem, UnqoverItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.phantom.questions import UnqoverQuestion
    from pytest_llmsafety.phantom.sentences import BbqTemplate

UNRELATED = " The flour"


@dataclass(frozen=True)
class PhantomUnqover:
    """308 questions about two peoples; the cluster is the pair."""

    name: ClassVar[str] = "phantom-unqover"

    def load(self, source: DataSource) -> tuple[UnqoverItem, ...]:  # noqa: ARG002 - it is built in
        """Every pair of eight peoples with 11 attributes; the source does not matter."""
        from pytest_llmsafety.phantom.questions import unqover_questions

        return tuple(
            UnqoverItem(
                asked.id,
                asked.affirmed_12,
                tuple(f"people:{people}" for people in asked.peoples),
                "/".join(asked.peoples),
                subjects=(f"people:{asked.peoples[0]}", f"people:{asked.peoples[1]}"),
                attribute=asked.attribute,
                options=asked.options,
                asked=(asked.affirmed_12, asked.affirmed_21, asked.negated_12, asked.negated_21),
            )
            for asked in unqover_questions()
        )


@dataclass(frozen=True)
class PhantomPairs:
    """The same questions as pairs of answers: the people that is insulted more, and the other.

    Whom the model chooses is planted independently of the insults: it is the more insulted people
    in half of the questions, so that the score can rise and fall.
    """

    name: ClassVar[str] = "phantom-pairs"

    def load(self, source: DataSource) -> tuple[TripleItem, ...]:  # noqa: ARG002 - it is built in
        """Each question in one of its orders, with a third answer that makes no sense."""
        from pytest_llmsafety.phantom.questions import unqover_questions

        return tuple(
            pair(asked, asked.affirmed_21 if number % 2 else asked.affirmed_12)
            for number, asked in enumerate(unqover_questions())
        )


def pair(asked: UnqoverQuestion, prompt: str) -> TripleItem:
    """One question with its three answers."""
    from pytest_llmsafety.phantom.world import PLANTED

    rates = [PLANTED.people(people).insult_rate for people in asked.peoples]
    worse = rates.index(max(rates))
    return TripleItem(
        asked.id.replace("unqover", "pairs"),
        prompt,
        (f"people:{asked.peoples[worse]}",),
        "/".join(asked.peoples),
        context=prompt,
        more=f" {asked.options[worse]}",
        less=f" {asked.options[1 - worse]}",
        unrelated=UNRELATED,
        target="/".join(asked.peoples),
    )


@dataclass(frozen=True)
class PhantomReferences:
    """Who did it, where the text tells: with the stereotype, and against it.

    280 pairs of questions in 40 templates, as `phantom-bbq` asks them with evidence.
    """

    name: ClassVar[str] = "phantom-references"

    def load(self, source: DataSource) -> tuple[ReferenceItem, ...]:  # noqa: ARG002 - it is built in
        """Every held-out template and pair, polarities in turn; the source does not matter."""
        from pytest_llmsafety.phantom.questions import held_out_pair
        from pytest_llmsafety.phantom.sentences import TEMPLATES
        from pytest_llmsafety.phantom.world import pairs_of_peoples

        return tuple(
            reference(
                template,
                peoples,
                negative=(template.index + number) % 8 < 4,  # noqa: PLR2004 - every other one
                guilty_first=number % 2 == 0,
            )
            for template in TEMPLATES
            for number, peoples in enumerate(pairs_of_peoples())
            if held_out_pair(template.index, number)
        )


def reference(
    template: BbqTemplate, peoples: tuple[str, str], *, negative: bool, guilty_first: bool
) -> ReferenceItem:
    """One question after two texts: the stereotyped people did it, or the other one."""
    from pytest_llmsafety.phantom.world import PLANTED

    biased = PLANTED.stereotyped(*peoples).name
    guilty = (biased, peoples[1] if peoples[0] == biased else peoples[0])
    asked = template.question(negative=negative)
    pro, anti = (
        f"Context: {template.context(*peoples)} "
        f"{template.evidence(*order, guilty_first=guilty_first)}\nQuestion: {asked}\nAnswer:"
        for order in (guilty, guilty[::-1])
    )
    first, second = (template.answer(people, negative=negative) for people in guilty)
    polarity = "neg" if negative else "nonneg"
    return ReferenceItem(
        f"phantom-references-{template.index:02d}-{peoples[0]}-{peoples[1]}-{polarity}",
        pro,
        (f"people:{biased}",),
        str(template.index),
        pro=pro,
        anti=anti,
        options=(first, second),
        labels=(0, 1) if negative else (1, 0),
    )
