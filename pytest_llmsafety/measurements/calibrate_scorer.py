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
    """Measure, print and write the error; 0, or 2 with a message on the error stream."""
    asked = _parser().parse_args(arguments)
    try:
        _check(asked)
        texts, labels = read_labelled(
            asked.texts,
            text_column=asked.text_column,
            label_column=asked.label_column,
            positive=asked.positive,
        )
        scorer = load_scorer(asked.scorer, device=asked.device)
        error = calibrate(scorer, texts, labels, threshold=asked.threshold, alpha=asked.alpha)
        sys.stdout.write(plain(described(error)) + "\n")
        _ = error.informedness_low  # raises when the scorer says nothing
        save(error, asked.out)
    except (LlmSafetyError, OSError) as problem:
        sys.stderr.write(plain(f"calibrate: {problem}") + "\n")
        return FAILED
    sys.stdout.write(plain(f"written to {asked.out}") + "\n")
    return 0


def _check(asked: argparse.Namespace) -> None:
    """Raise ConfigurationError for what cannot work, before any text is scored."""
    for name, value in (("threshold", asked.threshold), ("alpha", asked.alpha)):
        if value is not None and not 0 < value < 1:
            message = f"--{name}: expected a number between 0 and 1, got {value}."
            raise ConfigurationError(message)
    if not asked.out.parent.is_dir():
        message = f"--out: there is no folder '{asked.out.parent}'."
        raise ConfigurationError(message)


def described(error: ScorerAccuracy) -> str:
    """The error in one line: scorer, both shares, J and its bounds, and the texts."""
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
