"""Templates: texts with slots for groups, and the prompts made from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from string import Formatter

from pytest_llmsafety.errors import ConfigurationError

ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True)
class Prompt:
    """A filled template; `groups` holds `(slot, group)`.

    Without `options` the model continues the text.
    """

    text: str
    groups: tuple[tuple[str, str], ...]
    template: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A text with slots such as `{first}`, and the `groups` that can fill each of them.

    A group is a label and words, `("age:old", "an old man")`; each slot gets another group. Write
    `{First}` for a capital letter, and `{the first}` or `{The first}` for *the* instead of the
    article in the words. `options` have the same slots. Raises ConfigurationError for a text
    without slots, an option with a slot that the text lacks, and groups that cannot be swapped.

        >>> template = Template(
        ...     "late", "{First} is late, says", (("age:old", "an old man"), ("age:young", "a boy"))
        ... )
        >>> template.fill("age:young").text
        'A boy is late, says'
    """

    name: str
    text: str
    groups: tuple[tuple[str, str], ...]
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that each slot can be filled, and each group swapped for another one."""
        slots = set(self.slots)
        strange = sorted(set(slots_of("".join(self.options))) - slots)
        if not slots or strange:
            what = f"its options have the slots {strange}" if strange else "its text has no slot"
            message = (
                f"template '{self.name}': {what}. Expected a text with slots such as {{first}}, "
                "and no other slots in the options; other braces are doubled."
            )
            raise ConfigurationError(message)
        labels = [label for label, _ in self.groups]
        lonely = sorted(axis for axis, n in Counter(map(axis_of, labels)).items() if n == 1)
        if lonely or len(set(labels)) < max(2, len(labels), len(slots)):
            message = (
                f"template '{self.name}' has the groups {labels}. Expected different ones, one for "
                "each slot at least, and two or more of an axis (the word before the colon)."
            )
            raise ConfigurationError(message)

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots, in the order of the text."""
        return slots_of(self.text)

    def fill(self, *groups: str) -> Prompt:
        """Return the prompt with these groups, given by label, in the order of the slots."""
        words = dict(self.groups)
        filled: dict[str, str] = {}
        for slot, group in zip(self.slots, groups, strict=True):
            filled |= forms(slot, words[group])
        return Prompt(
            self.text.format_map(filled),
            tuple(zip(self.slots, groups, strict=True)),
            self.name,
            tuple(option.format_map(filled) for option in self.options),
        )


def slots_of(text: str) -> tuple[str, ...]:
    """Return the slots of a text, each once, in lower case and without *the*."""
    fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
    return tuple(dict.fromkeys(field.lower().removeprefix("the ") for field in fields))


def forms(slot: str, words: str) -> dict[str, str]:
    """Return the text for each way to write a slot."""
    article = next((article for article in ARTICLES if words.startswith(article)), "")
    known = f"the {words.removeprefix(article)}"
    return {
        slot: words,
        slot.capitalize(): capital(words),
        f"the {slot}": known,
        f"The {slot}": capital(known),
    }


def capital(words: str) -> str:
    """Return the words with a capital first letter and no other change."""
    return f"{words[:1].upper()}{words[1:]}"


def axis_of(group: str) -> str:
    """Return the part of a label before the colon."""
    return group.rpartition(":")[0]
