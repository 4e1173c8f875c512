"""How much variance does the noise that both models share save?

    python benchmarks/coupling.py [--model phantom] [--compress int8,int4,int2]
        [--dataset NAME] [--scorer NAME] [--data FOLDER] [--limit N] [--tokens 20] [--draws 4]

Both models continue the same prompts, `--draws` times each, with one seed a draw. A paired
difference (compressed - dense toxicity of one prompt) is *shared* where both arms have the same
seed, as in every gate, and *independent* where the compressed arm has another one. Prints a
markdown table: the share of texts that are the same in both arms, the variances over the prompts,
their ratio, and what k continuations a prompt cost: k * var(mean of k) / var(one). That many times
more continuations are needed for the same precision than with one a prompt on more prompts.
Standard errors are from a bootstrap over the prompts.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.selection import select
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.catalog import MEASUREMENTS
from pytest_llmsafety.measurements.lazy_measurement import ask
from pytest_llmsafety.metrics.scorers import load_scorer
from pytest_llmsafety.metrics.toxicity import Toxicity
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_llmsafety.types import Item

    Scores = NDArray[np.float64]

COLUMNS = (
    "compression", "prompts", "same text", "var shared", "var independent", "ratio", "k = 2",
    "k = 4",
)  # fmt: skip


@dataclass(frozen=True)
class Draws:
    """Toxicity (prompts x draws, NaN where missing) and the texts of one arm."""

    scores: Scores
    texts: list[list[str]]


def main() -> None:
    """Measure every compression and print one row for each."""
    given = arguments()
    import torch

    torch.set_num_threads(1)
    is_phantom = ModelSpec.parse(given.model).is_phantom
    recipe = MEASUREMENTS["toxicity"]
    dataset = given.dataset or (recipe.phantom if is_phantom else recipe.dataset)
    items = select(DATASETS.load(dataset)().load(DataSource(given.data)), given.limit, 0)
    engine = Engine(Cache(given.cache))
    scorer = load_scorer(given.scorer or ("phantom" if is_phantom else "detoxify"))
    metrics = [
        Toxicity(
            lambda texts: engine.classify(scorer, texts),
            seed=seed,
            max_new_tokens=given.tokens,
            **(recipe.phantom_arguments if is_phantom else {}),
        )
        for seed in range(given.draws)
    ]
    print(f"{given.model}, {dataset}, scorer {scorer.name}, {given.draws} draws a prompt\n")
    print(row(COLUMNS), row(["---"] * len(COLUMNS)), sep="\n")
    model = ModelSpec.parse(given.model)
    dense = draw(engine, Arm(model), items, metrics)
    for text in given.compress.split(","):
        arm = Arm(model, CompressionSpec.parse(text))
        compressed = draw(engine, arm, items, metrics)
        print(row([text, *compare(dense, compressed, given.resamples)]), flush=True)
    engine.close()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--compress", default="int8,int4,int2")
    parser.add_argument("--dataset", help="default: the model's usual one for toxicity")
    parser.add_argument("--scorer", help="default: the built-in model's own, else detoxify")
    parser.add_argument("--data", help="folder of the authors' own files", type=Path)
    parser.add_argument("--cache", help="file that keeps answers between runs")
    parser.add_argument("--limit", type=int, help="number of prompts (default: all)")
    parser.add_argument("--tokens", type=int, default=20, help="length of a continuation")
    parser.add_argument("--draws", type=int, default=4, choices=range(4, 33), metavar="4-32")
    parser.add_argument("--resamples", type=int, default=1000)
    return parser.parse_args()


def draw(engine: Engine, arm: Arm, items: Sequence[Item], metrics: Sequence[Toxicity]) -> Draws:
    """Continue and score every prompt once for each metric, which differ in their seeds."""
    columns = [
        metric.scores(items, ask(arm, [metric.requests(item) for item in items], engine))
        for metric in metrics
    ]
    values = [[np.nan if s.value is None else s.value for s in column] for column in columns]
    return Draws(np.array(values).T, [[score.text for score in column] for column in columns])


def compare(dense: Draws, compressed: Draws, resamples: int) -> list[str]:
    """The cells of one row after the first, in the order of `COLUMNS`."""
    scored = ~np.isnan(dense.scores + compressed.scores).any(axis=1)
    here, there = dense.scores[scored], compressed.scores[scored]
    found, errors = figures(here, there), errors_of(here, there, resamples)
    return [
        str(len(here)),
        f"{np.mean(np.array(dense.texts) == np.array(compressed.texts)):.3f}",
        f"{shared(here, there):.5f}",
        f"{independent(here, there):.5f}",
        *(f"{value:.3f} (s.e. {error:.3f})" for value, error in zip(found, errors, strict=True)),
    ]


def figures(dense: Scores, compressed: Scores) -> Scores:
    """The ratio of the variances, and the costs of two and four continuations a prompt."""
    one = shared(dense, compressed)
    costs = [k * of_mean(compressed - dense, k) / one for k in (2, 4)]
    return np.array([one / independent(dense, compressed), *costs])


def errors_of(dense: Scores, compressed: Scores, resamples: int) -> Scores:
    """Standard deviations of the figures over samples of the prompts with replacement."""
    generator, n = np.random.default_rng(0), len(dense)
    samples = [generator.integers(0, n, n) for _ in range(resamples)]
    drawn = [figures(dense[rows], compressed[rows]) for rows in samples]
    return np.array(np.std(drawn, axis=0, ddof=1))


def shared(dense: Scores, compressed: Scores) -> float:
    """Variance over the prompts of a difference within a draw, mean of the draws."""
    return float(np.var(compressed - dense, axis=0, ddof=1).mean())


def independent(dense: Scores, compressed: Scores) -> float:
    """Variance over the prompts of a difference across draws, mean of all ordered pairs."""
    shifts = range(1, dense.shape[1])
    return float(np.mean([shared(dense, np.roll(compressed, s, axis=1)) for s in shifts]))


def of_mean(differences: Scores, k: int) -> float:
    """Variance over the prompts of the mean of k draws, mean of all choices of k."""
    choices = combinations(range(differences.shape[1]), k)
    means = [differences[:, list(chosen)].mean(axis=1) for chosen in choices]
    return float(np.mean([np.var(mean, ddof=1) for mean in means]))


def row(cells: Sequence[str]) -> str:
    """A line of a markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
