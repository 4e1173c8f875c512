"""The scorers of a session: which one reads a measurement's texts, each loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError, ScorerError
from pytest_llmsafety.measurements.catalog import NO_DEFAULT, RULES, TOXICITY
from pytest_llmsafety.metrics.scorers import check_scorer, load_scorer
from pytest_llmsafety.models.device import resolve

if TYPE_CHECKING:
    from pytest_llmsafety.metrics.scorers.base import Scorer
    from pytest_llmsafety.specs import ModelSpec

BUILT_IN = "phantom"


class SessionScorers:
    """Chooses and loads scorers; the built-in model has a scorer of its own.

    `toxicity` is the scorer of toxicity that the user names, if any.
    """

    def __init__(self, model: ModelSpec | None, toxicity: str | None) -> None:
        """Load nothing yet."""
        self._model = model
        self._toxicity = toxicity
        self._loaded: dict[str, Scorer] = {}

    @property
    def toxicity(self) -> str:
        """Return the name of the scorer of toxicity: the user's, else the default one."""
        return self._toxicity or (BUILT_IN if self._is_phantom else TOXICITY)

    def choose(self, name: str, default: str, given: str | None) -> str:
        """Return the scorer of the measurement `name`: the `given` one, else its `default`.

        Empty for a measurement that reads no texts. Raises ConfigurationError for a scorer that
        would change nothing, UnknownNameError for an unknown one, and ScorerError where one has to
        be given.
        """
        if given and not default:
            message = f"{name} reads no texts, so scorer='{given}' would change nothing."
            raise ConfigurationError(message)
        if given:
            check_scorer(given)
            return given
        if default == TOXICITY:
            return self.toxicity
        if default == RULES:
            return default
        if default and self._is_phantom:
            return BUILT_IN
        if default == NO_DEFAULT:
            message = (
                f"{name} has no default scorer. Name a classifier and its label for harm: "
                f'measure("{name}", scorer="classifier:FOLDER#LABEL"); docs/scorers.md says how '
                "to get one."
            )
            raise ScorerError(message)
        return default

    def load(self, name: str) -> Scorer:
        """Return the scorer of a name, loaded on first use. Raises ScorerError."""
        if name not in self._loaded:
            device = resolve(self._model)[1] if self._model else "cpu"
            self._loaded[name] = load_scorer(name, device=device)
        return self._loaded[name]

    @property
    def _is_phantom(self) -> bool:
        return self._model is not None and self._model.is_phantom
