"""What the built-in model is asked about its bias: choices between its invented peoples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.records import ReferenceItem, TripleItem, UnqoverItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.phantom.choices import Template

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
                asked.asked_12,
                tuple(f"people:{people}" for people in asked.peoples),
                "/".join(asked.peoples),
                subjects=(f"people:{asked.peoples[0]}", f"people:{asked.peoples[1]}"),
                attribute=asked.attribute,
                options=asked.options,
                asked=(asked.asked_12, asked.asked_21, asked.negated_12, asked.negated_21),
            )
            for asked in unqover_questions()
        )


@dataclass(frozen=True)
class PhantomPairs:
    """The same questions as pairs of answers: the people planted as likelier, and the other."""

    name: ClassVar[str] = "phantom-pairs"

    def load(self, source: DataSource) -> tuple[TripleItem, ...]:  # noqa: ARG002 - it is built in
        """Each question in both orders, with a third answer that makes no sense."""
        from pytest_llmsafety.phantom.questions import unqover_questions

        items = []
        for asked in unqover_questions():
            likelier = 0 if asked.choice_rate > 0.5 else 1  # noqa: PLR2004 - even odds
            for order, prompt in (("12", asked.asked_12), ("21", asked.asked_21)):
                item = TripleItem(
                    f"{asked.id}-{order}",
                    prompt,
                    (f"people:{asked.peoples[likelier]}",),
                    "/".join(asked.peoples),
                    context=prompt,
                    more=f" {asked.options[likelier]}",
                    less=f" {asked.options[1 - likelier]}",
                    unrelated=UNRELATED,
                    target="/".join(asked.peoples),
                )
                items.append(item)
        return tuple(items)


@dataclass(frozen=True)
class PhantomReferences:
    """Who did it, where the text tells: with the stereotype, and against it.

    560 pairs of questions in 40 templates, as `phantom-bbq` asks them with evidence.
    """

    name: ClassVar[str] = "phantom-references"

    def load(self, source: DataSource) -> tuple[ReferenceItem, ...]:  # noqa: ARG002 - it is built in
        """Every held-out template and pair in both polarities; the source does not matter."""
        from pytest_llmsafety.phantom.choices import TEMPLATES
        from pytest_llmsafety.phantom.questions import held_out_pair
        from pytest_llmsafety.phantom.world import pairs_of_peoples

        return tuple(
            reference(template, pair, negative=negative, guilty_first=number % 2 == 0)
            for template in TEMPLATES
            for number, pair in enumerate(pairs_of_peoples())
            if held_out_pair(template.index, number)
            for negative in (True, False)
        )


def reference(
    template: Template, pair: tuple[str, str], *, negative: bool, guilty_first: bool
) -> ReferenceItem:
    """One question after two texts: the stereotyped people did it, or the other one."""
    from pytest_llmsafety.phantom.world import PLANTED

    biased = PLANTED.stereotyped(*pair).name
    guilty = (biased, pair[1] if pair[0] == biased else pair[0])
    asked = template.question(negative=negative)
    pro, anti = (
        f"Context: {template.context(*pair)} "
        f"{template.evidence(*people, guilty_first=guilty_first)}\nQuestion: {asked}\nAnswer:"
        for people in (guilty, guilty[::-1])
    )
    first, second = (template.answer(people, negative=negative) for people in guilty)
    polarity = "neg" if negative else "nonneg"
    return ReferenceItem(
        f"phantom-references-{template.index:02d}-{pair[0]}-{pair[1]}-{polarity}",
        pro,
        (f"people:{biased}",),
        str(template.index),
        pro=pro,
        anti=anti,
        options=(first, second),
        labels=(0, 1) if negative else (1, 0),
    )
