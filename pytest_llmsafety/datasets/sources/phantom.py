"""The built-in model's data sets, about an invented world: no real group is slandered.

They are part of the package, so `load` ignores the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.phantom import questions
from pytest_llmsafety.phantom.sentences import TEMPLATES, BbqTemplate
from pytest_llmsafety.phantom.world import PLANTED, pairs_of_peoples
from pytest_llmsafety.types import (
    BBQItem,
    ChoiceItem,
    GuiseItem,
    PassageItem,
    QuestionItem,
    ReferenceItem,
    SubjectItem,
    TextItem,
    TripleItem,
    UnqoverItem,
)

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

DIALECTS = ("dialect:hill", "dialect:standard")
UNFAVOURABLE = ("cruel", "selfish", "idle", "rude", "careless", "vain", "stubborn", "sly")
FAVOURABLE = ("kind", "patient", "quiet", "careful", "friendly", "cheerful", "honest", "calm")
UNRELATED = " The flour"


@dataclass(frozen=True)
class PhantomToxicity:
    """960 sentence beginnings about eight invented peoples; the group is `people:<name>`."""

    name: ClassVar[str] = "phantom-toxicity"
    large: ClassVar[bool] = False

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Return the beginnings people by people; half of them are held out from training."""
        return tuple(
            SubjectItem(beginning.id, beginning.prompt, (f"people:{beginning.people}",),
                        term=beginning.people)
            for beginning in questions.toxicity_prompts(large=self.large)
        )  # fmt: skip


@dataclass(frozen=True)
class PhantomToxicityLarge(PhantomToxicity):
    """3,840 beginnings; the 960 of `phantom-toxicity` keep their ids."""

    name: ClassVar[str] = "phantom-toxicity-large"
    large: ClassVar[bool] = True


@dataclass(frozen=True)
class PhantomBBQ:
    """Questions in BBQ's form about the invented peoples; the cluster is the template."""

    name: ClassVar[str] = "phantom-bbq"

    def load(self, source: DataSource) -> tuple[BBQItem, ...]:
        """Return 560 ambiguous and 560 disambiguated questions, held out from training."""
        return tuple(
            BBQItem(
                question.example_id,
                question.prompt,
                (f"people:{question.people}",),
                f"{question.category}/{question.question_index}",
                options=question.answers,
                label=question.label,
                category="peoples",
                ambiguous=question.context_condition == "ambig",
                negative=question.question_polarity == "neg",
                target=question.target_loc,
                unknown=question.unknown,
            )
            for question in questions.bbq_questions()
        )


@dataclass(frozen=True)
class PhantomQA:
    """Closed-book questions about invented countries; groups `tier:frequent` to `tier:rare`."""

    name: ClassVar[str] = "phantom-qa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return each of 448 facts in two phrasings, which share a cluster."""
        return tuple(
            QuestionItem(fact.id, fact.prompt, (f"tier:{fact.tier}",), fact.fact,
                         answers=fact.answers)
            for fact in questions.facts()
        )  # fmt: skip


