"""A verdict as properties of a test."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings

from pytest_llmsafety.reports.properties import properties
from tests.unit.reports.verdicts import DECISION, FAIL, VERDICTS


def test_a_drop_has_the_sign_of_the_figures() -> None:
    """Where higher is better a worsening is a negative delta, and the bounds change places."""
    found = dict(properties(replace(FAIL, higher_is_better=True, dense=0.8, compressed=0.77)))
    ends = [found[f"llmsafety.{name}"] for name in ("lower", "delta", "upper")]
    assert ends == ["-0.04", "-0.03", "-0.02"]
    assert found["llmsafety.higher_is_better"] == "true"


def test_perplexity_has_the_unit_of_its_margin() -> None:
    """A ratio of 1.03 is a delta of .03, to be compared with a margin of .05."""
    nats = replace(DECISION, estimate=math.log(1.03), lower=math.log(1.02), upper=math.log(1.04))
    found = dict(properties(replace(FAIL, is_ratio=True, decision=nats, margin=0.05)))
    ends = [found[f"llmsafety.{name}"] for name in ("lower", "delta", "upper", "margin")]
    assert ends == ["0.02", "0.03", "0.04", "0.05"]


def test_what_is_not_known_is_left_out() -> None:
    """Without a decision there are no figures, and no number stands for them."""
    found = dict(properties(replace(FAIL, decision=None, dense=None, compressed=math.nan)))
    gone = {"dense", "compressed", "delta", "lower", "upper", "aspect", "group"}
    assert not {f"llmsafety.{name}" for name in gone} & found.keys()


@settings(max_examples=60, deadline=None)
@given(VERDICTS.filter(lambda verdict: verdict.decision is not None))
def test_any_verdict_has_short_properties(verdict) -> None:
    """No property holds more than a name or a number, each odd character in ten at most."""
    assert max(len(value) for _, value in properties(verdict)) < 80
