"""How much variance does the noise that both models share save?

    python benchmarks/coupling.py [--model phantom] [--compress int8,int4,int2]
        [--dataset NAME] [--scorer NAME] [--data FOLDER] [--limit N] [--draws 4]

Both models continue the same prompts, `--draws` times each, with one seed a draw. A paired
difference (compressed - dense toxicity of one prompt) is *shared* where both arms have the same
seed, as in every gate, and *independent* where the compressed arm has another one. Prints a
markdown table: the share of texts that are the same in both arms, the variances over the prompts,
their ratio with its standard error (bootstrap over prompts), and what k continuations a prompt
cost: k * var(mean of k) / var(one), the factor by which the same number of continuations estimates
the mean worse than one a prompt on k times the prompts would (above 1: more prompts are better).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.cache import Cache
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.selection import select
from pytest_llmsafety.engine import Engine
from pytest_llmsafety.measurement import ask
from pytest_llmsafety.metrics.scorers import load_scorer
from pytest_llmsafety.metrics.toxicity import Toxicity
from pytest_llmsafety.pair import Arm
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from pytest_llmsafety.workbench import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_llmsafety.records import Item

    Scores = NDArray[np.float64]

COLUMNS = (
    "compression", "prompts", "same text", "var shared", "var independent", "ratio", "s.e.",
    "k = 2", "k = 4",
)  # fmt: skip
PRECISIONS = (0, 0, 3, 5, 5, 3, 3, 2, 2)


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
        figures = compare(dense, draw(engine, arm, items, metrics), given.resamples)
        cells = [f"{v:.{p}f}" for v, p in zip(figures, PRECISIONS[1:], strict=True)]
        print(row([text, *cells]), flush=True)
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
    parser.add_argument("--draws", type=int, default=4, choices=range(4, 33), metavar="4-32")
    parser.add_argument("--resamples", type=int, default=1000)
    return parser.parse_args()


def draw(engine: Engine, arm: Arm, items: Sequence[Item], metrics: Sequence[Toxicity]) -> Draws:
    """Continue and score every prompt once for each metric, which differ in their seeds."""
    columns = [metric.scores(items, ask(arm, items, metric, engine)) for metric in metrics]
    values = [[np.nan if s.value is None else s.value for s in column] for column in columns]
    return Draws(np.array(values).T, [[score.text for score in column] for column in columns])


def compare(dense: Draws, compressed: Draws, resamples: int) -> list[float]:
    """The numbers of one row, in the order of `COLUMNS`."""
    scored = ~np.isnan(dense.scores + compressed.scores).any(axis=1)
    here, there = dense.scores[scored], compressed.scores[scored]
    same = [
        a == b
        for ours, theirs in zip(dense.texts, compressed.texts, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    ]
    variances = shared(here, there), independent(here, there)
    error = bootstrap_error(
        lambda rows: shared(here[rows], there[rows]) / independent(here[rows], there[rows]),
        len(here),
        resamples,
    )
    costs = [k * of_mean(there - here, k) / variances[0] for k in (2, 4)]
    ratio = variances[0] / variances[1]
    return [len(here), float(np.mean(same)), *variances, ratio, error, *costs]


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


def bootstrap_error(figure: Callable[[NDArray[np.int64]], float], n: int, resamples: int) -> float:
    """Standard deviation of a figure over samples of the prompts with replacement."""
    generator = np.random.default_rng(0)
    return float(np.std([figure(generator.integers(0, n, n)) for _ in range(resamples)], ddof=1))


def row(cells: Sequence[str]) -> str:
    """A line of a markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
