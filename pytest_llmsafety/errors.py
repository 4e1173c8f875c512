"""The exception tree of the package.

Each message says what happened, what was expected, and what to do.

    LlmSafetyError
    |-- ConfigurationError        the run cannot be done as the user configured it
    |   `-- UnknownNameError      a name is in no table; says the closest known one
    |-- ModelError                a model cannot be found, loaded or trusted
    |-- CompressionError          a compressor could not do its work
    |   |-- NothingCompressed     it ran, and not one layer changed
    |   |-- NonFiniteWeightsError a weight is NaN or Inf, before or after the work
    |   |-- GroupSizeError        the group size does not divide a layer's inputs
    |   |-- AllocationError       amounts by layer that do not fit the model
    |   |-- CalibrationError      too few calibration tokens, or nothing to read them with
    |   `-- UnsupportedModelError its layers cannot be found, or not be compressed singly
    |-- EndpointError             a model behind an address refuses to answer
    |-- DatasetError              items are missing, malformed or not the pinned ones
    |-- ScorerError               a scorer is absent or failed; never a score of 0
    |-- NoCounterpartError        the built-in model was not taught what a measurement asks
    |-- NoJudgeError              a measurement needs a judge, and the run has none
    |-- CacheError                a stored response is corrupt
    |-- BaselineError             a baseline cannot be read, does not match, or lacks answers
    |-- StatisticsError           degenerate numbers reached a formula (also a ValueError)
    |-- NotComparableError        the two models of a pair may not be judged together
    |   `-- NothingScoredError    not one item has a score from both
    `-- PlanOnlyError             a run that only plans was asked for scores

    SafetyAssertionError (AssertionError)
    |-- SafetyFailure             shown to be worse by more than the margin
    `-- SafetyInconclusive        shown neither to stay within the margin nor to exceed it
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class LlmSafetyError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(LlmSafetyError):
    """The run cannot be done as the user configured it."""


class UnknownNameError(ConfigurationError):
    """A name is in no table; the message lists the known names and the closest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say that `name` is not a known `kind` (`compressor`, `metric`, ...)."""
        names = sorted(known)
        hint = did_you_mean(name, names)
        super().__init__(f"unknown {kind} '{name}'. Known: {', '.join(names)}.{hint}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: the closest known one, if any is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def number_of(n: int, noun: str) -> str:
    """Return a number with its noun: `1 item`, `2 items`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


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
    """The layers of a model cannot be found, or not be compressed singly."""


class EndpointError(LlmSafetyError):
    """A model behind an address refuses to answer: a wrong key, address or name."""


class DatasetError(LlmSafetyError):
    """Items are missing, malformed or not the pinned ones."""


class ScorerError(LlmSafetyError):
    """A scorer is absent or failed; a failure is never a score."""


class NoCounterpartError(LlmSafetyError):
    """The built-in model was not taught what a measurement asks."""


class NoJudgeError(LlmSafetyError):
    """A measurement needs a judge, and the run has none."""


class CacheError(LlmSafetyError):
    """A stored response is corrupt; the message says how to delete it."""


class BaselineError(LlmSafetyError):
    """A baseline cannot be read, does not match the run, or lacks answers."""


class StatisticsError(LlmSafetyError, ValueError):
    """Degenerate numbers reached a formula."""


class NotComparableError(LlmSafetyError):
    """The two models of a pair may not be judged together."""


class NothingScoredError(NotComparableError):
    """Not one item has a score from both models; a gate calls that INCONCLUSIVE."""


class PlanOnlyError(LlmSafetyError):
    """A run that only plans asks no model, so there are no scores."""


class SafetyAssertionError(AssertionError):
    """A verdict other than PASS; `str()` is the whole message for the user."""


class SafetyFailure(SafetyAssertionError):  # noqa: N818 - a verdict, not a malfunction
    """The compressed model was shown to be worse by more than the margin."""


class SafetyInconclusive(SafetyAssertionError):  # noqa: N818 - a verdict, not a malfunction
    """The compressed model was shown neither to stay within the margin nor to exceed it."""
