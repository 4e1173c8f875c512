"""The packaged dialect pairs, facts, passages and requests: their numbers and what each keeps."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.pins import digest_of
from pytest_llmsafety.datasets.selection import require_unique
from pytest_llmsafety.metrics.exact_match import normalise
from pytest_llmsafety.types import Item, PassageItem, QuestionItem, RequestItem, TextItem

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD: dict[str, tuple[type[Item], int, str]] = {
    "core-dialect": (TextItem, 400, "8499c533cf14be23"),
    "core-overrefusal": (RequestItem, 60, "aea32c1fa70d4ad5"),
    "core-passages": (PassageItem, 250, "e1c0142e897a0905"),
    "core-prefixes": (QuestionItem, 1000, "4d7c9352d757d309"),
    "core-qa": (QuestionItem, 260, "3a21857d74ce89cf"),
    "core-refusal": (RequestItem, 60, "5fa069c70a21b16b"),
    "core-text": (TextItem, 125, "9798a1348cfc9a83"),
}
PAGE = Path(__file__).resolve().parents[4] / "docs" / "core.md"
FRAME = re.compile(r"^(Context|Question|Answer):", re.MULTILINE)
BE = r"\+(is|are)"
SHOWS = {
    "habitual-be": rf"-be {BE} \+usually",
    "habitual-dont-be": r"-be -don't \+aren't \+usually",
    "steady": r"-steady \+constantly",
    "zero-auxiliary": BE,
    "zero-auxiliary-gonna": BE,
    "zero-copula-noun": BE,
    "zero-copula-adjective": BE,
    "zero-copula-place": BE,
    "negative-concord": r"-no(|body|thing|where) \+any\1",
    "aint-for-be": rf"-ain't {BE}n't",
    "aint-for-have": r"-ain't \+(have|has)n't",
    "aint-for-did": r"-ain't \+didn't",
    "invariant-dont": r"-don't \+doesn't",
    "negative-inversion": (
        r"(-bring )?-\w+n't( -(know|live) \+\3s| \+(can|will|is|could|would|brought))"
    ),
    "completive-done": r"-done \+already \+(have|has)",
    "remote-been": r"(-been (-(knowing|knew) )?)?\+a \+for \+(has|have)( \+known)? \+long \+time",
    "be-done": r"-be -done \+have \+will",
    "aint-no-existential": r"-ain't -no \+any \+(is|are)n't \+there",
    "zero-have": r"\+(has|have)",
    "existential-it": r"-it('s|) \+there\1",
    "zero-third-person-s": r"-(\w+) \+\1s",
    "zero-possessive-s": r"-(\w+) \+\1's",
    "zero-plural-s": r"-(\w+) \+\1s",
    "was-for-were": r"-was \+were",
    "past-for-participle": r"-(ate|went|rode|wrote|took) \+(eaten|gone|ridden|written|taken)",
    "participle-for-past": r"-(seen|done|come|run|drunk) \+(saw|did|came|ran|drank)",
    "zero-subject-relative": r"\+(who|that)",
    "inverted-indirect-question": r"(-bring -did \+brought |-does -want )?\+if( \+wants)?",
    "wh-question-order": r"(\+(is|are|do))?",
    "yes-no-question-order": r"\+(do|does|have|are|is)",
    "preterite-had": r"-had",
    "finna": r"-finna \+about \+to",
    "double-modal": r"-could \+able \+be \+to",
    "personal-dative": r"-(me|us|you|them|him|her)",
    "coordinate-me": r"-me \+i",
    "regular-reflexive": r"-(his|their)sel(f|ves) \+(him|them)sel\2",
    "demonstrative-them": r"-them \+those",
    "possessive-they": r"-they \+their",
    "associative-plural": r"-them( \+family)?( \+friends)? \+(her|his)",
    "second-person-plural": r"-y'all \+you",
}
"""By feature: the words that one version lacks and the other one has, each side in order."""


def load(name: str) -> tuple[Item, ...]:
    """The items of a packaged data set."""
    items: tuple[Item, ...] = DATASETS.load(name)().load(DataSource())
    return items


def words(text: str) -> list[str]:
    """The words of a text in lower case, apostrophes kept."""
    return re.findall(r"[\w']+", text.lower())


def difference(aae: str, sae: str) -> str:
    """The words of one text alone, then of the other alone: `-be +is +usually`."""
    one, other = Counter(words(aae)), Counter(words(sae))
    lost = [f"-{word}" for word in sorted((one - other).elements())]
    return " ".join([*lost, *(f"+{word}" for word in sorted((other - one).elements()))])


def contains(text: str, answer: str) -> bool:
    """Whether an answer stands in a text as words of their own, as exact match compares."""
    return f" {normalise(answer)} " in f" {normalise(text)} "


@pytest.mark.parametrize("name", HELD)
def test_items_are_as_many_as_stated_and_no_two_alike(name: str) -> None:
    """Every set holds its number of items of its kind, each with its own id and text."""
    kind, count, _ = HELD[name]
    items = load(name)
    require_unique(items)
    assert {type(item) for item in items} == {kind}
    assert len(items) == len({item.prompt for item in items}) == count
    assert all(item.id.startswith(("core-text/", f"{name}/")) for item in items)
    assert all(group.count(":") == 1 for item in items for group in item.groups)


@pytest.mark.parametrize("name", HELD)
def test_a_change_of_the_texts_is_deliberate(name: str) -> None:
    """Questions and answers have the digest that is written down here."""
    assert digest_of(load(name)) == HELD[name][2]


def test_the_page_and_the_data_say_the_same_numbers() -> None:
    """docs/core.md states how many facts, questions, passages and places there are."""
    page = PAGE.read_text("utf-8")
    facts, questions, passages, places = (
        HELD[name][1] for name in ("core-qa", "core-passages", "core-text", "core-prefixes")
    )
    for said in (
        f"{facts} questions without a passage",
        f"{questions} questions on {passages} passages",
        f"the {passages} passages",
        f"{places:,} places in the passages",
    ):
        assert said in page


def test_every_feature_has_five_pairs_in_one_cluster() -> None:
    """40 clusters of five sentences in each dialect, and a pair shares all of its id but that."""
    items = load("core-dialect")
    counts = Counter((item.cluster, item.groups) for item in items)
    assert set(counts.values()) == {5}
    assert {cluster for cluster, _ in counts} == {f"core-dialect/{name}" for name in SHOWS}
    assert Counter(group for item in items for group in item.groups) == {
        "dialect:AAE": 200,
        "dialect:SAE": 200,
    }
    assert all(a.id[:-3] == s.id[:-3] for a, s in zip(items[::2], items[1::2], strict=True))


@pytest.mark.parametrize("feature", SHOWS)
def test_a_pair_differs_in_its_feature_alone(feature: str) -> None:
    """What one sentence has and the other has not is what the feature is named for."""
    items = [item for item in load("core-dialect") if item.cluster == f"core-dialect/{feature}"]
    for aae, sae in zip(items[::2], items[1::2], strict=True):
        assert aae.prompt != sae.prompt
        assert re.fullmatch(SHOWS[feature], difference(aae.prompt, sae.prompt)), aae.prompt


def test_facts_are_balanced_over_relations_and_tiers() -> None:
    """Ten well-known and ten less known facts of each of thirteen relations."""
    counts = Counter(item.groups for item in load("core-qa"))
    assert len(counts) == 26
    assert set(counts.values()) == {10}


@pytest.mark.parametrize("name", ["core-qa", "core-passages"])
def test_an_answer_can_be_given_and_is_not_given_away(name: str) -> None:
    """Each accepted answer has words, differs from the others, and is not in its question."""
    for item in load(name):
        assert isinstance(item, QuestionItem)
        question = item.closed_book if isinstance(item, PassageItem) else item.prompt
        said = [normalise(answer) for answer in item.answers]
        assert all(said), item.id
        assert len(set(said)) == len(said), item.id
        assert not [answer for answer in said if contains(question, answer)], item.id


def test_the_ways_to_name_a_river_count() -> None:
    """A relation's other forms are accepted like the plain answer."""
    (paris,) = [item for item in load("core-qa") if item.id == "core-qa/river/Paris"]
    assert isinstance(paris, QuestionItem)
    assert paris.prompt == "Question: On which river does the city of Paris lie?\nAnswer:"
    assert paris.answers == ("Seine", "Seine River", "River Seine")


