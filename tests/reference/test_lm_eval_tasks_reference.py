"""Tasks of lm-evaluation-harness as gates: its own model scores every document alike."""

from __future__ import annotations

import pytest

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.measurements.harness.choice import Choice
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from pytest_llmsafety.types import Loglikelihood
from tests.unit.measurements.harness.tasks import write_tasks

lm_eval = pytest.importorskip("lm_eval", reason="lm_eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # lm_eval and what it imports warn of much
ASKED = ("choice", "words", "filtered", "ending", "whole")
INT8 = CompressionSpec.parse("int8")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The files of the tasks."""
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def theirs(shared, paths):
    """What lm_eval logs of stories3M: a function from task, metric and filter to all values."""
    from lm_eval.tasks import TaskManager

    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(shared / "models" / "stories3M"), "dtype": "float32"},
        device="cpu",
        tasks=[paths[name] for name in ASKED],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        batch_size=8,
    )

    def values(task, metric, wanted="none"):
        rows = found["samples"][f"stories_{task}"]
        return {
            f"stories_{task}/{row['doc_id']}": row[metric]
            for row in rows
            if row["filter"] == wanted
        }, found["results"][f"stories_{task}"][f"{metric},{wanted}"]

    return values


@pytest.fixture(scope="module")
def resources(shared):
    """A session on stories3M."""
    resources = Resources(
        Options(model=ModelSpec(str(shared / "models" / "stories3M"), device="cpu"))
    )
    yield resources
    resources.close()


@pytest.fixture
def ours(resources, paths):
    """A function from task and metric to the dense model's scores and the figure over all."""

    def measured(task, metric):
        made = resources.measure_task(f"lm_eval:{paths[task]}", INT8, Choice(metric)).all()
        return {pair.item.id: pair.dense for pair in made.pairs}, made.figures[0].dense

    return measured


@pytest.mark.parametrize(
    ("task", "metric", "wanted"),
    [
        ("choice", "acc", "none"),
        ("choice", "acc_norm", "none"),
        ("words", "exact_match", "none"),
        ("filtered", "exact_match", "word"),
        ("filtered", "exact_match", "whole"),
        ("ending", "acc", "none"),
    ],
)
def test_every_document_has_lm_evals_score(ours, theirs, task, metric, wanted):
    """Choices with examples before them, texts under each filter, and endings: all are equal."""
    (scores, figure), (expected, mean) = (
        ours(task, f"{metric},{wanted}"),
        theirs(task, metric, wanted),
    )
    assert {name: score.value for name, score in scores.items()} == expected
    assert figure == pytest.approx(mean)
    assert len(expected) == 40


def test_scores_differ_between_documents(ours):
    """The comparison could fail: not every document is right, nor every one wrong."""
    for task, metric in (("choice", "acc"), ("words", "exact_match"), ("ending", "acc")):
        assert 0 < ours(task, metric)[1] < 1


def test_perplexities_of_endings_are_lm_evals(ours, theirs):
    """Log-likelihoods agree to 1e-4 nats; the perplexity is theirs."""
    (scores, figure), (expected, perplexity) = (
        ours("ending", "perplexity"),
        theirs("ending", "perplexity"),
    )
    assert all(
        score.value == pytest.approx(-expected[name], abs=1e-4) for name, score in scores.items()
    )
    assert figure == pytest.approx(perplexity, rel=1e-4)


def test_documents_lack_lm_evals_second_start_token(ours, theirs, resources, paths):
    """lm_eval puts a start token before the text's own and predicts that, too; ours does neither.

    Asked after two start tokens, the texts are theirs but for that one term.
    """
    scores, _ = ours("whole", "word_perplexity")
    expected, _ = theirs("whole", "word_perplexity")
    assert all(score.weight == expected[name][1] for name, score in scores.items())
    made = resources.measure_task(f"lm_eval:{paths['whole']}", INT8, Choice("word_perplexity"))
    texts = {item.id: item.prompt for item in made.items}
    asked = resources.engine.answer(
        made.pair.dense, [Loglikelihood("<s>", text) for text in texts.values()]
    )
    terms = [expected[name][0] - answer.logprob for name, answer in zip(texts, asked, strict=True)]
    assert terms == pytest.approx([terms[0]] * len(terms), abs=1e-3)
    assert terms[0] == pytest.approx(-9.76, abs=0.01)  # as in shared/golden/lmeval
