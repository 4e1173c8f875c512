"""A measurement that cannot run: not decided, with the reason; skipped on the built-in model."""

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
    """Ends a test whose measurement could not run; the observers have its verdict by then."""


class NotAParameterError(ConfigurationError):
    """A test asked for a fixture of ours by name, so it has no compression to be run under."""


def not_a_parameter(*, with_model: bool) -> NoReturn:
    """End such a test: it is skipped without a model, as all are, and fails with one."""
    why = f"{REASON}, and `measure`, `model_pair` or `ask_both` among its parameters"
    if not with_model:
        pytest.skip(why)
    message = f"{why}: this test asks for one of them by name, and so judges nothing"
    raise NotAParameterError(message)


class NoCounterpart(pytest.skip.Exception):  # type: ignore[name-defined,misc]
    """Skips a test of what the built-in model was never taught, which is no gap in a run."""

    __module__, __qualname__ = "builtins", "Skipped"  # pytest shows the name, as of its own


@contextmanager
def not_decided(name: str, pair: ModelPair, *, dataset: str, reproduce: str) -> Iterator[None]:
    """Make the measurement `name` inside the `with`; what it lacks is told and ends the test.

    Missing items, a missing scorer or judge are an INCONCLUSIVE verdict of its own. That the
    built-in model has no counterpart is no gap: the test is skipped.
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
