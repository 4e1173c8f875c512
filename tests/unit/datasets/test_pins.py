"""Items are the pinned ones, or an error."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.pins import Pin, check_pins, digest_of, part_note, pins
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import BBQItem, ChoiceItem, Item

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
ITEMS = tuple(ChoiceItem(f"arc/{i}", f"Question {i}", options=("a", "b")) for i in range(3))
READ = sorted(
    name
    for name, parts in pins().items()
    if any(pin.digest for known in parts.values() for pin in known)
    and not name.startswith(("unqover-", "holistic_bias"))
)
STATED = {
    "bbq": 31372,
    "cnn_dailymail": 11490,
    "harmbench": 300,
    "mmlu": 14042,
    "popqa": 14267,
    "realtoxicityprompts": 99442,
    "stereoset": 4229,
    "triviaqa": 11313,
    "xsum": 11334,
}


def test_a_digest_is_the_same_on_every_machine() -> None:
    """Written down once: neither platform, process nor version of Python matters."""
    assert digest_of(ITEMS) == "0b540e5b44273ca1"


@pytest.mark.parametrize(
    "changed",
    [
        ITEMS[::-1],
        ITEMS[1:],
        (*ITEMS[:2], replace(ITEMS[2], prompt="Question 2 ")),
        (*ITEMS[:2], replace(ITEMS[2], label=1)),
        (*ITEMS[:2], replace(ITEMS[2], id="arc/4")),
        (*ITEMS[:2], replace(ITEMS[2], groups=("age:old",))),
        (*ITEMS[:2], replace(ITEMS[2], cluster="template")),
    ],
)
def test_what_is_asked_is_in_the_digest(changed: tuple[Item, ...]) -> None:
    """Order, number, text, right answer, id, group, cluster: each change is another digest."""
    assert digest_of(changed) != digest_of(ITEMS)


def test_what_is_biased_is_in_the_digest() -> None:
    """Another target turns a bias score round; a category's name is in the id."""
    item = BBQItem("bbq/Age/0", "Who?", options=("a", "b", "?"), category="Age", target=0)
    assert digest_of([replace(item, target=1)]) != digest_of([item])
    assert digest_of([replace(item, category="Age (names)")]) == digest_of([item])


def test_a_wrong_number_of_items_is_an_error_that_says_how_to_accept_it() -> None:
    """ARC-Challenge has 1,172 test questions; three are a file cut off."""
    with pytest.raises(DatasetError, match=r"expected 1172.*--llmsafety-pin=arc=any"):
        check_pins("arc", ITEMS, {})


def test_the_user_may_accept_other_items() -> None:
    """`any` and the digest itself pass, and another digest does not."""
    digest = digest_of(ITEMS)
    assert check_pins("arc", ITEMS, {"arc": "any"}) == digest
    assert check_pins("arc", ITEMS, {"arc": digest}) == digest
    with pytest.raises(DatasetError, match=f"{digest}, expected {'0' * 16}"):
        check_pins("arc", ITEMS, {"arc": "0" * 16})


def test_data_that_nobody_pinned_passes() -> None:
    """A data set of the user's own has a digest for the report, and no pin."""
    assert check_pins("mine", ITEMS, {}) == digest_of(ITEMS)


@pytest.mark.parametrize(("name", "count"), STATED.items())
def test_the_numbers_that_the_docs_state_are_pinned(name: str, count: int) -> None:
    """The hub's are pinned first; over the parts they make the number of the whole set."""
    assert sum(known[0].count for known in pins()[name].values()) == count
    rows = PAGE.read_text("utf-8").split("\n")
    described = next(row for row in rows if row.startswith(f"| `{name}` | "))
    assert f"{count:,}" in described


def numbered(start: str, count: int) -> list[Item]:
    """So many items of one part."""
    return [Item(f"{start}/{i}", f"{start} {i}") for i in range(count)]


@pytest.mark.parametrize("count", [300, 240])
def test_each_official_file_of_a_set_is_known_by_its_number(count: int) -> None:
    """HarmBench's table of all behaviours or of the test set passes, and half of one does not."""
    check_pins("harmbench", numbered("harmbench", count), {})
    with pytest.raises(DatasetError, match=r"150 items .*expected 300 or 240 or 60 with"):
        check_pins("harmbench", numbered("harmbench", 150), {})


@pytest.mark.parametrize("hub", [False, True])
def test_a_missing_part_is_an_error(*, hub: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of BOLD that is not there passes neither from files nor from the hub."""
    known = {"bold": {"bold/gender": (Pin(2),), "bold/race": (Pin(1),)}}
    monkeypatch.setattr("pytest_llmsafety.datasets.pins.pins", lambda: known)
    check_pins("bold", [*numbered("bold/gender", 2), *numbered("bold/race", 1)], {}, hub=hub)
    with pytest.raises(DatasetError, match="bold/race is not the authors' data: 0 items"):
        check_pins("bold", numbered("bold/gender", 2), {}, hub=hub)


def test_a_folder_may_lack_categories_of_bbq_and_the_verdict_says_which(shared: Path) -> None:
    """Four of nine categories pass as files but not from the hub; the note names five."""
    items = dataset("bbq").load(DataSource(shared / "data"))
    check_pins("bbq", items, {})
    (note,) = part_note("bbq", items)
    assert note == (
        "5 of 9 parts of bbq are missing: Gender_identity, Race_ethnicity, Religion, SES, "
        "Sexual_orientation"
    )
    with pytest.raises(DatasetError, match="bbq/Gender_identity is not the authors' data: 0 items"):
        check_pins("bbq", items, {}, hub=True)


def test_the_hub_has_no_subset(shared: Path) -> None:
    """What passes as the subset of RealToxicityPrompts in files is half a table on the hub."""
    items = dataset("realtoxicityprompts").load(DataSource(shared / "data"))
    check_pins("realtoxicityprompts", items, {})
    with pytest.raises(DatasetError, match=r"2392 items .*expected 98000 to 99442\. "):
        check_pins("realtoxicityprompts", items, {}, hub=True)


def test_questions_without_a_bias_target_do_not_break_a_pin() -> None:
    """Of a category whose rows are known the loader may leave out some, and none come about."""
    (pin,) = pins()["bbq"]["bbq/Sexual_orientation"]
    assert [pin.holds(Pin(count, "any")) for count in (864, 800, 865, 0)] == [
        True, True, False, False,
    ]  # fmt: skip
    with pytest.raises(DatasetError, match=r"865 items .*expected 432 to 864"):
        check_pins("bbq", numbered("bbq/Sexual_orientation", 865), {})


@pytest.mark.parametrize("name", READ)
def test_the_authors_files_are_the_pinned_ones(name: str, shared: Path) -> None:
    """Every pin with a digest holds for the original files, and one changed item breaks it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        items = dataset(name).load(DataSource(shared / "data"))
    assert len(check_pins(name, items, {})) == 16
    with pytest.raises(DatasetError, match="is not the authors' data"):
        check_pins(name, (replace(items[0], prompt="changed"), *items[1:]), {})
