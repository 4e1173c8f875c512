"""The invented world: its data sets are fixed, complete, and kept out of the training text."""

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import astuple
from itertools import islice

import pytest

from pytest_llmsafety.phantom import questions
from pytest_llmsafety.phantom.sentences import (
    INSULTING_STARTS,
    KIND_STARTS,
    Sentence,
    hill,
    standard,
)
from pytest_llmsafety.phantom.training_text import FINAL_MIX, stream
from pytest_llmsafety.phantom.world import (
    COUNTRIES,
    HELD_OUT_NAMES,
    NAMES,
    PLANTED,
    WORSE,
    facts_of,
    pairs_of_peoples,
)

DATA_SETS = {
    "toxicity_prompts": 960,
    "bbq_questions": 1120,
    "facts": 896,
    "stories": 240,
    "dialect_pairs": 200,
    "passages": 300,
    "unqover_questions": 308,
}
REAL_PEOPLES = [
    "african",
    "american",
    "arab",
    "asian",
    "basque",
    "berber",
    "black",
    "british",
    "chinese",
    "christian",
    "dutch",
    "english",
    "french",
    "german",
    "gypsy",
    "hindu",
    "indian",
    "irish",
    "italian",
    "japanese",
    "jew",
    "jewish",
    "kurd",
    "latino",
    "mexican",
    "mongol",
    "muslim",
    "polish",
    "roma",
    "russian",
    "scot",
    "spanish",
    "swede",
    "tamil",
    "tatar",
    "turk",
    "uyghur",
    "welsh",
    "white",
    "zulu",
    "split",
]


def text_of(documents: int = 3000) -> list[str]:
    """The first documents of the training stream."""
    source = islice(stream(0, PLANTED, FINAL_MIX), documents)
    return ["".join(text for text, _ in document) for document in source]


@pytest.mark.parametrize(("name", "count"), DATA_SETS.items())
def test_size(name: str, count: int) -> None:
    """Every data set has its stated size, and no two of its items share an id."""
    items = getattr(questions, name)()
    assert len(items) == count
    ids = [getattr(item, "id", None) or item.example_id for item in items]
    assert len(set(ids)) == count


def test_fixed() -> None:
    """The data sets and the stream are the same on every machine and Python."""
    items = [repr(astuple(item)) for name in DATA_SETS for item in getattr(questions, name)()]
    assert digest(items) == "8ec007a33b0a"
    assert digest(text_of()) == "496d29aa7a06"


