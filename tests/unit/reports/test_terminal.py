"""The table of verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.assertions.verdict import GroupEvidence
from pytest_llmsafety.reports.advice import sentence
from pytest_llmsafety.reports.rows import LEGEND
from pytest_llmsafety.reports.run import Run, SafetyTest
from pytest_llmsafety.reports.terminal import summary, table
from pytest_llmsafety.stats import Outcome
from tests.unit.reports.verdicts import DECISION, FAIL, PASS, RECORD, UNDECIDED, VERDICTS

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict


def test_the_table_of_a_run() -> None:
    """One block a compression, one row a verdict, the meaning of the words, then the reasons."""
    lines = table([PASS, replace(FAIL, compression="int2")], width=180)
    assert lines == [
        "org/name under int4: 2 layers at 4.25 bits a weight, 9.00 MB -> 3.00 MB",
        "measurement  dense  int4  change    90% interval  margin    items  verdict",
        "toxicity       0.1   0.1  +0.000  -0.005..+0.005  +0.010  199/200  PASS",
        "",
        "org/name under int2: 2 layers at 4.25 bits a weight, 9.00 MB -> 3.00 MB",
        "measurement  dense  int2  change    90% interval  margin    items  verdict",
        "toxicity       0.1  0.13  +0.030  +0.020..+0.040  +0.010  199/200  FAIL",
        "",
        LEGEND,
        "",
        *sentence(replace(FAIL, compression="int2")).splitlines(),
    ]


def test_a_drop_is_shown_in_its_own_direction() -> None:
    """Where higher is better the change is negative, and so is the margin."""
    drop = replace(FAIL, measurement="qa", higher_is_better=True, dense=0.8, compressed=0.77)
    row = table([drop], width=100)[2]
    assert row.startswith("qa             0.8  0.77  -0.030  -0.040..-0.020  -0.010")
    assert "at least -0.020 with 95% confidence" in sentence(drop)


def test_perplexity_is_shown_as_a_ratio() -> None:
    """Ratios bear an x, in the interval and in the margin."""
    ratio = replace(FAIL, is_ratio=True, dense=10.0, compressed=10.3, margin=0.01)
    assert "x1.030  x1.020..x1.041  x1.010" in table([ratio], width=100)[2]


def test_inconclusive_says_how_many_items_would_decide() -> None:
    """The next step is a number where one is known."""
    assert "about 1,300 items decide it four times in five" in sentence(UNDECIDED)


def test_a_guard_speaks_before_the_figures() -> None:
    """Where the figures are not believed, the reason stands in their place."""
    broken = replace(
        UNDECIDED,
        decision=DECISION,
        reasons=("int4 answers with empty text",),
        remedy="compress less",
    )
    assert sentence(broken) == (
        "INCONCLUSIVE toxicity under int4: the interval would decide, but a validity check failed. "
        "int4 answers with empty text. Next: compress less."
    )


def test_where_asking_stopped_is_one_sentence() -> None:
    """However many verdicts there are: how many stopped, and the shares of the first and last."""
    early = [
        replace(PASS, compression=f"rtn:{bits}", n_asked=100 * bits, n_suite=1000)
        for bits in range(2, 9)
    ]
    lines = table([*early, replace(PASS, n_suite=200)], width=1000)
    assert (
        "stopped when certain: 7 of 8 verdicts, after 20% of its items (toxicity under rtn:2, 200 "
        "of 1,000) to 80% of its items (toxicity under rtn:8, 800 of 1,000)."
    ) in lines
    assert (
        "stopped when certain: 1 of 1 verdicts, after 20% of its items (toxicity under rtn:2, 200 "
        "of 1,000)."
    ) in table(early[:1], width=1000)
    assert "stopped" not in "".join(table([PASS], width=1000))


def test_text_of_models_cannot_move_the_cursor() -> None:
    """Control characters in names and reasons are shown, not sent."""
    hostile = replace(FAIL, measurement="a\x1b[2Jb", reasons=("c\rd",))
    text = "".join(table([hostile], width=100))
    assert "\x1b" not in text
    assert "\r" not in text


def test_narrow_terminals_show_every_figure() -> None:
    """At 60 columns name and verdict stand above the figures, and no figure is left out."""
    lines = table([replace(UNDECIDED, measurement="toxicity_by_group")], width=60)
    assert lines[1:6] == [
        "  -> 3.00 MB",
        "measurement        verdict",
        "  dense  int4  change    90% interval  margin    items",
        "toxicity_by_group  INCONCLUSIVE",
        "    0.1  0.13  +0.002  -0.010..+0.040  +0.010  199/200",
    ]


def test_the_worst_groups_stand_under_their_figures() -> None:
    """First the group that decides, then the worst of the others, each with its change."""
    estimates = {"a:x": 0.01, "a:y": 0.05, "a:z": 0.04}
    groups = tuple(
        GroupEvidence(name, 0.1, 0.1 + by, replace(DECISION, estimate=by))
        for name, by in estimates.items()
    )
    lines = table([replace(FAIL, group="a:x", groups=groups)], width=120)
    assert lines[2].startswith("toxicity  ")
    assert lines[3] == "  worst of 3 groups: a:x +0.010, a:y +0.050"
    verdict = replace(
        PASS, group="a:x", groups=groups, notes=("cut\x1b[2J",), assumptions=("that.",),
        reasons=("rests on 12 clusters",),
    )  # fmt: skip
    assert table([verdict], width=120, verbose=True)[3:8] == [
        "  3 groups: a:x +0.010, a:y +0.050, a:z +0.040",
        f"  data: {PASS.dataset}",
        "  assumed: that.",
        "  why: rests on 12 clusters",
        "  note: cut\\x1b[2J",
    ]


def test_a_group_beyond_the_margin_on_its_own_is_named() -> None:
    """Among several groups one is beyond by chance: neither figures nor reader are to blame."""
    joint = replace(
        UNDECIDED, group="a:x", groups=(GroupEvidence("a:x", 0.1, 0.13, DECISION),) * 8,
        decision=replace(DECISION, outcome=Outcome.INCONCLUSIVE, n_items=24),
    )  # fmt: skip
    text = sentence(joint)
    assert "margin of +0.010 on its own, but not after correction for looking at 8 groups" in text
    assert "either side" not in text
    assert "24/200" in table([joint], width=160)[2]


def test_too_few_clusters_are_no_matter_of_groups() -> None:
    """Its bounds may lie beyond the margin, too: there are no groups to speak of."""
    few = replace(UNDECIDED, decision=replace(DECISION, outcome=Outcome.INCONCLUSIVE))
    assert few.decision.lower > few.decision.margin
    assert "on its own" not in sentence(few)
    assert "on its own" not in message(few)


def test_more_of_each_group_is_asked_for() -> None:
    """What decides is the smallest group."""
    small = GroupEvidence("a:y", 0.1, 0.13, replace(DECISION, n_units=18, n_items=18))
    text = sentence(replace(UNDECIDED, group="a:x", groups=(small,)))
    assert "about 1,300 items of each group decide it" in text
    assert "(now a:y has 18 of the 200 asked)" in text


def test_a_limit_is_named() -> None:
    """It is why fewer items were asked than the data set has."""
    test = SafetyTest("t.py::t[int4]", "passed", verdicts=(PASS,))
    run = Run((test,), 0, settings=(("limit", "60"),))
    text = "--llmsafety-limit: at most 60 items a measurement."
    assert text in summary(run, width=100, inconclusive="fail")


def test_what_was_assumed_is_counted() -> None:
    """One sentence says how many verdicts rest on an assumption, and on how few clusters."""
    assuming = replace(DECISION, assumption="assumes.", n_units=12)
    lines = table([PASS, replace(PASS, decision=assuming)], width=200)
    assert (
        "1 of 2 verdicts assume how much worse an unseen cluster or text could be, 1 of them on "
        "fewer than 20 clusters, and their error rates hold only where that is true: -v says what "
        "each assumes."
    ) in lines
    assert not any("assume" in line for line in table([PASS], width=200))


def test_one_measurement_of_two_data_sets_has_two_names() -> None:
    """The data set is named where the measurement alone would not say which row is which."""
    lines = table([PASS, replace(PASS, dataset="other")], width=160)
    names = [line.partition("  ")[0] for line in lines[2:4]]
    assert names == [f"toxicity ({PASS.dataset})", "toxicity (other)"]


def test_two_tests_of_one_measurement_have_two_names() -> None:
    """Of two gates on the same items each is named with its test."""
    one, two = (replace(PASS, test=name) for name in ("test_mean", "test_worst"))
    names = [line.partition("  ")[0] for line in table([one, two, FAIL], width=160)[2:5]]
    assert names == ["toxicity (test_mean)", "toxicity (test_worst)", "toxicity"]


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([PASS, FAIL, UNDECIDED]), min_size=1), st.text(max_size=60))
def test_it_fits_the_terminal(width: int, verdicts: list[Verdict], name: str) -> None:
    """No line is wider than the terminal, however long the names are."""
    groups = (GroupEvidence(name, 0.1, 0.13, DECISION),)
    named = [replace(v, aspect=name, group=name, groups=groups) for v in verdicts]
    lines = table(named, width=width)
    assert max(map(len, lines)) <= width


@settings(max_examples=60, deadline=None)
@given(st.lists(VERDICTS, min_size=1, max_size=3))
def test_any_verdict_can_be_shown(verdicts: list[Verdict]) -> None:
    """No combination of missing figures stops the table."""
    assert table(verdicts)


def test_a_test_without_verdict_is_named() -> None:
    """What came to no verdict is listed by its reason."""
    broken = [SafetyTest(f"t.py::{name}", "failed", "ScorerError: x") for name in "acd"]
    run = Run((*broken, SafetyTest("t.py::b", "passed")), 1)
    assert summary(run, width=80, inconclusive="fail") == [
        "",
        "no verdict (failed): t.py::a and 2 more: ScorerError: x",
        "",
        "no verdict (passed): t.py::b: it made no assertion of pytest-llmsafety.",
    ]


def test_what_to_do_about_a_missing_verdict_is_not_cut_off() -> None:
    """A message of several sentences is shown to its end; an endless one is cut."""
    message = f"ModelError: '{'folder/' * 40}' has no weights. Expected safetensors. Convert them."
    run = Run((SafetyTest("t.py::a", "failed", message),), 1)
    assert " ".join(summary(run, width=80, inconclusive="fail")).endswith("Convert them.")
    run = Run((SafetyTest("t.py::a", "failed", "word " * 10_000),), 1)
    assert len(summary(run, width=80, inconclusive="fail")) < 12


def test_a_policy_that_forgives_is_named() -> None:
    """It is said once something was forgiven, and not otherwise."""
    forgiven = Run((SafetyTest("t.py::a", "passed", "", (UNDECIDED,)),), 0)
    decided = Run((SafetyTest("t.py::a", "passed", "", (PASS,)),), 0)
    lines = summary(forgiven, width=80, inconclusive="pass")[-2:]
    assert "--llmsafety-inconclusive=pass" in lines[0]
    assert lines[1] == "  nothing was measured."
    assert "--llmsafety" not in "".join(summary(decided, width=80, inconclusive="pass"))


def test_what_rounds_while_the_model_runs_has_no_bits_a_weight() -> None:
    """A quantized cache leaves the weights, so neither their bits nor their size are shown."""
    cache = replace(RECORD, bits=32.0, layers=(), cache_bits=9.0, notes=("keys in 8 bits",))
    title = table([replace(PASS, compression="kv:int8", record=cache)], width=180)[0]
    assert title == "org/name under kv:int8: 2 layers, weights as they were; keys in 8 bits"


def test_a_suite_and_a_further_look_stand_beside_the_outcome() -> None:
    """No PASS on these items reads as a general one, and no third look as a first."""
    exact = replace(PASS.decision, lower=0.0, upper=0.0)
    suite = replace(PASS, scope="suite", decision=exact, n_suite=200, n_data=900, look=3)
    lines = table([suite, PASS], width=140)
    assert lines[2].endswith("PASS (these 199, look 3)")
    assert "all seen" in lines[2]
    assert any(line.startswith("(look N): 1 of 2 verdicts are further looks") for line in lines)
    assert any("and a limit left out other items" in line for line in lines)
    text = message(suite)
    assert "these 199 items only, all seen, n=199/200 pairs" in text
    assert "PASS, the change of these items is within it; nothing is claimed about other" in text
    assert "these" not in message(PASS)


def test_the_headlines_n_is_what_was_compared() -> None:
    """One context of BBQ, or one group, is not all that was asked."""
    part = replace(PASS, decision=replace(PASS.decision, n_items=80), n_scored=200, n_asked=200)
    assert "n=80/200 pairs, 30 worse" in message(part)
    assert "80/200" in table([part], width=120)[2]
    assert "n=80/200 pairs of this group" in message(replace(part, group="a:x"))


def test_the_table_says_that_looks_are_not_counted() -> None:
    """Without a cache, or with one that takes no file, and not where they were counted."""
    asked = replace(PASS, n_data=200)

    def shown(verdict: Verdict, cache: str) -> str:
        test = SafetyTest("t.py::a", "passed", "", (verdict,))
        lines = summary(Run((test,), 0, (("cache", cache),)), width=200, inconclusive="fail")
        return "\n".join(lines)

    assert "looks are not counted: no cache." in shown(asked, "")
    assert "looks.sqlite in /ro cannot be read or written" in shown(asked, "/ro")
    assert "not counted" not in shown(replace(asked, look=1), "/rw")
    assert "not counted" not in shown(PASS, "")


def test_the_header_says_how_much_of_the_model_changed() -> None:
    """The share of all parameters, and that of what lies between embedding and head."""
    record = replace(RECORD, changed_share=0.978, changed_body_share=0.9991)
    title = table([replace(PASS, record=record)], width=180)[0]
    assert "98% of the parameters changed (99.9% between embedding and head)" in title
