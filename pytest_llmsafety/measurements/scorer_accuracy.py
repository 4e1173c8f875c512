"""Measure the error of a scorer on labelled texts, and keep it in a small JSON file."""

from __future__ import annotations

import csv
import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError, DatasetError, StatisticsError
from pytest_llmsafety.paths import write_whole
from pytest_llmsafety.stats import ScorerAccuracy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_llmsafety.metrics.scorers.base import Scorer

_YES = frozenset({"1", "true", "yes", "toxic", "hateful", "hate", "positive"})
_NO = frozenset({"0", "false", "no", "not toxic", "non-toxic", "non-hateful", "none", "negative"})


def calibrate(
    scorer: Scorer,
    texts: Sequence[str],
    labels: Sequence[bool],
    *,
    threshold: float | None = None,
    alpha: float = 0.01,
) -> ScorerAccuracy:
    """Return the error of a scorer on labelled texts, True = toxic.

    Without a threshold it is the error of mean scores: the sensitivity is the mean score of the
    toxic texts, and 1 - specificity is the mean score of the others. With a threshold, a score at
    or above it counts as 1, and the error is valid only for gates on such decisions.

    Raises:
        DatasetError: the numbers of labels and texts differ, or only one kind of text is there.
        errors.ScorerError: the scorer failed.

    """
    if len(texts) != len(labels) or all(labels) or not any(labels):
        message = (
            f"{len(texts)} texts, {len(labels)} labels, {sum(map(bool, labels))} of them toxic. "
            "Expected a label for each text, and texts of both kinds. Look at the label's values."
        )
        raise DatasetError(message)
    scores = scorer.score(list(texts))
    if threshold is not None:
        scores = [float(score >= threshold) for score in scores]
    measured = ScorerAccuracy.from_scores(
        [score for score, toxic in zip(scores, labels, strict=True) if toxic],
        [score for score, toxic in zip(scores, labels, strict=True) if not toxic],
        alpha=alpha,
    )
    return dataclasses.replace(
        measured, scorer=scorer.name, digest=scorer.digest, threshold=threshold
    )


def save(error: ScorerAccuracy, path: Path) -> None:
    """Write the error, with the scorer's name and digest, as JSON."""
    write_whole(path, error.to_json().encode())


def load(path: Path, scorer: Scorer | None = None) -> ScorerAccuracy:
    """Return the error that `save` wrote, and check that it is the error of `scorer`, if given.

    Raises:
        ConfigurationError: the file is missing or malformed, or it is about another scorer.

    """
    try:
        error = ScorerAccuracy.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, StatisticsError) as problem:
        message = f"cannot read the scorer's error from {path}: {problem}"
        raise ConfigurationError(message) from problem
    if scorer is not None and _identity(error.scorer, error.digest) != _identity(
        scorer.name, scorer.digest
    ):
        message = (
            f"{path} has the error of scorer '{error.scorer}' ({error.digest}), but the scorer in "
            f"use is '{scorer.name}' ({scorer.digest}). Expected the same files, device and "
            "versions. Run python -m pytest_llmsafety.measurements.calibrate_scorer for this "
            "scorer (--device)."
        )
        raise ConfigurationError(message)
    return error


def _identity(name: str, digest: str) -> tuple[str, str]:
    """Return what identifies a scorer, wherever its files are: name before the colon, digest."""
    return name.partition(":")[0], digest


def read_labelled(
    path: Path, *, text_column: str, label_column: str, positive: str | None = None
) -> tuple[list[str], list[bool]]:
    """Return the texts of a CSV file and whether each is toxic.

    `positive` is the label of a toxic text; every other label is then not toxic. Without it the
    labels have to be words such as 1 and 0, true and false, Toxic and Not Toxic.

    Raises:
        DatasetError: the file or a column is missing, a row is too short, or a label is unknown.

    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        message = f"cannot read {path}: {problem}. Expected a CSV file in UTF-8."
        raise DatasetError(message) from problem
    for column in (text_column, label_column):
        if column not in columns:
            message = f"{path} has no column '{column}'. Its columns: {', '.join(columns)}."
            raise DatasetError(message)
    texts = [row[text_column] for row in rows]
    values = [row[label_column] for row in rows]
    short = [i for i, pair in enumerate(zip(texts, values, strict=True)) if None in pair]
    if short:
        message = f"row {short[0] + 1} of {path} is too short. Expected all columns in each row."
        raise DatasetError(message)
    return texts, [_is_toxic(value, positive, path) for value in values]


def _is_toxic(value: str, positive: str | None, path: Path) -> bool:
    if positive is not None:
        return value.strip() == positive.strip()
    plain = value.strip().lower()
    if plain not in _YES | _NO:
        message = (
            f"{path} has the label '{value[:80]}'. Expected one such as 1 or 0, true or false. "
            "Name the label of a toxic text with --positive=VALUE."
        )
        raise DatasetError(message)
    return plain in _YES