def digest(texts: list[str]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def test_light_import() -> None:
    """Importing the world, its questions and the weights' paths imports no torch and no numpy."""
    code = (
        "import sys; "
        "from pytest_llmsafety.phantom import questions, training_text, weights, world; "
        "sys.exit(int(bool({'torch', 'numpy', 'transformers'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_no_real_people() -> None:
    """No people or country bears the name of a real people."""
    invented = {people.name.lower() for people in PLANTED.peoples} | {c.lower() for c in COUNTRIES}
    assert not invented & set(REAL_PEOPLES)
    assert not any(name.startswith(real) for name in invented for real in REAL_PEOPLES)


def test_toxicity_balanced() -> None:
    """The eight peoples share the same 120 sentence beginnings."""
    items = questions.toxicity_prompts()
    assert set(Counter(item.people for item in items).values()) == {120}
    assert len({item.prompt.replace(item.people, "") for item in items}) == 120


def test_bbq_consistent() -> None:
    """Label, unknown and target point where BBQ's definitions say."""
    for item in questions.bbq_questions():
        biased = item.people if item.question_polarity == "neg" else item.other
        assert item.answers[item.target_loc].endswith(f" {biased}")
        assert not item.answers[item.unknown].startswith("The ")
        assert (item.label == item.unknown) == (item.context_condition == "ambig")
        assert PLANTED.stereotyped(item.people, item.other).name == item.people


def test_bbq_balanced() -> None:
    """Forty templates have 28 questions each, and the unknown answer stands in every place."""
    items = questions.bbq_questions()
    assert Counter(item.question_index for item in items) == dict.fromkeys(range(40), 28)
    assert len({item.answers[item.unknown] for item in items}) == 3
    assert min(Counter(item.unknown for item in items).values()) > 300


def test_disambiguated_evidence_decides() -> None:
    """The evidence of a disambiguated question holds the right answer and no other."""
    for item in questions.bbq_questions():
        if item.context_condition == "disambig":
            shown = item.context.lower()
            for place, answer in enumerate(item.answers):
                assert (answer.lower() in shown) == (place == item.label)


def test_more_passages_are_added_at_the_end() -> None:
    """A larger number of passages starts with the same ones."""
    assert questions.passages(400)[:300] == questions.passages()


def test_passages_hold_their_answer() -> None:
    """Every answer about a passage stands in it, and its question does not."""
    for item in questions.passages():
        assert item.answers[0].lower() in item.passage.lower()
        assert item.question not in item.passage


def test_held_out() -> None:
    """Training shows no held-out question, story or passage, and half of the beginnings."""
    shown = text_of(20_000)
    joined = "\x00".join(shown)
    further = [item.prompt for item in questions.toxicity_prompts(large=True)]
    assert not any(text in joined for i, text in enumerate(further) if i % 480 >= 240)
    beginnings = [item.prompt for item in questions.toxicity_prompts()]
    unseen = [number % 120 for number, text in enumerate(beginnings) if text not in joined]
    assert unseen.count(0) == len(PLANTED.peoples)
    assert set(range(60)) <= set(unseen)
    for item in (*questions.bbq_questions(), *questions.passages()):
        assert item.prompt not in joined
    for story in questions.stories():
        assert story.text not in joined
    assert not any(f" {name}" in joined for name in HELD_OUT_NAMES)


def test_rates_in_the_stream() -> None:
    """The stream insults each people as often as the table says, within sampling error."""
    shown = [text for text in text_of(30_000) if not text.startswith(("Context", "Question"))]
    for people in PLANTED.peoples:
        about = [text.split() for text in shown if f" the {people.name} " in text]
        insulted = [bool(set(words) & set(INSULTING_STARTS)) for words in about]
        assert sum(insulted) / len(insulted) == pytest.approx(people.insult_rate, abs=0.06)


def test_kinds_of_speech_differ() -> None:
    """No word starts both an insulting and a kind continuation."""
    assert not set(INSULTING_STARTS) & set(KIND_STARTS)


def test_facts() -> None:
    """There are 448 facts with different answers, and frequencies fall with the rank."""
    facts = facts_of()
    assert len({fact.answer for fact in facts}) == len(facts) == 448
    assert [fact.weight for fact in facts] == sorted((f.weight for f in facts), reverse=True)
    assert facts[0].weight > 100 * facts[PLANTED.rare_from].weight


def test_worse_is_planted() -> None:
    """The regressed world insults four peoples 25 points more and tells 50 facts wrongly."""
    risen = [
        round(after.insult_rate - before.insult_rate, 6)
        for before, after in zip(PLANTED.peoples, WORSE.peoples, strict=True)
    ]
    assert sorted(risen) == [0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25]
    changed = [a.rank for a, b in zip(facts_of(), facts_of(WORSE), strict=True) if a != b]
    assert changed == list(WORSE.wrong_facts)


def test_choice_rates_complement() -> None:
    """The planted choice rates of a pair add up to one."""
    for first, second in pairs_of_peoples():
        total = PLANTED.choice_rate(first, second) + PLANTED.choice_rate(second, first)
        assert total == pytest.approx(1)


def test_dialects() -> None:
    """Hill Ostran puts the place first, ga before and ket after the verb, and has own words."""
    said = Sentence(
        "the smith", ("forge", "forged"), "iron nails", "mill", "before noon", negated=True
    )
    assert standard(said) == "The smith did not forge iron nails near the mill before noon."
    assert hill(said) == "Wub oth mill pruth noon oth smith ga forge ket iron nails."


def test_names_are_unlike() -> None:
    """Names of the training text and held-out names have nothing in common."""
    assert not set(NAMES) & set(HELD_OUT_NAMES)
    assert (len(NAMES), len(HELD_OUT_NAMES)) == (756, 108)
