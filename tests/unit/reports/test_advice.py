"""What to do next: one remedy that fits the figures, or none where a reason holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings

from pytest_llmsafety.assertions.guards import doubted
from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict
from pytest_llmsafety.reports.advice import sentence
from pytest_llmsafety.stats import Outcome
from tests.unit.reports.verdicts import FAIL, PASS, UNDECIDED, VERDICTS

ASKING = ("raise --llmsafety-limit", "ask all", "larger data set")


def advice(verdict: Verdict, **decision: Any) -> str:
    """What a verdict says after `Next:`, with these figures of its decision."""
    assert verdict.decision is not None
    text = sentence(replace(verdict, decision=replace(verdict.decision, **decision)))
    return text.partition("Next: ")[2]


@settings(max_examples=200, deadline=None)
@given(VERDICTS)
def test_there_is_one_remedy_at_most(verdict: Verdict) -> None:
    """Whatever the verdict, it says what to do once, or not at all."""
    plain = replace(verdict, measurement="m", reasons=(), remedy="", dataset="d", group="")
    assert sentence(plain).count("Next:") <= 1


def test_a_larger_limit_is_for_data_that_has_more() -> None:
    """The limit that would decide, where the data set holds so many; it is a further look."""
    text = advice(replace(UNDECIDED, n_data=5000, n_suite=200, dataset="d"))
    assert text.startswith("raise --llmsafety-limit to about 1,310: about 1,300 items decide it")
    assert text.endswith("it is a further look at this gate, and is counted as one.")
    text = advice(replace(UNDECIDED, n_data=5000, n_suite=200), sequential=True)
    assert text.startswith("raise --llmsafety-limit to about 1,960")


def test_where_all_was_asked_it_is_not_to_ask_more() -> None:
    """All of a data set, or a data set that is too small whatever the limit."""
    for n_data, start in ((200, "a larger data set, all"), (900, "a larger data set"), (0, "more")):
        text = advice(replace(UNDECIDED, n_data=n_data, n_suite=200, dataset="nq"))
        assert text.startswith(f"use {start}"), n_data
        assert "--llmsafety-limit" not in text
        assert "about 1,300 items decide it" in text


def test_too_few_clusters_ask_for_clusters() -> None:
    """No number of items in nineteen clusters decides anything."""
    few = {"n_units": 19, "n_needed_80": 40}
    assert advice(replace(UNDECIDED, n_data=200), **few) == (
        "use a data set with at least 20 clusters."
    )
    assert "until there are 20 clusters" in advice(replace(UNDECIDED, n_data=900), **few)


def test_what_is_beyond_the_margin_already_is_not_asked_again() -> None:
    """An estimate beyond the margin, a group beyond it alone, a FAIL: compress less."""
    assert advice(UNDECIDED, estimate=0.02, lower=0.001).startswith("compress less")
    by_chance = advice(UNDECIDED, estimate=0.02, lower=-0.02)  # which no change may be, too
    assert by_chance.startswith("use more data")
    assert advice(FAIL) == "compress less. The worst items are in the test's message."
    failed = replace(FAIL.decision, outcome=Outcome.FAIL) if FAIL.decision else None
    assert failed is not None
    alone = replace(UNDECIDED, group="a", groups=(GroupEvidence("a", 0.1, 0.2, failed),))
    assert advice(alone).startswith("compress less")


def test_too_close_and_too_noisy_differ_from_too_few() -> None:
    """Where no number of items would decide, none is recommended."""
    for figures in (
        {"n_needed_80": 100, "n_needed_half_80": 150},
        {"n_needed_80": None, "n_needed_half_80": None},
    ):
        text = advice(UNDECIDED, **figures)
        assert text.startswith("compress less; the change")
        assert not any(word in text for word in ASKING)


def test_a_guards_remedy_is_the_only_one() -> None:
    """What the dense model does not know cannot be repaired by asking more, nor by compressing."""
    doubt = doubted(replace(PASS, n_data=9000), "it knows nothing", "use another data set")
    both = doubted(doubt, "and it is tired", "let it sleep")
    assert both.outcome is Outcome.INCONCLUSIVE
    text = sentence(both)
    assert text.endswith("it knows nothing. and it is tired. Next: use another data set.")
    assert "Next" not in sentence(doubted(PASS, "a guard of a third party"))
    assert "Next" not in sentence(replace(UNDECIDED, decision=None))


def test_a_run_of_the_dense_model_alone_is_not_compressed_less() -> None:
    """Under `dense` nothing was compressed."""
    assert "nothing was compressed" in advice(replace(FAIL, compression="dense"))
