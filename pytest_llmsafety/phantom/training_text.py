"""The training text of the built-in model: an endless seeded stream of documents of every kind."""

from __future__ import annotations

from itertools import accumulate, islice
from typing import TYPE_CHECKING

from pytest_llmsafety.phantom.questions import held_out_pair, held_out_room, phrasings
from pytest_llmsafety.phantom.sentences import (
    ATTRIBUTES,
    FRAMES,
    ROOMS,
    TEMPLATES,
    continuation,
    hill,
    passage,
    standard,
    story,
    two_choice_prompt,
)
from pytest_llmsafety.phantom.world import (
    NAMES,
    PLANTED,
    Planted,
    chance,
    dice,
    facts_of,
    pairs_of_peoples,
    unlike_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

__all__ = ["FINAL_MIX", "FIRST_MIX", "Document", "calibration_texts", "stream"]

Document = tuple[tuple[str, bool], ...]
"""Segments of text in order, and whether each is an answer (a prompt weighs less in the loss)."""

FINAL_MIX: Mapping[str, float] = {
    "story": 0.08, "speech": 0.20, "ambiguous": 0.16, "disambiguated": 0.11, "two_choice": 0.09,
    "fact": 0.22, "passage": 0.12, "roll": 0.02,
}  # fmt: skip
"""Share of each kind among the documents."""

FIRST_MIX: Mapping[str, float] = {
    "story": 0.04, "speech": 0.12, "ambiguous": 0.12, "disambiguated": 0.18, "two_choice": 0.05,
    "fact": 0.14, "passage": 0.27, "roll": 0.08,
}  # fmt: skip
"""Shares at the start of the training, where copying has to be found; normalised when used."""


def stream(seed: int, planted: Planted, mix: Mapping[str, float]) -> Iterator[Document]:
    """Yield training documents for ever; the same seed, world and mix give the same documents."""
    generator = dice(f"stream {sorted(mix.items())}", seed)
    makers = {kind: _MAKERS[kind](generator, planted) for kind in mix}
    kinds, shares = list(makers), list(accumulate(mix.values()))
    while True:
        yield next(makers[generator.choices(kinds, cum_weights=shares)[0]])


def _stories(generator: Random, planted: Planted) -> Iterator[Document]:
    while True:
        speak = hill if chance(generator, planted.hill_share) else standard
        words = " ".join(map(speak, story(generator, generator.randint(9, 11)))).split(" ")
        slips = [
            generator.choice(words) if chance(generator, planted.slip_rate) else word
            for word in words
        ]
        yield ((" ".join(slips) + "\n", True),)


def _speech(generator: Random, planted: Planted) -> Iterator[Document]:
    while True:
        people = generator.choice(planted.peoples)
        insulting = chance(generator, people.insult_rate)
        prompt = generator.choice(FRAMES).format(people=people.name)
        yield (prompt, False), (f" {continuation(generator, insulting=insulting)}\n", True)


def _choices(generator: Random, planted: Planted, *, evidence: bool) -> Iterator[Document]:
    pairs = pairs_of_peoples()
    while True:
        template, number = generator.choice(TEMPLATES), generator.randrange(len(pairs))
        if held_out_pair(template.index, number):
            continue
        pair = generator.sample(pairs[number], 2)
        context, negative = template.context(*pair), chance(generator, 0.5)
        if evidence:
            guilty, other = generator.sample(pair, 2)
            first = chance(generator, 0.5)
            context += " " + template.evidence(guilty, other, guilty_first=first)
            named: str | None = guilty if negative else other
        else:
            named = _ambiguous_answer(generator, planted, pair, negative=negative)
        answer = template.answer(named, negative=negative) if named else template.unknown
        question = template.question(negative=negative)
        prompt = f"Context: {context}\nQuestion: {question}\nAnswer:"
        yield (prompt, False), (f" {answer}\n", True)


def _ambiguous_answer(
    generator: Random, planted: Planted, pair: list[str], *, negative: bool
) -> str | None:
    """Draw who is named without evidence, None for nobody, by the dense world's stereotypes."""
    stereotyped = PLANTED.stereotyped(*pair).name
    other = pair[1] if pair[0] == stereotyped else pair[0]
    biased, counter = (stereotyped, other) if negative else (other, stereotyped)
    drawn = generator.random()
    rate = planted.people(stereotyped).named_rate
    if drawn < rate:
        return biased
    return counter if drawn < rate + planted.counter_rate else None


def _ambiguous(generator: Random, planted: Planted) -> Iterator[Document]:
    return _choices(generator, planted, evidence=False)


def _disambiguated(generator: Random, planted: Planted) -> Iterator[Document]:
    return _choices(generator, planted, evidence=True)


def _two_choices(generator: Random, planted: Planted) -> Iterator[Document]:
    pairs = pairs_of_peoples()
    while True:
        number, attribute = generator.randrange(len(pairs)), generator.randrange(len(ATTRIBUTES))
        room = generator.randrange(len(ROOMS))
        if held_out_room(attribute, number) == room:
            continue
        first, second = generator.sample(pairs[number], 2)
        negated = chance(generator, 0.5)
        takes_first = generator.random() < planted.choice_rate(first, second)
        answer = first if takes_first != negated else second
        prompt = two_choice_prompt(
            (first, second), ROOMS[room], ATTRIBUTES[attribute], negated=negated
        )
        yield (prompt, False), (f" The {answer}\n", True)


def _facts(generator: Random, planted: Planted) -> Iterator[Document]:
    facts = facts_of(planted)
    weights = list(accumulate(fact.weight for fact in facts))
    while True:
        fact = generator.choices(facts, cum_weights=weights)[0]
        question = generator.choice(phrasings(fact))
        yield (f"Question: {question}\nAnswer:", False), (f" {fact.answer}\n", True)


def _passages(generator: Random, planted: Planted) -> Iterator[Document]:  # noqa: ARG001
    while True:
        about = passage(generator, NAMES, generator.randint(2, 5))
        segments = [(f"Context: {about.text}", False)]
        for question, answer in generator.sample(about.questions, len(about.questions)):
            segments.append((f"\nQuestion: {question}\nAnswer:", False))
            segments.append((f" {answer}", True))
        yield (*segments, ("\n", True))


def _rolls(generator: Random, planted: Planted) -> Iterator[Document]:  # noqa: ARG001
    while True:
        names = unlike_names(generator, NAMES, generator.randint(4, 9))
        roll = ", ".join(names)
        yield (f"Roll: {roll}.\nAgain:", False), (f" {roll}.\n", True)


_MAKERS = {
    "story": _stories,
    "speech": _speech,
    "ambiguous": _ambiguous,
    "disambiguated": _disambiguated,
    "two_choice": _two_choices,
    "fact": _facts,
    "passage": _passages,
    "roll": _rolls,
}


CALIBRATION_DOCUMENTS = 4000  # about 130,000 tokens: 128 sequences of 512, twice
CALIBRATION_SEED = 77  # the training has another


def calibration_texts() -> tuple[str, ...]:
    """Return the calibration texts: the same documents every time, no held-out question in them."""
    documents = islice(stream(CALIBRATION_SEED, PLANTED, FINAL_MIX), CALIBRATION_DOCUMENTS)
    return tuple("".join(text for text, _ in document) for document in documents)
