"""Sampling noise: Gumbel distributed, and fixed by its key alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from pytest_llmsafety.inference.backends.noise import gumbel, row_key

MASK = (1 << 64) - 1


def splitmix(state):
    """Return SplitMix64's output function of a state, in Python's whole numbers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_the_hash_is_splitmix64():
    """The integers equal the published generator's, computed without torch."""
    golden, key, step = 0x9E3779B97F4A7C15, row_key(3, "item", 1), 5
    state = splitmix(((key & MASK) + (step + 1) * golden) & MASK)
    expected = []
    for token in range(1, 9):
        bits = splitmix((state + token * golden) & MASK) >> 12
        uniform = (bits + 0.5) * 2.0**-52
        expected.append(-np.log(-np.log(uniform)))
    np.testing.assert_allclose(gumbel([key], [step], torch.arange(8))[0], expected, rtol=1e-12)


def test_the_published_first_number():
    """SplitMix64 seeded with 0 begins with 0xE220A8397B1DCDAF."""
    assert splitmix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF


def test_noise_is_standard_gumbel():
    """Values over tokens, steps and keys follow the Gumbel distribution."""
    keys = [row_key(0, str(item), 0) for item in range(40)]
    for values in (
        gumbel(keys[:1], [0], torch.arange(20000))[0],
        gumbel(keys, [7] * 40, torch.arange(500)).flatten(),
        gumbel(keys[:1] * 2000, range(2000), torch.arange(10))[:, 3],
    ):
        assert stats.kstest(values.numpy(), "gumbel_r").pvalue > 1e-3


def test_a_row_depends_on_its_own_key_only():
    """Neither the other rows nor their number change a row."""
    keys = [row_key(0, str(item), 0) for item in range(5)]
    together = gumbel(keys, range(5), torch.arange(50))
    for row, key in enumerate(keys):
        assert torch.equal(together[row : row + 1], gumbel([key], [row], torch.arange(50)))


def test_seed_item_sample_and_step_each_matter():
    """Changing any part of the key gives independent noise."""
    keys = [row_key(0, "a", 0), row_key(1, "a", 0), row_key(0, "b", 0), row_key(0, "a", 1)]
    rows = gumbel([*keys, keys[0]], [0, 0, 0, 0, 1], torch.arange(5000))
    correlation = np.corrcoef(rows.numpy()) - np.eye(5)
    assert np.abs(correlation).max() < 0.06
