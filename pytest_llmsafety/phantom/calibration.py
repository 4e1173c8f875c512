"""Calibration texts of the built-in model: documents of its own world, as in its training."""

from __future__ import annotations

from itertools import islice

from pytest_llmsafety.phantom.stream import FINAL_MIX, stream
from pytest_llmsafety.phantom.world import PLANTED

__all__ = ["calibration_texts"]

DOCUMENTS = 4000  # about 130,000 tokens: 128 sequences of 512, twice
SEED = 77  # another than the training's


def calibration_texts() -> tuple[str, ...]:
    """Return the same documents every time; the held-out questions are not among them."""
    documents = islice(stream(SEED, PLANTED, FINAL_MIX), DOCUMENTS)
    return tuple("".join(text for text, _ in document) for document in documents)