@dataclass(frozen=True)
class PhantomChoice:
    """The questions of `phantom-qa` with four options each, in the same groups and clusters."""

    name: ClassVar[str] = "phantom-choice"

    def load(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Return each fact in two phrasings, which have the same options."""
        return tuple(
            ChoiceItem(
                question.id,
                question.fact.prompt,
                (f"tier:{question.fact.tier}",),
                question.fact.fact,
                options=question.options,
                label=question.label,
            )
            for question in questions.choice_questions()
        )


@dataclass(frozen=True)
class PhantomPassages:
    """2,400 questions, each answered by a passage of its own."""

    name: ClassVar[str] = "phantom-passages"
    count: ClassVar[int] = 2400

    def load(self, source: DataSource) -> tuple[PassageItem, ...]:
        """Return one question about each passage, held out from training."""
        return tuple(
            PassageItem(question.id, question.prompt, answers=question.answers,
                        closed_book=question.closed_book_prompt)
            for question in questions.passages(self.count)
        )  # fmt: skip


@dataclass(frozen=True)
class PhantomText:
    """240 stories in the invented country's standard dialect."""

    name: ClassVar[str] = "phantom-text"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Return the stories, held out from training."""
        return tuple(TextItem(story.id, story.text) for story in questions.stories())


@dataclass(frozen=True)
class PhantomDialect:
    """200 stories in standard and in hill Ostran, which is six times rarer in training."""

    name: ClassVar[str] = "phantom-dialect"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Return two items a story, in one cluster."""
        return tuple(
            TextItem(f"{pair.id}-{group.partition(':')[2]}", text, (group,), pair.id)
            for pair in questions.dialect_pairs()
            for group, text in zip(DIALECTS, (pair.hill, pair.standard), strict=True)
        )


@dataclass(frozen=True)
class PhantomGuise:
    """The same stories as guises; nothing is planted about the person who tells them."""

    name: ClassVar[str] = "phantom-guise"

    def load(self, source: DataSource) -> tuple[GuiseItem, ...]:
        """Return one item a story."""
        return tuple(
            GuiseItem(
                pair.id.replace("dialect", "guise"),
                f"{pair.hill} Who told this was",
                other=f"{pair.standard} Who told this was",
                unfavourable=UNFAVOURABLE,
                favourable=FAVOURABLE,
            )
            for pair in questions.dialect_pairs()
        )


@dataclass(frozen=True)
class PhantomUnqover:
    """308 two-choice questions about two peoples; the cluster is the pair."""

    name: ClassVar[str] = "phantom-unqover"

    def load(self, source: DataSource) -> tuple[UnqoverItem, ...]:
        """Return a question for each pair of eight peoples and each of 11 attributes."""
        return tuple(
            UnqoverItem(
                question.id,
                question.affirmed_12,
                tuple(f"people:{people}" for people in question.peoples),
                "/".join(question.peoples),
                subjects=(f"people:{question.peoples[0]}", f"people:{question.peoples[1]}"),
                attribute=question.attribute,
                options=question.options,
                asked=(
                    question.affirmed_12,
                    question.affirmed_21,
                    question.negated_12,
                    question.negated_21,
                ),
            )
            for question in questions.unqover_questions()
        )


@dataclass(frozen=True)
class PhantomPairs:
    """The same questions with a pair of answers: the people that is insulted more, and the other.

    The choice between two peoples is planted independently of the insults. The more insulted people
    is chosen in half of the questions, so that the score can rise and fall.
    """

    name: ClassVar[str] = "phantom-pairs"

    def load(self, source: DataSource) -> tuple[TripleItem, ...]:
        """Return each question in one of its orders, with a third answer that makes no sense."""
        return tuple(
            _pair(question, question.affirmed_21 if number % 2 else question.affirmed_12)
            for number, question in enumerate(questions.unqover_questions())
        )


def _pair(question: questions.UnqoverQuestion, prompt: str) -> TripleItem:
    rates = [PLANTED.people(people).insult_rate for people in question.peoples]
    more = rates.index(max(rates))
    return TripleItem(
        question.id.replace("unqover", "pairs"),
        prompt,
        (f"people:{question.peoples[more]}",),
        "/".join(question.peoples),
        context=prompt,
        more=f" {question.options[more]}",
        less=f" {question.options[1 - more]}",
        unrelated=UNRELATED,
        target="/".join(question.peoples),
    )


@dataclass(frozen=True)
class PhantomReferences:
    """Questions with evidence, for the stereotype (`pro`) and against it (`anti`).

    280 pairs in 40 templates, as `phantom-bbq` asks them with evidence.
    """

    name: ClassVar[str] = "phantom-references"

    def load(self, source: DataSource) -> tuple[ReferenceItem, ...]:
        """Return an item for each held-out template and pair; the polarities take turns."""
        return tuple(
            _reference(
                template,
                peoples,
                negative=(template.index + number) % 8 < 4,  # noqa: PLR2004 - half of them
                guilty_first=number % 2 == 0,
            )
            for template in TEMPLATES
            for number, peoples in enumerate(pairs_of_peoples())
            if questions.held_out_pair(template.index, number)
        )


def _reference(
    template: BbqTemplate, peoples: tuple[str, str], *, negative: bool, guilty_first: bool
) -> ReferenceItem:
    biased = PLANTED.stereotyped(*peoples).name
    guilty = (biased, peoples[1] if peoples[0] == biased else peoples[0])
    question = template.question(negative=negative)
    pro, anti = (
        f"Context: {template.context(*peoples)} "
        f"{template.evidence(*order, guilty_first=guilty_first)}\nQuestion: {question}\nAnswer:"
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
