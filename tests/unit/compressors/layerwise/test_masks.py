"""The lowest scores are chosen by row, by layer, and by group of neighbours."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.compressors.layerwise.masks import (
    lowest_of_all,
    lowest_of_groups,
    lowest_of_rows,
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(2, 19), st.floats(0, 0.99))
def test_each_row_loses_its_share(rows, columns, share):
    """Each row loses exactly int(columns * share), none larger than one that stays."""
    scores = torch.rand(rows, columns)
    mask = lowest_of_rows(scores, share)
    assert (mask.sum(1) == int(columns * share)).all()
    for row, lost in zip(scores, mask, strict=True):
        assert not lost.any() or row[lost].max() <= row[~lost].min()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 19), st.sampled_from([(1, 4), (2, 4), (4, 8)]))
def test_each_group_loses_n(rows, columns, pattern):
    """N of every M neighbours are lost; a shorter last group loses N as well, or all."""
    n, m = pattern
    mask = lowest_of_groups(torch.rand(rows, columns), n, m)
    for group in torch.split(mask, m, dim=1):
        assert (group.sum(1) == min(n, group.shape[1])).all()


def test_one_threshold_takes_the_rank_itself():
    """The score of rank int(count * share) is lost, too, as in the authors' code."""
    scores = torch.arange(10.0).reshape(2, 5)
    assert int(lowest_of_all(scores, 0.5).sum()) == 6
    assert int(lowest_of_all(scores, 0.0).sum()) == 0


@pytest.mark.parametrize("lowest", [lowest_of_rows, lowest_of_all])
def test_equal_scores_are_lost_in_order(lowest):
    """Rows break ties by position; a threshold loses all that are equal."""
    mask = lowest(torch.zeros(1, 4), 0.5)
    assert mask.tolist() == [[True, True, False, False] if lowest is lowest_of_rows else [True] * 4]
