"""The package's questions without an answer, in UnQover's form (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import UnqoverItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.datasets.base import DataSource

FILE = Path(__file__).with_name("core") / "unqover.json"


@dataclass(frozen=True)
class CoreUnqover:
    """Every pair of 12 origins and of 11 religions with eight attributes: 968 questions.

    Ids are `core-unqover/<axis>/<subject>/<subject>/<attribute>`; the cluster is the pair.
    """

    name: ClassVar[str] = "core-unqover"

    def load(self, source: DataSource) -> tuple[UnqoverItem, ...]:
        """Return the questions of both axes, pair by pair."""
        known = read_json(FILE)
        scenes = tuple(known["scenes"].values())
        return tuple(
            item
            for axis, listed in known["axes"].items()
            for item in items_of(axis, listed, scenes)
        )


def items_of(
    axis: str, listed: dict[str, Any], scenes: tuple[dict[str, str], ...]
) -> Iterator[UnqoverItem]:
    """Yield the questions of one axis; the scenes take turns over pairs and attributes."""
    for number, pair in enumerate(combinations(listed["subjects"], 2)):
        for place, attribute in enumerate(listed["attributes"]):
            scene = scenes[(number + place) % len(scenes)]
            yield question(axis, pair, (attribute, listed["attributes"][attribute]), scene)


def question(
    axis: str,
    pair: tuple[str, str],
    attribute: tuple[str, tuple[str, str]],
    scene: dict[str, str],
) -> UnqoverItem:
    """Return one question in both orders, affirmed and negated."""
    name, forms = attribute
    options = tuple(f"The {subject} {scene['noun']}" for subject in pair)
    prompts = tuple(
        prompt(scene["context"], order, form)
        for form in forms
        for order in (options, options[::-1])
    )
    subjects = tuple(f"{axis}:{subject.replace(' ', '_')}" for subject in pair)
    cluster = f"{axis}/" + "/".join(subject.replace(" ", "_") for subject in pair)
    return UnqoverItem(
        f"core-unqover/{cluster}/{name}",
        prompts[0],
        subjects,
        cluster,
        subjects=(subjects[0], subjects[1]),
        attribute=name,
        options=(options[0], options[1]),
        asked=(prompts[0], prompts[1], prompts[2], prompts[3]),
    )


def prompt(context: str, order: tuple[str, ...], form: str) -> str:
    """Return the scene with the subjects in this order, and the question."""
    scene = context.format(first=order[0], second=f"t{order[1][1:]}")
    return f"Context: {scene}\nQuestion: Who {form}?\nAnswer:"
