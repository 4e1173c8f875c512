"""The packaged prompts and questions about people: balanced, and right for the metrics."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.datasets.pins import digest_of
from pytest_llmsafety.datasets.selection import require_unique
from pytest_llmsafety.datasets.sources.core_toxicity import FILE, TONES
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.metrics.bbq import BBQ
from pytest_llmsafety.metrics.regard import Regard
from pytest_llmsafety.metrics.toxicity import Toxicity
from pytest_llmsafety.metrics.unqover import Unqover, part
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Likelihood

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_llmsafety.types import BBQItem, Item, Loglikelihood, UnqoverItem

DIGESTS = {
    "core-bbq": "23a192d54c7243f7",
    "core-toxicity": "48bdc748a6f022d7",
    "core-unqover": "4a7de65cfeff7b8f",
}
NAMES = tuple(DIGESTS)
PAGE = Path(__file__).resolve().parents[4] / "docs" / "core.md"
DENSE = ModelPair(ModelSpec("org/model"), CompressionSpec.parse("int8")).dense


def load(name: str) -> tuple[Any, ...]:
    """The items of a packaged set."""
    return DATASETS.load(name)().load(DataSource())


def axis(item: Item) -> str:
    """The axis of an item's first group."""
    return item.groups[0].partition(":")[0]


def texts(item: Item) -> tuple[str, ...]:
    """All prompts of one item."""
    return getattr(item, "asked", (item.prompt,))


@pytest.mark.parametrize("name", NAMES)
def test_ids_and_texts_are_unique_and_clean(name: str) -> None:
    """No id, and no prompt with its options, occurs twice; no slot is open, no space is double."""
    items = load(name)
    require_unique(items)
    assert len({(texts(item), getattr(item, "options", ())) for item in items}) == len(items)
    assert all(item.id.startswith(f"{name}/") for item in items)
    for text in (text for item in items for text in texts(item)):
        assert not re.search(r"[{}]|  | $", text), text
        assert not re.search(
            r"\b[Aa] (?!used)[aeiou]|\b[Aa]n (?!hour|honest)[^aeiouAEIOU8]", text
        ), text
        assert text.isascii()


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_the_items_is_deliberate(name: str) -> None:
    """The items have the digest that is written down here, in every release that keeps it."""
    assert digest_of(load(name)) == DIGESTS[name]


def test_every_beginning_meets_every_group() -> None:
    """12 groups, three an axis, in each of 120 templates, half of them neutral."""
    items, known = load("core-toxicity"), read_json(FILE)
    groups = Counter(item.groups for item in items)
    assert set(groups.values()) == {120}
    assert Counter(axis(item) for item in items) == dict.fromkeys(
        ("gender", "ethnicity", "religion", "disability"), 360
    )
    assert set(Counter(item.cluster for item in items).values()) == {len(groups)}
    assert [len(known[tone]) for tone in TONES] == [60, 60]
    assert len({item.prompt for item in items}) == len(items)


def test_every_beginning_names_its_group_once() -> None:
    """The term stands in the prompt as words of its own, so that regard can mask it."""
    for item in load("core-toxicity"):
        assert len(re.findall(rf"\b{item.term}\b", item.prompt)) == 1, item.prompt


def test_questions_are_balanced_on_every_axis() -> None:
    """Each axis has each order, polarity and evidence, and each place of each option, as often."""
    items: tuple[BBQItem, ...] = load("core-bbq")
    for name in sorted({axis(item) for item in items}):
        some = [item for item in items if axis(item) == name]
        cells = Counter(tuple(item.id.split("/")[-3:]) for item in some)
        assert (len(cells), set(cells.values())) == (12, {30})
        assert Counter(item.ambiguous for item in some) == {True: 120, False: 240}
        for cell in cells:
            here = [item for item in some if item.id.endswith("/".join(cell))]
            for place in ("label", "target", "unknown"):
                assert Counter(getattr(item, place) for item in here) == {0: 10, 1: 10, 2: 10}
        words = Counter(item.options[item.unknown] for item in some)
        assert (len(words), set(words.values())) == (6, {60})
        assert {item.category for item in some} == {name}


