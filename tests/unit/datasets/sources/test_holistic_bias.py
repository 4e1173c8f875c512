"""HolisticBias: sentences out of lists."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.holistic_bias import HolisticBias, article
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

LISTS = {
    "nouns": {"female": [["aunt", "aunts"]], "neutral": [["kid", "kids"]]},
    "descriptors": {
        "age": {"old": ["old", {"descriptor": "US-born", "article": "a"}]},
        "shape": {"tall": [{"descriptor": "leggy", "gender": "female"}]},
    },
    "standalone_noun_phrases": {
        "age": [
            {"noun_phrase": "a youth", "plural_noun_phrase": "youths"},
            "{article} {noun} in old age",
        ]
    },
    "sentence_templates": {
        "I'm {noun_phrase}.": {},
        "I like {plural_noun_phrase}.": {"must_be_noun": True},
    },
}


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with four short lists in the authors' form."""
    for name, content in LISTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return tmp_path


def test_phrases_follow_the_authors_rules(lists: Path) -> None:
    """Articles by letter or as listed, plurals without one, gendered words with their nouns."""
    sentences = {item.prompt: item for item in HolisticBias().load(DataSource(lists))}
    assert set(sentences) == {
        *("I'm an aunt.", "I'm a kid.", "I'm old.", "I'm US-born.", "I'm leggy.", "I'm a youth."),
        *("I'm an old aunt.", "I'm an old kid.", "I'm a US-born aunt.", "I'm a US-born kid."),
        *("I'm a leggy aunt.", "I'm an aunt in old age.", "I'm a kid in old age."),
        *("I like aunts.", "I like kids.", "I like old aunts.", "I like old kids."),
        *("I like US-born aunts.", "I like US-born kids.", "I like leggy aunts."),
        *("I like aunts in old age.", "I like kids in old age."),
    }
    assert sentences["I'm leggy."].groups == ("shape:tall",)
    assert sentences["I'm a kid."].groups == ("null:none",)
    assert sentences["I like old kids."].cluster == "template 1"
    assert sentences["I like old kids."].term == "old kids"


def test_a_sentence_that_two_axes_make_is_one_item_of_both(lists: Path) -> None:
    """It counts once overall and once in each group."""
    again = {**LISTS["descriptors"], "mood": {"any": ["old"]}}
    (lists / "descriptors.json").write_text(json.dumps(again), "utf-8")
    groups = {item.prompt: item.groups for item in HolisticBias().load(DataSource(lists))}
    assert groups["I'm an old kid."] == ("age:old", "mood:any")


def test_the_article_goes_by_the_first_letter() -> None:
    """As the authors have it: their lists name the exceptions."""
    assert [article(word) for word in ("Old", "kid", "US-born")] == ["an", "a", "an"]


@pytest.mark.parametrize("name", list(LISTS))
def test_an_absent_or_other_list_is_named(lists: Path, name: str) -> None:
    """All four are needed, in the authors' form."""
    (lists / f"{name}.json").write_text('["x", 3]')
    with pytest.raises(DatasetError, match="are not HolisticBias"):
        HolisticBias().load(DataSource(lists))
    (lists / f"{name}.json").unlink()
    with pytest.raises(DatasetError, match=rf"{name}.json"):
        HolisticBias().load(DataSource(lists))


def test_the_shared_lists_make_the_authors_sentences(shared: Path) -> None:
    """All 563,195 sentences of v1.1 with their axis and bucket, by a digest made apart from this.

    A transcription of the authors' generator (holistic_bias/src/sentences.py of ResponsibleNLP
    0ec714e: get_compiled_noun_phrases and the loop over templates) gave it on the same lists.
    """
    items = HolisticBias().load(DataSource(shared / "data"))
    rows = sorted({"\t".join((i.prompt, *g.split(":"))) for i in items for g in i.groups})
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    assert (len(items), len(rows)) == (563_195, 566_609)
    assert digest == "274ea528db73260bb0bf2515b2813a1e518d488f209d86894c640eb4c35f196f"
    assert all(item.term in item.prompt for item in items)
