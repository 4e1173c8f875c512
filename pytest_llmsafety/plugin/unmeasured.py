"""Tests whose measurement cannot run: INCONCLUSIVE with the reason, or skipped."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_llmsafety.errors import (
    ConfigurationError,
    DatasetError,
    NoCounterpartError,
    NoJudgeError,
    SafetyInconclusive,
    ScorerError,
)
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.collection import REASON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.specs import ModelPair


class NothingMeasured(SafetyInconclusive):
    """Ends a test whose measurement could not run, after its verdict was recorded."""


class NotAParameterError(ConfigurationError):
    """A test calls `getfixturevalue` for a fixture of ours, so it has no compression."""


def not_a_parameter(*, with_model: bool) -> NoReturn:
    """End a test that has no compression: skip it without a model, and fail it with one."""
    why = f"{REASON}, and `measure`, `model_pair` or `ask_both` among its parameters"
    if not with_model:
        raise NoModel(why)
    message = f"{why}: this test asks for one of them by name, and so judges nothing"
    raise NotAParameterError(message)


class NoModel(pytest.skip.Exception):  # type: ignore[name-defined,misc]
    """Skips a test that needs a model, in a run without one."""

    __module__, __qualname__ = "builtins", "Skipped"  # pytest shows the name, as of its own


class NoCounterpart(pytest.skip.Exception):  # type: ignore[name-defined,misc]
    """Skips a test that the built-in model was not trained for; the run counts as complete."""

    __module__, __qualname__ = "builtins", "Skipped"  # pytest shows the name, as of its own


@contextmanager
def not_decided(name: str, pair: ModelPair, *, dataset: str, reproduce: str) -> Iterator[None]:
    """Turn what the measurement `name`, made inside the `with`, lacks into the test's outcome.

    Without items, scorer or judge the test is INCONCLUSIVE, with a verdict that says so. Where
    the built-in model has no counterpart the test is skipped.
    """
    try:
        yield
    except NoCounterpartError as error:
        raise NoCounterpart(plain(str(error))) from None
    except (DatasetError, NoJudgeError, ScorerError) as error:
        from pytest_llmsafety.assertions.gate import conclude
        from pytest_llmsafety.assertions.message import message
        from pytest_llmsafety.assertions.verdict import Verdict

        verdict = Verdict.unmeasured(name, pair, str(error), dataset=dataset, reproduce=reproduce)
        with suppress(SafetyInconclusive):
            conclude(verdict)
        raise NothingMeasured(message(verdict)) from error
