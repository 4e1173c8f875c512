"""Statistics of a decision: arrays in, frozen results out; no I/O, no torch, no pytest."""

from pytest_llmsafety.stats.criterion import Criterion
from pytest_llmsafety.stats.decision import Decision, Outcome, Reason, ReasonCode
from pytest_llmsafety.stats.fixed_sample import decide_mean
from pytest_llmsafety.stats.groups import GroupDecision, decide_groups
from pytest_llmsafety.stats.multiple_testing import e_holm, holm, max_t
from pytest_llmsafety.stats.power import detectable_change, n_needed, rule_of_three
from pytest_llmsafety.stats.ratios import (
    Ratio,
    decide_divergence,
    decide_group_rate_ratios,
    decide_rate_ratio,
    decide_ratio,
    decide_ratio_change,
)
from pytest_llmsafety.stats.scorer_accuracy import ScorerAccuracy, correct
from pytest_llmsafety.stats.sequential_test import GroupSequentialTest, SequentialTest

__all__ = [
    "Criterion",
    "Decision",
    "GroupDecision",
    "GroupSequentialTest",
    "Outcome",
    "Ratio",
    "Reason",
    "ReasonCode",
    "ScorerAccuracy",
    "SequentialTest",
    "correct",
    "decide_divergence",
    "decide_group_rate_ratios",
    "decide_groups",
    "decide_mean",
    "decide_rate_ratio",
    "decide_ratio",
    "decide_ratio_change",
    "detectable_change",
    "e_holm",
    "holm",
    "max_t",
    "n_needed",
    "rule_of_three",
]
