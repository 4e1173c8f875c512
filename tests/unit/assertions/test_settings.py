"""Margin, confidence, scope and worst of a run reach every assertion, whoever wrote it."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import pytest_llmsafety
from pytest_llmsafety.assertions.applicability import packaged_assertions
from pytest_llmsafety.assertions.claims import Claim, MeanClaim, Quantity
from pytest_llmsafety.assertions.family import within_family
from pytest_llmsafety.assertions.gate import gate, observe
from pytest_llmsafety.assertions.means import assess_mean, assess_quantity, verdict
from pytest_llmsafety.assertions.sequential import decide
from pytest_llmsafety.config.margins import read_margins, unused
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.catalog import measuring
from pytest_llmsafety.measurements.lazy_measurement import with_sampling_noise
from pytest_llmsafety.measurements.measurement import Measurement, Settings
from pytest_llmsafety.specs import Margins
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import (
    BBQItem,
    ConversationItem,
    Generate,
    Item,
    PassageItem,
    RequestItem,
)
from tests.stand_ins.measurements import measurement

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict

N = 240
EVERY = frozenset({"FAIL", "INCONCLUSIVE"})
UNBOUNDED = {"assert_perplexity_ratio", "assert_kl", "assert_dialect_gap"}
KEYS = {"assert_flip_rate": "qa.flips"}


def item(name: str, place: int) -> Item:
    """An item of the type that an assertion accepts, four of them in a cluster."""
    common: dict[str, Any] = {"prompt": f"prompt {place}", "cluster": f"c{place // 4}"}
    common["groups"] = (f"g:{place % 2}",)
    if name == "assert_bias_gap":
        options = ("a", "b", "c")
        return BBQItem(f"i{place}", options=options, target=0, unknown=2, category="Age", **common)
    if name == "assert_context_drop":
        return PassageItem(f"i{place}", **common)
    if name in {"assert_refusal_drop", "assert_overrefusal_rise"}:
        return RequestItem(f"i{place}", harmful=name == "assert_refusal_drop", **common)
    kind = ConversationItem if name == "assert_judge_loss" else Item
    return kind(f"i{place}", **common)


def made(name: str, settings: Settings) -> Measurement:
    """A measurement that an assertion accepts: half of the scores are 1, every tenth got worse."""
    given = packaged_assertions()[name]
    higher = bool(given.higher_is_better) or name in {"assert_flip_rate", "assert_agreement"}
    unbounded = given.bounded is False
    dense = [float(place % 2) + unbounded for place in range(N)]
    worse = [one and place % 20 == 1 for place, one in enumerate(dense)]
    if name == "assert_kl":
        dense = [0.0] * N
    compressed = [
        one + (0.2 if unbounded else -1.0 if higher else 0.0) * bad
        for one, bad in zip(dense, worse, strict=True)
    ]
    kind = "right answers" if name == "assert_flip_rate" else given.kinds[0]
    kind = "biased answers" if name == "assert_bias_gap" else kind
    return measurement(
        dense, compressed, items=[item(name, place) for place in range(N)],
        name=measuring(kind)[0], higher_is_better=higher, measures=kind, settings=settings,
        support=(0.0, math.inf) if unbounded else (-1.0, 1.0) if "bias" in kind else (0.0, 1.0),
    )  # fmt: skip


def verdict_of(name: str, **arguments: Any) -> Verdict:
    """The verdict of an assertion under settings; `margin` and `worst` are the assertion's own."""
    own = {key: arguments.pop(key) for key in ("margin", "worst") if key in arguments}
    with observe(lambda _: None, tolerate=EVERY):
        found: Verdict = getattr(pytest_llmsafety, name)(
            made(name, Settings(**arguments)), **{"margin": 0.07, **own}
        )
    return found


@pytest.mark.parametrize("name", packaged_assertions())
def test_every_assertion_takes_what_the_run_states(name: str) -> None:
    """Alpha, the marker's margin, the margin by name, scope: each moves the claim."""
    plain = verdict_of(name)
    assert (plain.margin, plain.scope, plain.margins_used) == (0.07, "population", ())
    assert plain.decision is not None
    surer = verdict_of(name, confidence=0.999)
    assert surer.decision is not None
    assert surer.decision.confidence > plain.decision.confidence
    assert verdict_of(name, margins=Margins(marker=0.31)).margin == 0.31
    key = KEYS.get(name, plain.measurement)
    named = verdict_of(name, margins=Margins(((key, 0.23),), 0.31))
    assert (named.margin, named.margins_used) == (0.23, (key,))
    suite = verdict_of(name, scope="suite")
    assert suite.scope == "suite"
    assert suite.decision is not None
    assert suite.decision.lower == suite.decision.upper


@pytest.mark.parametrize("name", packaged_assertions())
def test_no_assertion_decides_on_an_assumption_under_worst_1(name: str) -> None:
    """With worst=1.0, of the run or the assertion, nothing is assumed or nothing is decided."""
    for found in (verdict_of(name, worst=1.0, margin=0.6), verdict_of(name, worst=1.0)):
        decisions = [found.decision, *(one.decision for one in found.groups)]
        assumed = any(one.assumption for one in decisions if one)
        assert found.outcome is Outcome.INCONCLUSIVE or not (assumed or name in UNBOUNDED)


def silenced(pair: Any) -> float:
    """Whether the compressed model lost a right answer."""
    return float(pair.values[0] > pair.values[1])


def own_verdict(measured: Any, claim: Claim) -> Verdict:
    """The function of a custom assertion, which does nothing for the settings of a run."""
    claimed = MeanClaim(Quantity(silenced, (0.0, 1.0)), claim)
    finished, decision, _ = decide(measured, claimed)
    return verdict(finished, claim, decision, lambda pairs: (0.0, sum(map(silenced, pairs)) / N))


