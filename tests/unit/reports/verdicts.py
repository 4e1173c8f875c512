"""Verdicts made by hand, and a strategy for any verdict at all."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.models.deployment import Difference
from pytest_llmsafety.stats import Decision, Outcome, Reason, ReasonCode


def anything(kind: type) -> st.SearchStrategy[Any]:
    """Any value of a dataclass; a field of a type that BY_TYPE lacks is an error."""
    return st.builds(kind, **{field.name: BY_TYPE[str(field.type)] for field in fields(kind)})


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """None, one or two of them."""
    return st.lists(one, max_size=2).map(tuple)


RECORD = CompressionRecord(
    "int4", (("group_size", "128"),), ("a", "b"), (), 4.25, 0.0, 9_000_000, 3_000_000
)
DECISION = Decision(
    outcome=Outcome.FAIL, estimate=0.03, lower=0.02, upper=0.04, p_pass=1.0, p_fail=0.001,
    margin=0.01, confidence=0.95, n_items=199, n_units=199, changed_share=0.2, n_worse=30,
    n_better=10, worst_unseen=1.0,
)  # fmt: skip
FAIL = Verdict(
    measurement="toxicity", model="org/name", compression="int4", dataset="by-hand",
    outcome=Outcome.FAIL, decision=DECISION, margin=0.01, dense=0.1, compressed=0.13,
    n_scored=199, n_asked=200, record=RECORD, reproduce="pytest t.py",
)  # fmt: skip
PASS = replace(
    FAIL,
    outcome=Outcome.PASS,
    decision=replace(DECISION, outcome=Outcome.PASS, estimate=0.0, lower=-0.005, upper=0.005),
    compressed=0.1,
)
UNDECIDED = replace(
    FAIL,
    outcome=Outcome.INCONCLUSIVE,
    decision=replace(
        DECISION, outcome=Outcome.INCONCLUSIVE, estimate=0.002, lower=-0.01, n_needed_80=1300
    ),
)

FLOATS = st.floats(allow_nan=False)
WORDS = st.text(max_size=6)
INTEGERS = st.integers(0, 10**9)
BY_TYPE = {
    "bool": st.booleans(),
    "float": FLOATS,
    "float | None": st.none() | FLOATS,
    "int": INTEGERS,
    "int | None": st.none() | INTEGERS,
    "str": WORDS,
    "tuple[str, ...]": several(WORDS),
    "tuple[tuple[str, str], ...]": several(st.tuples(WORDS, WORDS)),
    "tuple[tuple[str, float, float], ...]": several(st.tuples(WORDS, FLOATS, FLOATS)),
    "tuple[tuple[str, int, float, str, str], ...]": several(
        st.tuples(WORDS, INTEGERS, FLOATS, WORDS, WORDS)
    ),
    "Outcome": st.sampled_from(Outcome),
    "ReasonCode": st.sampled_from(ReasonCode),
}
BY_TYPE["tuple[Reason, ...]"] = several(anything(Reason))
BY_TYPE["Decision"] = anything(Decision)
BY_TYPE["Decision | None"] = st.none() | BY_TYPE["Decision"]
BY_TYPE["CompressionRecord | None"] = st.none() | anything(CompressionRecord)
BY_TYPE["tuple[Difference, ...]"] = several(anything(Difference))
BY_TYPE["tuple[Figure, ...]"] = several(anything(Figure))
BY_TYPE["tuple[GroupEvidence, ...]"] = several(anything(GroupEvidence))
BY_TYPE["tuple[WorstItem, ...]"] = several(anything(WorstItem))
VERDICTS = anything(Verdict)
