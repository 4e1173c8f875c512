"""The ten published mistakes (measurements.md), each with a test that the mistaken way fails.

This page holds the tests that stand nowhere else; TABLE says where the others are.
"""

from __future__ import annotations

import ast
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.backends.tokens import document_lines
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.metrics.exact_match import ExactMatch
from pytest_llmsafety.metrics.perplexity import Perplexity, perplexity
from pytest_llmsafety.models.identity import Identity
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.stats import Outcome, decide_mean
from pytest_llmsafety.types import Generation, Likelihood, QuestionItem, TextItem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_llmsafety.specs import Arm
    from pytest_llmsafety.stats import Decision
    from pytest_llmsafety.types import Request, Response

TESTS = Path(__file__).parents[1]
HERE = "reference/test_published_mistakes.py"
METRICS = "unit/metrics/"
TABLE = {
    1: ("reference/test_bbq_reference.py::test_a_target_found_by_substring_is_wrong",),
    2: (f"{METRICS}test_multiple_choice.py::test_options_of_any_length_are_scored_as_if_alone",),
    3: (f"{METRICS}test_unqover.py::test_summed_log_probabilities_are_no_scores",),
    4: (f"{HERE}::test_windows_are_weighted_by_their_tokens",),
    5: (
        f"{METRICS}test_exact_match.py::test_the_prompt_is_not_searched",
        f"{METRICS}test_exact_match.py::test_an_empty_answer_is_wrong",
        f"{METRICS}test_exact_match.py::test_as_many_scores_as_items",
    ),
    6: (
        f"{METRICS}test_toxicity.py::test_a_failed_classifier_is_an_error_and_not_a_zero",
        f"{METRICS}test_toxicity.py::test_a_dropped_batch_is_an_error",
    ),
    7: (f"{HERE}::test_two_models_share_no_answer",),
    8: (
        f"{HERE}::test_one_cluster_has_no_standard_error_of_zero",
        f"{HERE}::test_no_data_have_no_standard_error_of_zero",
    ),
    9: (f"{METRICS}test_bbq.py::test_ambiguous_bias_is_scaled_by_ambiguous_accuracy_alone",),
    10: (f"{HERE}::test_two_models_are_compared_item_by_item",),
}
MARGIN = 0.01
Z_95 = 1.6448536269514722
"""Quantile of the standard normal distribution: 95% one-sided."""


@pytest.mark.parametrize(
    "place",
    [place for places in TABLE.values() for place in places],
    ids=lambda p: p.split(":")[-1],
)
def test_every_mistake_has_its_test(place: str) -> None:
    """The ten mistakes are in the table, and each test that it names is there."""
    assert list(TABLE) == list(range(1, 11))
    file, _, name = place.partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_windows_are_weighted_by_their_tokens() -> None:
    """Mistake 4: perplexity as an unweighted mean over windows, of which the last is short."""
    n_tokens, surprising = 50, 2
    nats = np.full(n_tokens, 1.0)
    nats[-surprising:] = 6.0
    lines = document_lines(0, list(range(n_tokens)), window=32, stride=16, owner=0)
    ends = np.cumsum([len(line.targets) for line in lines])
    windows = np.split(nats, ends[:-1])
    mistaken = math.exp(np.mean([window.mean() for window in windows]))

    document = TextItem("document", "of 50 tokens")
    answer = Likelihood(-float(nats.sum()), n_tokens)
    ours = perplexity(Perplexity().scores([document], [(answer,)]))
    assert [window.size for window in windows] == [32, 16, surprising]
    assert ours == pytest.approx(math.exp((48 * 1.0 + 2 * 6.0) / 50))
    assert mistaken == pytest.approx(math.exp((1.0 + 1.0 + 6.0) / 3))


def answered(
    engine: Engine, pair: ModelPair, items: list[QuestionItem]
) -> list[NDArray[np.float64]]:
    """Whether each of the two models answers each question right (1.0) or not (0.0)."""
    metric = ExactMatch()
    found = []
    for arm in (pair.dense, pair.compressed):
        responses = engine.answer(
            arm, [request for item in items for request in metric.requests(item)]
        )
        scores = metric.scores(items, [(response,) for response in responses])
        found.append(np.array([score.value for score in scores], dtype=float))
    return found


def capital(arm: Arm, request: Request) -> Response:  # noqa: ARG001 - always the same question
    """The dense model knows the capital, the compressed one does not."""
    return Generation(("Paris" if arm.name == "dense" else "Lyon",), (1,), (True,))


def test_two_models_share_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistake 7: with a cache whose key does not know the model, delta is 0 and the gate passes."""
    items = [QuestionItem(f"q{i}", f"Capital {i}:", answers=("Paris",)) for i in range(400)]
    pair = ModelPair(ModelSpec("made-up", device="cpu"), CompressionSpec.parse("int4"))
    backend = FakeBackend.factory(capital)
    dense, compressed = answered(Engine(Cache(None), backend=backend), pair, items)
    assert decide_mean(dense - compressed, margin=MARGIN).outcome is Outcome.FAIL

    monkeypatch.setattr(Identity, "digest", lambda _: "the same for every model")
    dense, compressed = answered(Engine(Cache(None), backend=backend), pair, items)
    mistaken = decide_mean(dense - compressed, margin=MARGIN)
    assert (mistaken.outcome, mistaken.estimate) == (Outcome.PASS, 0.0)


def clustered_error(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> float:
    """The mistaken standard error of a mean: 0 where one cluster, or none, has no spread."""
    means = [values[clusters == label].mean() for label in np.unique(clusters)]
    return float(np.std(means) / math.sqrt(len(means))) if means else 0.0


def test_one_cluster_has_no_standard_error_of_zero() -> None:
    """Mistake 8: 200 items of one template count as certain, where they are one observation."""
    values, one = np.repeat([0.0, 0.01], 100), np.zeros(200, dtype=int)
    mistaken = values.mean() + Z_95 * clustered_error(values, one)
    ours = decide_mean(values, margin=MARGIN, clusters=one)
    assert mistaken == values.mean() < MARGIN
    assert ours.outcome is Outcome.INCONCLUSIVE
    assert ours.upper > MARGIN


def test_no_data_have_no_standard_error_of_zero() -> None:
    """Mistake 8: an error of 0 makes a gate without any scored item pass."""
    nothing = np.array([])
    mistaken = 0.0 + Z_95 * clustered_error(nothing, nothing.astype(int))
    assert mistaken < MARGIN
    with pytest.raises(StatisticsError, match="at least one"):
        decide_mean(nothing, margin=MARGIN)


def answers_of_both(lost: int, won: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """1,000 questions of which the dense model answers 700, and the compressed one flips few."""
    dense = np.repeat([1.0, 0.0], [700, 300])
    compressed = dense.copy()
    compressed[:lost] = 0.0
    compressed[700 : 700 + won] = 1.0
    return dense, compressed


def test_two_models_are_compared_item_by_item() -> None:
    """Mistake 10: a loss of 3 points in few flips, unseen unpaired and by a 95% recovery."""
    dense, compressed = answers_of_both(lost=35, won=5)
    decide = partial(decide_mean, margin=MARGIN)
    ours: Decision = decide(dense - compressed)
    assert ours.estimate == pytest.approx(0.03)
    assert ours.outcome is Outcome.FAIL

    error = math.sqrt((dense.var(ddof=1) + compressed.var(ddof=1)) / dense.size)
    assert ours.estimate - Z_95 * error < 0  # not even a loss of more than nothing
    assert compressed.mean() / dense.mean() > 0.95
