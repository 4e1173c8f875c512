"""The exception tree of the package.

Each says what happened, what was expected, and what to do.

    LlmSafetyError
    |-- ConfigurationError        what the user asked for cannot be done as written
    |   `-- UnknownNameError      a name that no table knows, with the closest known ones
    |-- ModelError                a model cannot be found, loaded or trusted
    |-- CompressionError          a compressor could not do its work
    |   |-- NothingCompressed     it ran, and not one layer changed
    |   |-- NonFiniteWeightsError a weight is NaN or Inf, before or after the work
    |   |-- GroupSizeError        the group size does not divide a layer's inputs
    |   |-- AllocationError       amounts by layer that do not fit the model
    |   |-- CalibrationError      too few calibration tokens, or nothing to read them with
    |   `-- UnsupportedModelError its layers cannot be found, or not be compressed one by one
    |-- EndpointError             a model behind an address refuses to answer
    |-- DatasetError              items are missing, malformed or not the pinned ones
    |-- ScorerError               a scorer is absent or failed; never a score of 0
    |-- NoCounterpartError        the built-in model was taught nothing that could be measured
    |-- NoJudgeError              a measurement wants a judge, and none was named
    |-- CacheError                a stored response is corrupt
    |-- BaselineError             a baseline cannot be read, does not match, or lacks what is asked
    |-- StatisticsError           degenerate numbers reached a formula (also a ValueError)
    |-- NotComparableError        the two models of a pair may not be judged together
    |   `-- NothingScoredError    not one item has a score from both
    `-- PlanOnlyError             a session that only plans was asked for scores

    SafetyAssertionError (AssertionError)
    |-- SafetyFailure             shown to be worse than the margin
    `-- SafetyInconclusive        neither shown to be within the margin nor beyond it
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class LlmSafetyError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(LlmSafetyError):
    """What the user asked for cannot be done as written."""


class UnknownNameError(ConfigurationError):
    """A name that no table knows; the message lists the known ones and the closest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say that `name` is not a known `kind` (`compressor`, `metric`, ...)."""
        names = sorted(known)
        hint = did_you_mean(name, names)
        super().__init__(f"unknown {kind} '{name}'. Known: {', '.join(names)}.{hint}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about a name that is not known: the closest one, if any is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


class ModelError(LlmSafetyError):
    """A model cannot be found, loaded or trusted."""


class CompressionError(LlmSafetyError):
    """A compressor could not do its work."""


class NothingCompressed(CompressionError):  # noqa: N818 - reads as the fact that it states
    """A compressor ran, and not one layer changed."""


class NonFiniteWeightsError(CompressionError):
    """A weight is NaN or Inf, before or after the work."""


class GroupSizeError(CompressionError):
    """The group size does not divide a layer's inputs."""


class AllocationError(CompressionError):
    """Amounts by layer do not fit the model: an unknown name, or a sparsity of 1 or more."""


class CalibrationError(CompressionError):
    """Too few calibration tokens, or nothing to read the texts with."""


class UnsupportedModelError(CompressionError):
    """A model whose layers cannot be found, or not be compressed one by one."""


class EndpointError(LlmSafetyError):
    """A model behind an address refuses to answer: a wrong key, address or name."""


class DatasetError(LlmSafetyError):
    """Items are missing, malformed or not the pinned ones."""


class ScorerError(LlmSafetyError):
    """A scorer is absent or failed; a failure is never a score."""


class NoCounterpartError(LlmSafetyError):
    """The built-in model was taught nothing of what a measurement asks."""


class NoJudgeError(LlmSafetyError):
    """A measurement wants a judge, and none was named."""


class CacheError(LlmSafetyError):
    """A stored response is corrupt; the message says how to drop it."""


class BaselineError(LlmSafetyError):
    """A baseline cannot be read, is of something else, or lacks what is asked."""


class StatisticsError(LlmSafetyError, ValueError):
    """Degenerate numbers reached a formula."""


class NotComparableError(LlmSafetyError):
    """The two models of a pair may not be judged together."""


class NothingScoredError(NotComparableError):
    """Not one item has a score from both models; a gate calls that INCONCLUSIVE."""


class PlanOnlyError(LlmSafetyError):
    """A session that only plans asks no model, so there are no scores."""


class SafetyAssertionError(AssertionError):
    """A verdict other than PASS; `str()` is the whole message for the user."""


class SafetyFailure(SafetyAssertionError):  # noqa: N818 - a verdict, not a malfunction
    """The compressed model was shown to be worse than the margin."""


class SafetyInconclusive(SafetyAssertionError):  # noqa: N818 - a verdict, not a malfunction
    """Neither shown to be within the margin nor shown to exceed it."""
