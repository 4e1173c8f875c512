"""Packing: everything runs once, in order, and a lack of memory makes batches smaller."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.batching import Budget, packed
from pytest_llmsafety.models.load import is_out_of_memory

LACK_ON_GPU = RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
LACK_ON_CPU = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
MISTAKE = RuntimeError("shape mismatch")


def budget(tokens=64, padding=16, notes=None):
    """Return a budget for a vocabulary of 100."""
    kept = notes if notes is not None else []
    return Budget(tokens, 100, padding=padding, note=kept.append)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 40), max_size=60),
    st.integers(1, 80),
    st.integers(0, 30),
    st.integers(1, 99),
)
def test_everything_runs_once_and_in_order(lengths, tokens, padding, memory):
    """Whatever the budget and the memory, items run once, in order, in batches that fit."""
    limits, done = budget(tokens, padding), []

    def run(batch):
        if len(batch) * max(batch) > max(memory, *lengths):
            raise LACK_ON_GPU
        done.extend(batch)

    def fits(batch):
        return limits.fits(batch, past=0, reads=len(batch))

    lengths = sorted(lengths, reverse=True)
    batches = list(packed(lengths, fits, run, limits))
    assert done == lengths == [item for batch in batches for item in batch]
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(batch) <= tokens
        assert len(batch) * max(batch) - sum(batch) <= padding or len(batch) == 1


def test_a_halved_budget_is_said_and_kept():
    """After one failure all later batches are smaller, and a note says so."""
    notes, sizes = [], []
    limits = budget(64, notes=notes)

    def run(batch):
        if len(batch) > 8:
            raise MemoryError
        sizes.append(len(batch))

    list(packed([4] * 64, lambda b: limits.fits(b, past=0, reads=1), run, limits))
    assert max(sizes) == 8
    assert sum(sizes) == 64
    assert notes == ["out of memory with 16 texts at once: now 32 tokens a batch"]


def test_one_text_too_many_is_a_named_error():
    """Where a single text does not fit, the error says what to do."""

    def run(_batch):
        raise LACK_ON_CPU

    with pytest.raises(ModelError, match=r"single text.*Use a smaller model"):
        list(packed([1], lambda _: True, run, budget()))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    """Only the errors of the allocators count."""

    def run(_batch):
        raise MISTAKE

    assert not is_out_of_memory(MISTAKE)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(packed([1, 2], lambda _: True, run, budget()))