def test_the_order_of_the_people_alone_differs() -> None:
    """Two questions that differ in their order only have the same target and right answer."""
    found = {item.id: item for item in load("core-bbq")}
    for name, item in found.items():
        other = found[name.replace("stereotyped-first", "other-first")]
        assert item.options[item.label] == other.options[other.label]
        assert item.options[item.target] == other.options[other.target]
        if item is not other:
            assert sorted(item.prompt.lower()) == sorted(other.prompt.lower())
            assert item.prompt != other.prompt


def test_the_stereotype_is_the_target_in_both_polarities() -> None:
    """Negative questions aim at the stereotyped person, the others at the other one; `pro` agrees.

    What the evidence says is the right answer: in `pro` the biased one, in `anti` never.
    """
    pairs = {
        f"core-bbq/{axis_name}/{template}/{number}": pair
        for axis_name, templates in read_json(FILE.with_name("bbq.json"))["axes"].items()
        for template, scene in templates.items()
        for number, pair in enumerate(scene["people"], start=1)
    }
    for item in load("core-bbq"):
        start, _, evidence, polarity = item.id.rsplit("/", 3)
        stereotyped, other = (f"The {name.split(' ', 1)[1]}" for name in pairs[start])
        aimed = stereotyped if polarity == "negative" else other
        assert item.options[item.target] == aimed
        assert item.negative == (polarity == "negative")
        right = {"ambiguous": item.unknown, "pro": item.target}.get(
            evidence, 3 - item.target - item.unknown
        )
        assert (item.label, item.ambiguous) == (right, evidence == "ambiguous")
        assert {stereotyped, other} == {*item.options} - {item.options[item.unknown]}


def test_every_scene_names_its_stereotype_and_source() -> None:
    """Each template says what it tests and where that is documented, and asks two questions."""
    axes = read_json(FILE.with_name("bbq.json"))["axes"]
    assert {name: len(templates) for name, templates in axes.items()} == dict.fromkeys(
        ("age", "disability", "gender", "ethnicity", "religion", "class"), 15
    )
    for scene in (scene for templates in axes.values() for scene in templates.values()):
        assert scene["stereotype"].endswith(".")
        assert all(scene[key] for key in ("source", "group"))
        assert scene["negative"] != scene["other"]
        assert "{First}" in scene["context"]
        assert "{second}" in scene["context"]
        assert len(re.findall(r"\{(?:Bad|bad|Good|good)\}", scene["evidence"])) == 2
        assert len(scene["people"]) == 2


def test_every_pair_meets_every_attribute() -> None:
    """Each subject meets all others under each attribute, in both orders and negated."""
    items: tuple[UnqoverItem, ...] = load("core-unqover")
    for name, n_subjects in (("origin", 12), ("religion", 11)):
        some = [item for item in items if axis(item) == name]
        met = Counter((subject, item.attribute) for item in some for subject in item.subjects)
        assert (len(met), set(met.values())) == (8 * n_subjects, {n_subjects - 1})
        assert set(Counter(item.cluster for item in some).values()) == {8}
    assert len(items) == 66 * 8 + 55 * 8
    for item in items:
        one, turned, negated, both = item.asked
        assert sorted(one.lower()) == sorted(turned.lower())
        assert one.partition("\n")[0] == negated.partition("\n")[0]
        assert turned.partition("\n")[2] == one.partition("\n")[2] != both.partition("\n")[2]
        assert all(option.lower() in one.lower() for option in item.options)


# ------------------------------------------------------------------------- the metrics


def choices(items: tuple[BBQItem, ...], chosen: Callable[[BBQItem], int]) -> dict[str, Any]:
    """BBQ's figures of a reader that answers with the option `chosen`."""
    metric = BBQ()
    answers = [tuple(Likelihood(-float(i != chosen(item)), 1) for i in range(3)) for item in items]
    return metric.figures(items, metric.scores(items, answers))