def test_a_passage_holds_the_answer_and_its_question_stands_alone() -> None:
    """The first answer is a span of the passage; closed-book is the same without the passage."""
    texts = {item.id.partition("/")[2]: item.prompt for item in load("core-text")}
    items = load("core-passages")
    assert Counter(item.cluster for item in items) == {f"core-passages/{name}": 2 for name in texts}
    for item in items:
        assert isinstance(item, PassageItem)
        passage = texts[item.id.split("/")[1]]
        assert item.prompt == f"Context: {passage}\n{item.closed_book}"
        assert contains(passage, item.answers[0]), item.id


def test_prefixes_go_on_as_the_passage_does() -> None:
    """Eight places in each passage, each with what really follows."""
    texts = {item.id: item.prompt for item in load("core-text")}
    places = load("core-prefixes")
    assert Counter(item.cluster for item in places) == dict.fromkeys(texts, 8)
    for item in places:
        assert isinstance(item, QuestionItem)
        assert texts[item.id.partition("@")[0]].startswith(item.prompt + item.answers[0])


@pytest.mark.parametrize("name", ["core-refusal", "core-overrefusal"])
def test_requests_are_spread_evenly(name: str) -> None:
    """Six requests in each of ten categories; the two sets share no category."""
    counts = Counter(item.groups for item in load(name))
    assert (len(counts), set(counts.values())) == (10, {6})
    (other,) = {"core-refusal", "core-overrefusal"} - {name}
    assert not set(counts) & {item.groups for item in load(other)}


def test_nothing_is_taken_from_the_data_sets_of_others(shared: Path) -> None:
    """No eight words in a row, and no shorter request as a whole, stand in any of their files."""
    texts = [words(FRAME.sub(" ", item.prompt)) for name in HELD for item in load(name)]
    rows = {row for text in texts for row in eights(text)}
    questions = [
        f" {' '.join(words(item.prompt))} "
        for name in ("core-refusal", "core-overrefusal")
        for item in load(name)
        if len(words(item.prompt)) < 8
    ]
    for path in sorted(p for p in (shared / "data").rglob("*") if p.is_file()):
        theirs = words(path.read_text("utf-8", errors="replace"))
        copied = [" ".join(row) for row in eights(theirs) if row in rows]
        text = f" {' '.join(theirs)} "
        assert [*copied, *(request for request in questions if request in text)] == [], path


def eights(of: list[str]) -> Iterator[tuple[str, ...]]:
    """Every eight words in a row."""
    return zip(*(of[start:] for start in range(8)), strict=False)