def own(claim: Claim, assess: Any = own_verdict, **settings: Any) -> Verdict:
    """A custom assertion under settings."""
    with observe(lambda _: None, tolerate=EVERY):
        return gate(made("assert_qa_drop", Settings(**settings)), claim, assess)


def test_a_custom_assertion_takes_them_without_doing_anything() -> None:
    """Marker, alpha, scope and worst reach a function that names none; its quantity has its key."""
    strict = own(Claim(0.07), margins=Margins(marker=0.5), confidence=0.999, worst=1.0)
    assert strict.margin == 0.5
    assert strict.decision is not None
    assert (strict.decision.confidence, strict.decision.worst_unseen) == (0.999, 1.0)
    assert own(Claim(0.07), scope="suite").scope == "suite"
    named = Claim(0.07, quantity="silence")
    assert own(named, margins=Margins(flags=(("qa", 0.3),))).margin == 0.07
    assert own(named, margins=Margins(flags=(("qa.silence", 0.3),))).margin == 0.3


def test_a_function_that_decides_by_another_claim_is_refused() -> None:
    """A function may not replace the margin, the confidence or the scope that the run states."""

    def stubborn(measured: Any, claim: Claim) -> Verdict:
        return own_verdict(measured, dataclasses.replace(claim, margin=0.9))

    def unsure(measured: Any, claim: Claim) -> Verdict:
        return own_verdict(measured, dataclasses.replace(claim, confidence=0.6))

    def general(measured: Any, claim: Claim) -> Verdict:
        return own_verdict(measured, dataclasses.replace(claim, scope="population"))

    for assess, what in ((stubborn, "margin"), (unsure, "confidence"), (general, "scope")):
        with pytest.raises(ConfigurationError, match=f"did not use the {what} that the run"):
            own(Claim(0.07), assess, scope="suite")


def test_a_margin_that_nothing_can_exceed_is_refused_before_anything_is_asked() -> None:
    """The range of the score, or of the quantity, is known before anything is measured."""

    def asked(*_: Any) -> Any:
        pytest.fail("asked")

    quantity = partial(assess_quantity, quantity=Quantity(asked, (0.0, 1.0)), aspect="silenced")
    for claim, assess in ((Claim(1.0), asked), (Claim(1.0, quantity="silence"), quantity)):
        with pytest.raises(ConfigurationError, match=r"can never be exceeded.*0 to 1"):
            own(claim, assess)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "1"])
def test_worst_is_a_share(wrong: Any) -> None:
    """A share above 1 of what is possible, or none, makes no sense."""
    with pytest.raises(ConfigurationError, match="worst="):
        Claim(0.1, worst=wrong)


def test_a_missing_score_gives_p_1_whatever_the_reason_says() -> None:
    """A FAIL with a missing score does not count in a session's family, with any reason."""
    one_missing = measurement([0.0] * 400, [*[1.0] * 399, None])
    one = assess_mean(one_missing, Claim(0.02))
    assert one.decision is not None
    assert (one.decision.reason, one.p_fail) == ("", 1.0)
    assert within_family([one])[0].outcome is Outcome.INCONCLUSIVE


def test_a_handful_of_items_is_no_suite() -> None:
    """In suite scope one item passes nothing and fails nothing; ten may."""
    suite = Settings(scope="suite")
    for compressed in (0.0, 1.0):
        few = gate_mean([0.0] * 9, [compressed] * 9, suite)
        assert few.outcome is Outcome.INCONCLUSIVE
        assert "suite scope on 9 items only" in few.reasons[-1]
        assert few.p_fail == 1.0
    assert gate_mean([0.0] * 10, [0.0] * 10, suite).passed


def test_sampled_text_is_no_suite() -> None:
    """Another seed would draw other text from the same prompts: population scope counts that."""
    greedy, drawn = Generate("a"), Generate("a", temperature=1.0)
    suite = Settings(scope="suite")
    assert with_sampling_noise([(greedy,), (greedy,)], suite) == (suite, ())
    kept, notes = with_sampling_noise([(greedy,), (greedy, drawn)], suite)
    assert (kept.scope, len(notes)) == ("population", 1)
    assert with_sampling_noise([(drawn,)], Settings()) == (Settings(), ())


def gate_mean(dense: list[float], compressed: list[float], settings: Settings) -> Verdict:
    """The verdict on a mean under settings."""
    with observe(lambda _: None, tolerate=EVERY):
        return gate(measurement(dense, compressed, settings=settings), Claim(0.1), assess_mean)


def test_margins_that_no_assertion_used_are_told() -> None:
    """Of the command line all, of a file those of what was gated; a mean uses no group's."""
    margins = read_margins(
        {"bbq": 0.1, "mmlu": {"flips": 0.2, "law": 0.3}, "kl": 0.4},
        [("qa", 0.5), ("toxicity", 0.6)],
    )
    assert unused(margins, {"toxicity"}, {"mmlu", "kl"}) == (
        "kl=0.4", "mmlu.flips=0.2", "qa=0.5", "mmlu law=0.3",
    )  # fmt: skip
    assert unused(margins, {"toxicity", "kl", "mmlu.flips", "qa", "mmlu law"}, {"mmlu"}) == ()


def test_worst_is_printed() -> None:
    """A verdict says what it was allowed to assume of an unseen cluster."""
    assert verdict_of("assert_qa_drop", worst=1.0).notes[-1] == (
        "worst=1: an unseen cluster may get worse by as much as a score allows"
    )
    assert "90% of what a score allows" in verdict_of("assert_qa_drop", worst=0.9).notes[-1]
    assert not any("worst=" in note for note in verdict_of("assert_qa_drop").notes)
