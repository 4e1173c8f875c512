"""Verdicts as text and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings

from pytest_llmsafety.reports.serialization import decode, encode
from pytest_llmsafety.stats import Outcome
from tests.unit.reports.verdicts import FAIL, VERDICTS

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict


@settings(max_examples=60, deadline=None)
@given(VERDICTS)
def test_a_verdict_survives_its_text(verdict: Verdict) -> None:
    """decode(encode(verdict)) is an equal verdict, whatever is in it."""
    assert decode(encode(verdict)) == verdict


def test_types_come_back() -> None:
    """Outcomes are outcomes again, lists are tuples, nested values have their class."""
    verdict = decode(encode(FAIL))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.decision == FAIL.decision
    assert verdict.record == FAIL.record


def test_verdicts_on_a_compression_share_their_record() -> None:
    """It travels packed, and is one object again however often it comes."""
    one, other = decode(encode(FAIL)), decode(encode(replace(FAIL, measurement="other")))
    assert one.record is other.record
    assert one.record == FAIL.record


def test_the_text_is_json() -> None:
    """Anyone may read it."""
    assert json.loads(encode(FAIL))["outcome"] == "FAIL"