@pytest.mark.parametrize(
    ("chosen", "s_amb", "s_dis", "accuracy"),
    [
        (lambda item: item.label, None, 0.0, 1.0),
        (lambda item: item.target, 1.0, 1.0, 0.5),
        (lambda item: 3 - item.target - item.unknown, -1.0, -1.0, 0.5),
        (lambda item: (item.unknown + 1) % 3, 0.0, 0.0, 0.5),
    ],
    ids=["reads", "stereotypes", "turns them round", "guesses a person"],
)
def test_readers_get_the_scores_that_they_deserve(chosen, s_amb, s_dis, accuracy) -> None:
    """One that reads has no bias, a prejudiced one 1 or -1, one that guesses by place 0."""
    figures = choices(load("core-bbq"), chosen)
    for name in ("age", "disability", "gender", "ethnicity", "religion", "class"):
        assert figures[f"s_AMB {name}"] == s_amb
        assert figures[f"s_DIS {name}"] == s_dis
        assert figures[f"accuracy disambiguated {name}"] == accuracy


@pytest.mark.parametrize("habit", ["the first", "always the same", "not the negated"])
def test_subjects_are_preferred_for_a_reason_only(habit: str) -> None:
    """A model that always names the first one, or always one subject, has no preference.

    A model that names one subject when affirmed and the other one when negated has all of it.
    """
    items, metric = load("core-unqover"), Unqover()

    def likelihood(number: int, item: UnqoverItem, request: Loglikelihood) -> Likelihood:
        first = item.options.index(request.continuation[1:]) == 0
        turned = {"the first": number in {2, 3, 6, 7}, "not the negated": number > 3}.get(habit)
        return Likelihood(-20.0 * (first is bool(turned)), 1)

    answers = [
        tuple(likelihood(i, item, request) for i, request in enumerate(metric.requests(item)))
        for item in items
    ]
    scores = metric.scores(items, answers)
    expected = 1.0 if habit == "not the negated" else 0.0
    assert [score.value for score in scores] == pytest.approx([expected] * len(items))
    errors = {name: part(scores[0], name) for name in ("positional", "attributive")}
    assert errors["positional"] == pytest.approx(float(habit == "the first"))


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("core-bbq", BBQ()),
        ("core-toxicity", Toxicity(lambda found: [0.25] * len(found))),
        ("core-toxicity", Regard(lambda found: [0.25] * len(found))),
        ("core-unqover", Unqover()),
    ],
)
def test_metrics_score_every_item(name: str, metric: Any) -> None:
    """Each answer of the fake backend gets a value, as any model's answer does."""
    items, backend = load(name), FakeBackend(DENSE)
    answers = [tuple(map(backend.made_up, metric.requests(item))) for item in items]
    scores = metric.scores(items, answers)
    assert all(score.value is not None for score in scores)
    assert all(value is not None for value in metric.figures(items, scores).values())


# -------------------------------------------------------------------------- the docs page


def rows(name: str) -> list[str]:
    """The rows of the page's table about one data set."""
    items, found = load(name), []
    for place in dict.fromkeys(map(axis, items)):
        groups = Counter(
            group.partition(":")[2].replace("_", " ")
            for item in items
            if axis(item) == place
            for group in item.groups
        )
        said = ", ".join(f"{group} {count}" for group, count in groups.items())
        if len(set(groups.values())) == 1:
            said = f"{', '.join(groups)}: {next(iter(groups.values()))} each"
        here = [item for item in items if axis(item) == place]
        clusters = len({item.cluster for item in here})
        found.append(f"| `{name}` | {place} | {len(here):,} | {clusters} | {said} |")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_page_counts_as_the_data_do(name: str) -> None:
    """docs/core.md has a row for every axis of every set, with the numbers of its items."""
    text = PAGE.read_text("utf-8")
    assert [row for row in rows(name) if row not in text] == []
    stated = [row for row in text.splitlines() if row.startswith(f"| `{name}` ")]
    assert len(stated) == len(rows(name))
    assert f"{len(load(name)):,}" in text
