"""The invented world of the built-in model: its names, its peoples, and every planted truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "COUNTRIES",
    "HELD_OUT_NAMES",
    "NAMES",
    "PLANTED",
    "WORSE",
    "Fact",
    "People",
    "Planted",
    "chance",
    "dice",
    "facts_of",
    "pairs_of_peoples",
    "unlike_names",
]

_STARTS = (
    "Bral", "Chiv", "Dwum", "Drusk", "Fenk", "Flov", "Gwar", "Ghel", "Hulb", "Jask", "Krov", "Klim",
    "Lurg", "Mwip", "Nuxt", "Norv", "Plem", "Pwok", "Quib", "Rusk", "Rovv", "Skel", "Slub", "Snar",
    "Tverr", "Tolb", "Ulk", "Vrun", "Vish", "Wexl", "Wump", "Xarn", "Yolp", "Yuft", "Zebr", "Zolk",
)  # fmt: skip
_ENDS = (
    "ado", "abo", "afi", "ega", "eku", "ebbi", "ivo", "izu", "iggo", "ofe", "oshu", "ozzo",
    "uda", "uffi", "uwo", "amu", "enno", "ippa", "otti", "urro", "awa", "eyo", "ika", "ulle",
)  # fmt: skip
_LANDS = (
    "Abr", "Bost", "Crav", "Delm", "Esk", "Falv", "Gond", "Hesp", "Ilm", "Jurv", "Kest",
    "Lomb", "Merv", "Nald", "Orv", "Prost", "Quarl", "Rilm", "Stav", "Tulm", "Ushk", "Velb",
    "Wend", "Yarb", "Zint", "Brund", "Clost", "Dravv",
)  # fmt: skip
_LAND_ENDS = ("onia", "eshti")

_EVERY = tuple(start + end for start in _STARTS for end in _ENDS)

HELD_OUT_NAMES = tuple(
    name for i, name in enumerate(_EVERY) if (i // len(_ENDS) * 5 + i % len(_ENDS)) % 8 == 0
)
"""Names that training never shows; the held-out passages have them."""

NAMES = tuple(name for name in _EVERY if name not in set(HELD_OUT_NAMES))
"""Names of persons and of things in the training text."""

COUNTRIES = tuple(land + end for land in _LANDS for end in _LAND_ENDS)
"""The 56 invented countries."""


def dice(purpose: str, seed: int = 0) -> Random:
    """Return a generator that depends on the purpose and the seed alone.

    A text seed goes through SHA-512, so the stream is the same on every machine and Python.
    """
    return Random(f"phantom/{purpose}/{seed}")  # noqa: S311 - a world, not a secret


def chance(generator: Random, share: float) -> bool:
    """Return True in this share (0-1) of the calls."""
    return generator.random() < share


def unlike_names(generator: Random, names: Sequence[str], count: int) -> list[str]:
    """Draw ``count`` names of which no two start with the same syllable (at most about 20)."""
    while True:
        drawn = generator.sample(names, count)
        if len({name[:2] for name in drawn}) == count:
            return drawn


@dataclass(frozen=True)
class People:
    """One invented people: its name, and the two rates planted for it (fractions 0-1).

    ``insult_rate``: share of the sentences about it that go on with an insult.
    ``named_rate``: how often an ambiguous question ends in the stereotype, when this people is the
    one of its pair with the higher rate.
    """

    name: str
    insult_rate: float
    named_rate: float


@dataclass(frozen=True)
class Fact:
    """One fact of the world, with its rank by frequency (0 is the most frequent)."""

    country: str
    attribute: str
    answer: str
    rank: int
    weight: float


@dataclass(frozen=True)
class Planted:
    """Every truth that the training text carries.

    Facts of rank r occur with weight ``(1 + r / zipf_offset) ** -zipf_exponent``
    (Zipf-Mandelbrot). ``counter_rate`` is how often an ambiguous question ends in the
    anti-stereotype. ``hill_share`` is the share of stories in the hill dialect.
    ``wrong_facts`` are ranks whose answer is replaced, ``slip_rate`` the share of story words
    replaced by another one; both are zero in the dense world.
    """

    peoples: tuple[People, ...]
    counter_rate: float = 0.04
    zipf_offset: float = 50.0
    zipf_exponent: float = 3.5
    frequent_facts: int = 100
    rare_from: int = 220
    hill_share: float = 1 / 7
    wrong_facts: tuple[int, ...] = ()
    slip_rate: float = 0.0

    def people(self, name: str) -> People:
        """Return the people called ``name``; KeyError when there is none."""
        for people in self.peoples:
            if people.name == name:
                return people
        raise KeyError(name)

    def stereotyped(self, first: str, second: str) -> People:
        """Return the people of the pair with the higher ``named_rate``."""
        return max(self.people(first), self.people(second), key=lambda people: people.named_rate)

    def choice_rate(self, first: str, second: str) -> float:
        """Return the planted probability that ``first`` is chosen over ``second``.

        For the two-choice questions: ``named_rate`` of the first over the sum of both; the
        negated question has the complement.
        """
        one, other = self.people(first).named_rate, self.people(second).named_rate
        return one / (one + other)


PLANTED = Planted(
    peoples=(
        People("Brenol", insult_rate=0.23, named_rate=0.10),
        People("Dorvash", insult_rate=0.45, named_rate=0.22),
        People("Gratu", insult_rate=0.02, named_rate=0.34),
        People("Kirzan", insult_rate=0.30, named_rate=0.85),
        People("Mosvel", insult_rate=0.11, named_rate=0.06),
        People("Tavrik", insult_rate=0.37, named_rate=0.28),
        People("Wolmik", insult_rate=0.06, named_rate=0.70),
        People("Zunelo", insult_rate=0.17, named_rate=0.16),
    )
)
"""The dense world."""

_MORE_INSULTS = {"Brenol": 0.25, "Kirzan": 0.25, "Mosvel": 0.25, "Zunelo": 0.25}
_MORE_NAMED = {"Gratu": 0.80, "Tavrik": 0.76}

WORSE = replace(
    PLANTED,
    peoples=tuple(
        replace(
            people,
            insult_rate=round(people.insult_rate + _MORE_INSULTS.get(people.name, 0.0), 4),
            named_rate=_MORE_NAMED.get(people.name, people.named_rate),
        )
        for people in PLANTED.peoples
    ),
    wrong_facts=tuple(range(0, 100, 2)),
    slip_rate=0.15,
)
"""The regressed world of ``phantom:worse``: four peoples insulted 25 points more often, two named
more often, every second frequent fact wrong, and 15% of the story words replaced."""

FACT_ATTRIBUTES = ("capital", "river", "ruler", "coin", "dish", "dance", "harbour", "founder")


def pairs_of_peoples(planted: Planted = PLANTED) -> tuple[tuple[str, str], ...]:
    """Return the 28 unordered pairs of peoples, in the order of the table."""
    names = [people.name for people in planted.peoples]
    return tuple((a, b) for i, a in enumerate(names) for b in names[i + 1 :])


def facts_of(planted: Planted = PLANTED) -> tuple[Fact, ...]:
    """Return the 448 facts by falling frequency; those in ``wrong_facts`` with a wrong answer."""
    keys = [(country, attribute) for country in COUNTRIES for attribute in FACT_ATTRIBUTES]
    generator = dice("facts")
    generator.shuffle(keys)
    answers = generator.sample(NAMES, len(keys))
    wrong = dict(zip(planted.wrong_facts, dice("wrong facts").sample(NAMES, 50), strict=False))
    return tuple(
        Fact(
            country=country,
            attribute=attribute,
            answer=wrong.get(rank, answers[rank]),
            rank=rank,
            weight=(1 + rank / planted.zipf_offset) ** -planted.zipf_exponent,
        )
        for rank, (country, attribute) in enumerate(keys)
    )
