"""Scorers by name: each gives a text a number in 0-1, such as its toxicity; one scorer a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.registry import Registry

if TYPE_CHECKING:
    from pytest_llmsafety.metrics.scorers.base import Scorer

__all__ = ["SCORERS", "check_scorer", "load_scorer"]

SCORERS = Registry(
    "scorer",
    {
        "classifier": "pytest_llmsafety.metrics.scorers.hf_classifier:load",
        "detoxify": "pytest_llmsafety.metrics.scorers.detoxify:load",
        "phantom": "pytest_llmsafety.metrics.scorers.detoxify:load_phantom",
        "profanity-check": "pytest_llmsafety.metrics.scorers.profanity_check:load",
        "vader": "pytest_llmsafety.metrics.scorers.vader:load",
    },
)


def load_scorer(text: str, *, device: str = "cpu") -> Scorer:
    """Load the scorer that `name` or `name:parameter` stands for, and never another one.

    Raises UnknownNameError for an unknown name, and ScorerError, with a remedy, when files or a
    package are missing.
    """
    name, _, parameter = text.strip().partition(":")
    load = SCORERS.load(name)
    return load(parameter, device)  # type: ignore[no-any-return]


def check_scorer(text: str) -> None:
    """Raise UnknownNameError for an unknown scorer; load no model.

    Raises ConfigurationError for a folder alone, because its label has to be named, too.
    """
    name = text.strip().partition(":")[0]
    if "/" in name and name not in SCORERS.names():
        message = (
            f"--llmsafety-scorer: '{text}' looks like a folder. Expected classifier:FOLDER#LABEL "
            "for a Hugging Face classifier, with the label that counts as toxic."
        )
        raise ConfigurationError(message)
    SCORERS.load(name)
