"""The packaged calibration text: plain English from our own sentence patterns and words.

It is made by rule and therefore plainer than real text: letters, news, explanations,
recipes, talk, stories, instructions, reviews, minutes and notes, one sentence pattern after
the other. It is free of rights and needs no network, and it can be as long as needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

GRAMMAR = Path(__file__).with_name("packaged_text.txt")
SLOT = re.compile(r"\{(\^?)([a-z]+)\}")
PARTS = (4, 6)  # of one text, at least and at most
DEPTH = 4  # of lists within lists


@dataclass(frozen=True)
class Grammar:
    """Sentence patterns by register, and words by list."""

    registers: dict[str, tuple[str, ...]]
    lists: dict[str, tuple[str, ...]]


@cache
def grammar() -> Grammar:
    """Return the grammar in packaged_text.txt."""
    registers: dict[str, list[str]] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for line in GRAMMAR.read_text("utf-8").splitlines():
        head, equals, tail = line.partition(" = ")
        if line.startswith("["):
            registers[line.strip("[]")] = []
        elif equals and head.isalpha() and "|" in tail:
            lists[head] = tuple(tail.split(" | "))
        elif line and not line.startswith("#"):
            registers[next(reversed(registers))].append(line)
    return Grammar({name: tuple(parts) for name, parts in registers.items()}, lists)


def packaged_texts(words: int, seed: int) -> list[str]:
    """Return texts of at least `words` words in all; the same seed gives the same texts."""
    known, dice = grammar(), Random(f"packaged text {seed}")  # noqa: S311 - no secret
    names, texts, count = sorted(known.registers), [], 0
    while count < words:
        parts = known.registers[dice.choice(names)]
        drawn = dice.sample(parts, k=dice.randint(*PARTS))
        text = " ".join(_filled(part, known.lists, dice) for part in drawn) + "\n\n"
        texts.append(text)
        count += len(text.split())
    return texts


def _filled(part: str, lists: dict[str, tuple[str, ...]], dice: Random) -> str:

    def word(slot: re.Match[str]) -> str:
        drawn = dice.choice(lists[slot[2]])
        return drawn[0].upper() + drawn[1:] if slot[1] else drawn

    for _ in range(DEPTH):
        part = SLOT.sub(word, part)
    return part
