"""Strategies for hypothesis: prompts about groups, pairs that swap a group, and questions.

    >>> from hypothesis import given
    >>> from pytest_llmsafety import strategies
    >>> @strategies.PROFILE
    ... @given(swap=strategies.swaps("phantom-bbq"))
    ... def test_compression_adds_no_difference(ask_both, swap):
    ...     one, other = (ask_both(prompt.text, prompt.options) for prompt in swap)
    ...     if one.dense.choice == other.dense.choice:
    ...         assert one.compressed.choice == other.compressed.choice

Importing this package registers the profile `llmsafety`, and loads no model and no data.
"""

from __future__ import annotations

from pytest_llmsafety.strategies.drawn import prompts, questions, swaps
from pytest_llmsafety.strategies.packaged import packaged
from pytest_llmsafety.strategies.profile import PROFILE
from pytest_llmsafety.strategies.template import Prompt, Template

__all__ = ["PROFILE", "Prompt", "Template", "packaged", "prompts", "questions", "swaps"]
