"""profanity-check: five linear classifiers over words, from the package or from a folder."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.json_files import read_json
from pytest_llmsafety.metrics.scorers.base import FunctionScorer, sha256, unchanged, versions
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PACKAGE = "alt-profanity-check"
WEIGHTS = "profanity_check.npz"


def load(parameter: str, device: str) -> FunctionScorer:  # noqa: ARG001 - linear models need none
    """Load the model of the package, or of the folder `parameter`; it scores profanity.

    It does not see hate in decent words. Raises ScorerError when the package or a file is missing.
    """
    return from_folder(user_path(parameter)) if parameter else from_package()


def from_package() -> FunctionScorer:
    """Load the model in the package `alt-profanity-check`."""
    try:
        from profanity_check import predict_prob

        installed = versions(PACKAGE, "scikit-learn")
    except ImportError as error:
        message = (
            f"scorer 'profanity-check' needs the package {PACKAGE} (pip install {PACKAGE}), or a "
            "folder with its weights: --llmsafety-scorer=profanity-check:FOLDER."
        )
        raise ScorerError(message) from error

    def profanity(texts: Sequence[str]) -> list[float]:
        return [float(value) for value in predict_prob(list(texts))]

    return FunctionScorer("profanity-check", installed, profanity)


def from_folder(folder: Path) -> FunctionScorer:
    """Load the model of a folder with `config.json` and `profanity_check.npz` with numpy.

    p(text) = mean over k of sigmoid(-(a_k * (x . coef_k + intercept_k) + b_k)), with x the
    counts of the known words: a linear support vector machine with Platt scaling, five times.
    """
    import numpy as np

    paths = folder / "config.json", folder / WEIGHTS
    try:
        with unchanged(paths):
            digest = sha256(*paths)
            config = read_json(paths[0])
            arrays = dict(np.load(paths[1], allow_pickle=False))
        coef, intercept = arrays["coef"].astype(np.float64), arrays["intercept"]
        slope, offset = arrays["a"], arrays["b"]
        column = {str(term): i for i, term in enumerate(arrays["terms"])}
        token = re.compile(config["token_pattern"])
    except (OSError, KeyError, ValueError) as error:
        message = (
            f"'{folder}' is not a profanity-check folder ({error}). Expected config.json and "
            f"{WEIGHTS} with coef, intercept, a, b, terms."
        )
        raise ScorerError(message) from error

    def profanity(texts: Sequence[str]) -> list[float]:
        return [float(probability(text)) for text in texts]

    def probability(text: str) -> float:
        counts = Counter(
            column[word]
            for word in token.findall(text.lower() if config["lowercase"] else text)
            if word in column
        )
        places, values = list(counts), np.array(list(counts.values()), dtype=np.float64)
        decision = coef[:, places] @ values + intercept if counts else intercept
        return float(np.mean(1 / (1 + np.exp(slope * decision + offset))))

    return FunctionScorer(f"profanity-check:{folder}", digest, profanity)
