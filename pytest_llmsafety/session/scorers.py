"""The scorers of a session: which one a measurement reads texts with, each loaded once."""

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
    """What each measurement's texts are read by; the built-in model has a scorer of its own.

    `asked` is the scorer of toxicity that the user names, where one is named.
    """

    def __init__(self, model: ModelSpec | None, asked: str | None) -> None:
        """Load nothing yet."""
        self._model = model
        self._asked = asked
        self._loaded: dict[str, Scorer] = {}

    @property
    def toxicity(self) -> str:
        """The scorer of toxicity by name: the option's, or the usual one."""
        return self._asked or (BUILT_IN if self._is_phantom else TOXICITY)

    def choose(self, name: str, usual: str, given: str | None) -> str:
        """The scorer of the measurement `name`: the `given` one, else its `usual` one.

        Empty for a measurement that reads no texts. Raises ConfigurationError when one is given
        all the same, UnknownNameError for an unknown one, ScorerError where one has to be given.
        """
        if given and not usual:
            message = f"{name} reads no texts, so scorer='{given}' would change nothing."
            raise ConfigurationError(message)
        if given:
            check_scorer(given)
            return given
        if usual == TOXICITY:
            return self.toxicity
        if usual == RULES:
            return usual
        if usual and self._is_phantom:
            return BUILT_IN
        if usual == NO_DEFAULT:
            message = (
                f"{name} has no usual scorer. Name a classifier and its label for harm: "
                f'measure("{name}", scorer="classifier:FOLDER#LABEL"); docs/scorers.md says how '
                "to get one."
            )
            raise ScorerError(message)
        return usual

    def load(self, name: str) -> Scorer:
        """The scorer of a name, loaded when it is first needed. Raises ScorerError."""
        if name not in self._loaded:
            device = resolve(self._model)[1] if self._model else "cpu"
            self._loaded[name] = load_scorer(name, device=device)
        return self._loaded[name]

    @property
    def _is_phantom(self) -> bool:
        return self._model is not None and self._model.is_phantom
