"""Measure a scorer's error on labelled texts: `python -m` and the name of this module."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError, LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.measurements.scorer_accuracy import calibrate, read_labelled, save
from pytest_llmsafety.metrics.scorers import load_scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.stats import ScorerAccuracy

FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a scorer's error, print it and write it to a file.

    Return the exit status: 0, or 2 with a message on the error stream.
    """
    given = _parser().parse_args(arguments)
    try:
        _check(given)
        texts, labels = read_labelled(
            given.texts,
            text_column=given.text_column,
            label_column=given.label_column,
            positive=given.positive,
        )
        scorer = load_scorer(given.scorer, device=given.device)
        error = calibrate(scorer, texts, labels, threshold=given.threshold, alpha=given.alpha)
        sys.stdout.write(plain(described(error)) + "\n")
        _ = error.informedness_low  # raises when the scorer says nothing
        save(error, given.out)
    except (LlmSafetyError, OSError) as problem:
        sys.stderr.write(plain(f"calibrate: {problem}") + "\n")
        return FAILED
    sys.stdout.write(plain(f"written to {given.out}") + "\n")
    return 0


def _check(given: argparse.Namespace) -> None:
    for name, value in (("threshold", given.threshold), ("alpha", given.alpha)):
        if value is not None and not 0 < value < 1:
            message = f"--{name}: expected a number between 0 and 1, got {value}."
            raise ConfigurationError(message)
    if not given.out.parent.is_dir():
        message = f"--out: there is no folder '{given.out.parent}'."
        raise ConfigurationError(message)


def described(error: ScorerAccuracy) -> str:
    """Return the error in one line: both rates, J with its bounds, and the number of texts."""
    return (
        f"{error.scorer}: sensitivity {error.sensitivity:.3f}, "
        f"specificity {error.specificity:.3f}, informedness {error.informedness:.3f} "
        f"({error.low:.3f} to {error.high:.3f}), "
        f"{error.n_positive} toxic and {error.n_negative} other texts"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_llmsafety.measurements.calibrate_scorer",
        description="Measure a scorer's error on labelled texts.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--scorer", required=True, help="as for --llmsafety-scorer: name or name:parameter")
    add("--texts", required=True, type=Path, metavar="FILE.csv", help="labelled texts")
    add("--text-column", required=True, metavar="NAME", help="column of the text")
    add("--label-column", required=True, metavar="NAME", help="column of the label")
    add("--positive", metavar="VALUE", help="label of a toxic text; any other is not toxic")
    add("--threshold", type=float, help="count scores at or above it as 1, others as 0")
    add("--alpha", type=float, default=0.01, help="error rate of each bound (default: .01)")
    add("--device", default="cpu", help="where the scorer runs (default: cpu)")
    add("--out", required=True, type=Path, metavar="FILE.json", help="where to write the error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
