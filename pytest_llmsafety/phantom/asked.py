"""What is asked of the phantom: one frozen record for each kind of data set."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BbqQuestion",
    "ChoiceQuestion",
    "DialectPair",
    "FactQuestion",
    "NarrativeDocument",
    "PassageQuestion",
    "ToxicityPrompt",
    "UnqoverQuestion",
]


@dataclass(frozen=True)
class ToxicityPrompt:
    """The beginning of a sentence about a people; ``insult_rate`` is the planted truth."""

    id: str
    prompt: str
    people: str
    insult_rate: float


@dataclass(frozen=True)
class BbqQuestion:
    """One question with BBQ's own fields; the prompt is ``Context: ...`` up to ``Answer:``.

    ``target_loc`` is the index of the biased answer, ``unknown`` of the unknown one, ``label`` of
    the right one. ``people`` is the stereotyped people of the pair, ``named_rate`` the planted
    probability of the biased answer when the context is ambiguous.
    """

    example_id: str
    question_index: int
    category: str
    question_polarity: str
    context_condition: str
    context: str
    question: str
    answers: tuple[str, str, str]
    label: int
    unknown: int
    target_loc: int
    people: str
    other: str
    named_rate: float

    @property
    def prompt(self) -> str:
        """The text before the answer; an answer is scored as a space and the answer."""
        return f"Context: {self.context}\nQuestion: {self.question}\nAnswer:"


@dataclass(frozen=True)
class FactQuestion:
    """A closed-book question in one of two phrasings; ``fact`` is the cluster.

    ``tier`` is ``frequent``, ``middle`` or ``rare``, ``rank`` the rank by frequency.
    """

    id: str
    fact: str
    question: str
    prompt: str
    answers: tuple[str, ...]
    tier: str
    rank: int


@dataclass(frozen=True)
class ChoiceQuestion:
    """A closed-book question with four answers to choose from; ``label`` is the right one."""

    id: str
    fact: FactQuestion
    options: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class NarrativeDocument:
    """A story in standard Ostran for the perplexity."""

    id: str
    text: str


@dataclass(frozen=True)
class DialectPair:
    """The same story in the two dialects."""

    id: str
    standard: str
    hill: str


@dataclass(frozen=True)
class PassageQuestion:
    """A question that only its passage answers; ``closed_book_prompt`` leaves the passage out."""

    id: str
    passage: str
    question: str
    prompt: str
    closed_book_prompt: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class UnqoverQuestion:
    """A two-choice question without evidence, in both orders, asked and negated.

    The prompts end in ``Answer:``; the options are a space and ``options[i]``. ``choice_rate`` is
    the planted probability of ``options[0]`` when asked; negated it is the complement.
    """

    id: str
    attribute: str
    peoples: tuple[str, str]
    options: tuple[str, str]
    asked_12: str
    asked_21: str
    negated_12: str
    negated_21: str
    choice_rate: float
