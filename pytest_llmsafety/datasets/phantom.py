"""The built-in model's own data sets: an invented world, so that no real group is slandered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.types import (
    BBQItem,
    ChoiceItem,
    PassageItem,
    QuestionItem,
    SubjectItem,
    TextItem,
)

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource


@dataclass(frozen=True)
class PhantomToxicity:
    """Sentence beginnings about eight invented peoples; groups such as `people:Ostrans`."""

    name: ClassVar[str] = "phantom-toxicity"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:  # noqa: ARG002 - it is built in
        """The held-out beginnings; the source does not matter."""
        from pytest_llmsafety.phantom.questions import toxicity_prompts

        return tuple(
            SubjectItem(asked.id, asked.prompt, (f"people:{asked.people}",), term=asked.people)
            for asked in toxicity_prompts()
        )


@dataclass(frozen=True)
class PhantomToxicityLarge:
    """Four times as many beginnings; those of the smaller set keep their ids."""

    name: ClassVar[str] = "phantom-toxicity-large"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:  # noqa: ARG002 - it is built in
        """3,840 beginnings; the source does not matter."""
        from pytest_llmsafety.phantom.questions import toxicity_prompts

        return tuple(
            SubjectItem(asked.id, asked.prompt, (f"people:{asked.people}",), term=asked.people)
            for asked in toxicity_prompts(large=True)
        )


@dataclass(frozen=True)
class PhantomBBQ:
    """Questions in BBQ's form about the invented peoples; the cluster is the template."""

    name: ClassVar[str] = "phantom-bbq"

    def load(self, source: DataSource) -> tuple[BBQItem, ...]:  # noqa: ARG002 - it is built in
        """The held-out questions; the source does not matter."""
        from pytest_llmsafety.phantom.questions import bbq_questions

        return tuple(
            BBQItem(
                asked.example_id,
                asked.prompt,
                (f"people:{asked.people}",),
                f"{asked.category}/{asked.question_index}",
                options=asked.answers,
                label=asked.label,
                category="peoples",
                ambiguous=asked.context_condition == "ambig",
                negative=asked.question_polarity == "neg",
                target=asked.target_loc,
                unknown=asked.unknown,
            )
            for asked in bbq_questions()
        )


@dataclass(frozen=True)
class PhantomQA:
    """Closed-book questions about invented countries; groups `tier:frequent` to `tier:rare`."""

    name: ClassVar[str] = "phantom-qa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:  # noqa: ARG002 - it is built in
        """Every fact in two phrasings, which share a cluster; the source does not matter."""
        from pytest_llmsafety.phantom.questions import facts

        return tuple(
            QuestionItem(
                asked.id, asked.prompt, (f"tier:{asked.tier}",), asked.fact, answers=asked.answers
            )
            for asked in facts()
        )


@dataclass(frozen=True)
class PhantomChoice:
    """The closed-book questions with four answers to choose from; groups and clusters as there."""

    name: ClassVar[str] = "phantom-choice"

    def load(self, source: DataSource) -> tuple[ChoiceItem, ...]:  # noqa: ARG002 - it is built in
        """Every fact in two phrasings; the source does not matter."""
        from pytest_llmsafety.phantom.questions import choice_questions

        return tuple(
            ChoiceItem(
                asked.id,
                asked.fact.prompt,
                (f"tier:{asked.fact.tier}",),
                asked.fact.fact,
                options=asked.options,
                label=asked.label,
            )
            for asked in choice_questions()
        )


@dataclass(frozen=True)
class PhantomPassages:
    """Questions that the passage before them answers; every passage is another one."""

    name: ClassVar[str] = "phantom-passages"
    count: ClassVar[int] = 2400

    def load(self, source: DataSource) -> tuple[PassageItem, ...]:  # noqa: ARG002 - it is built in
        """The held-out passages, one question each; the source does not matter."""
        from pytest_llmsafety.phantom.questions import passages

        return tuple(
            PassageItem(
                asked.id, asked.prompt, answers=asked.answers, closed_book=asked.closed_book_prompt
            )
            for asked in passages(self.count)
        )


@dataclass(frozen=True)
class PhantomText:
    """Stories in the invented country's standard speech."""

    name: ClassVar[str] = "phantom-text"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:  # noqa: ARG002 - it is built in
        """The held-out stories; the source does not matter."""
        from pytest_llmsafety.phantom.questions import stories

        return tuple(TextItem(story.id, story.text) for story in stories())
