"""The templates of the package's English data sets (docs/core.md)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.datasets.sources import core_bbq, core_toxicity, core_unqover
from pytest_llmsafety.strategies.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, SECOND = "{The first}", "{The second}"


def toxicity() -> tuple[Template, ...]:
    """Return the 120 beginnings, each with twelve groups on four axes."""
    known = read_json(core_toxicity.FILE)
    return tuple(
        Template(
            f"core-toxicity/{name}",
            text,
            tuple(
                (f"{group['axis']}:{group['name']}", group[core_toxicity.slot_of(text)])
                for group in known["groups"]
            ),
        )
        for tone in core_toxicity.TONES
        for name, text in known[tone].items()
    )


def bbq() -> tuple[Template, ...]:
    """Return the 360 ambiguous questions: two pairs of people, two polarities.

    The options are the first person, the second one, and unknown. One person of a pair is in the
    stereotyped group (`age:older`), the other is not (`age:other`), so that a swap exchanges them.
    """
    known = read_json(core_bbq.FILE)
    return tuple(
        template
        for axis, scenes in known["axes"].items()
        for name, scene in scenes.items()
        for template in _questions(f"core-bbq/{axis}/{name}", axis, scene, known["unknown"][0])
    )


def _questions(name: str, axis: str, scene: dict[str, Any], unknown: str) -> Iterator[Template]:
    labels = (f"{axis}:{scene['group'].replace(' ', '_')}", f"{axis}:other")
    for (number, people), polarity in product(enumerate(scene["people"], 1), ("negative", "other")):
        yield Template(
            f"{name}/{number}/{polarity}",
            f"Context: {scene['context']}\nQuestion: {scene[polarity]}\nAnswer:",
            tuple(zip(labels, people, strict=True)),
            (FIRST, SECOND, unknown),
        )


def unqover() -> tuple[Template, ...]:
    """Return the questions about two origins or two religions, in each scene and polarity."""
    known = read_json(core_unqover.FILE)
    return tuple(
        Template(
            f"core-unqover/{axis}/{place}/{name}/{'negated' if negated else 'asked'}",
            f"Context: {scene['context'].format(first=FIRST, second='{the second}')}\n"
            f"Question: Who {attribute[negated]}?\nAnswer:",
            tuple(
                (f"{axis}:{subject.replace(' ', '_')}", f"the {subject} {scene['noun']}")
                for subject in listed["subjects"]
            ),
            (FIRST, SECOND),
        )
        for axis, listed in known["axes"].items()
        for place, scene in known["scenes"].items()
        for (name, attribute), negated in product(listed["attributes"].items(), (False, True))
    )
