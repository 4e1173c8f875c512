"""The public names of the statistics."""

from __future__ import annotations

import pytest_llmsafety.stats as public


def test_the_public_names_are_these() -> None:
    """A name is added or removed on purpose, and the list is sorted."""
    assert public.__all__ == [
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
    assert sorted(public.__all__) == public.__all__
    assert all(hasattr(public, name) for name in public.__all__)
