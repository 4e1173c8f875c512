"""Tasks of lm-evaluation-harness as measurements."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from pytest_llmsafety import SafetyFailure, assert_perplexity_ratio, assert_qa_drop
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.measurements.harness import tasks
from pytest_llmsafety.measurements.harness.choice import Choice, check_choice
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, Margins, ModelSpec
from pytest_llmsafety.types import ChoiceItem, Generation, Likelihood
from tests.unit.measurements.harness.tasks import write_tasks

INT8 = CompressionSpec.parse("int8")
needs_lm_eval = pytest.mark.usefixtures("lm_eval")
pytestmark = pytest.mark.filterwarnings("ignore")  # lm_eval and what it imports warn of much


@pytest.fixture(scope="module")
def lm_eval():
    """The package, where it is installed."""
    return pytest.importorskip("lm_eval", reason="lm_eval is not installed")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The files of the tasks."""
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def question(paths):
    """A function from task and choice to what is asked; no model is there."""

    def question(name, *, limit=None, **choice):
        session = tasks.Tasks(limit, 0, {}, None)
        return session.question(f"lm_eval:{paths[name]}", Choice(**choice))

    return question


def test_without_the_package_the_extra_is_named(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-llmsafety\[lm-eval\]'"):
        tasks.Tasks(None, 0, {}, None).question("lm_eval:hellaswag", Choice())


def test_a_choice_is_for_tasks_alone():
    """metric= with a measurement of the catalog, or dataset= with a task, is a mistake."""
    with pytest.raises(ConfigurationError, match="only with a task of lm-evaluation-harness"):
        check_choice("qa", Choice("acc"), {})
    with pytest.raises(ConfigurationError, match="leave dataset='nq_open' out"):
        check_choice("lm_eval:arc_easy", Choice(), {"dataset": "nq_open", "scorer": None})
    check_choice("lm_eval:arc_easy", Choice("acc"), {"dataset": None})
    check_choice("qa", Choice(), {"dataset": "nq_open"})


def test_the_margin_of_a_task_can_be_set():
    """--llmsafety-margin takes a task's name, though its range is known only later."""
    options = Options(
        model=ModelSpec.parse("phantom"), margins=Margins(flags=(("lm_eval:arc_easy", 0.03),))
    )
    Resources(options).preflight([INT8])


@needs_lm_eval
def test_a_multiple_choice_asks_every_option(question):
    """Two examples stand before the question; the item knows its options and the right one."""
    asked = question("choice")
    item = asked.items[0]
    requests = asked.metric.requests(item)
    assert isinstance(item, ChoiceItem)
    assert [request.continuation for request in requests] == [f" {one}" for one in item.options]
    assert len({request.context for request in requests}) == 1
    assert requests[0].context.count("Tom saw the") == 3
    assert f"there was a {item.options[item.label]}." in item.prompt.rpartition("\n")[2]
    assert "stories_choice (version 1.5, 2-shot), acc of lm_eval" in asked.dataset


@needs_lm_eval
def test_the_task_scores_the_answers(question):
    """The likeliest option decides; acc_norm divides by the length of each."""
    asked, normed = question("choice"), question("choice", metric="acc_norm")
    for made, options in ((asked, asked.items), (normed, normed.items)):
        item = options[0]
        good = [Likelihood(-1.0 if i == item.label else -9.0, 1) for i in range(4)]
        bad = [Likelihood(-9.0 if i == item.label else -1.0, 1) for i in range(4)]
        scores = made.metric.scores([item, item], [tuple(good), tuple(bad)])
        assert [score.value for score in scores] == [1.0, 0.0]
        assert scores[0].text == item.options[item.label]


@needs_lm_eval
def test_a_missing_answer_is_no_score(question):
    """The task is not asked to score what is not there."""
    asked = question("choice")
    answers = (Likelihood(None, 1, problem="NaN or Inf logits"), *[Likelihood(-1.0, 1)] * 3)
    (score,) = asked.metric.scores(asked.items[:1], [answers])
    assert (score.value, score.problem) == (None, "NaN or Inf logits")


@needs_lm_eval
def test_a_filter_decides_what_is_scored(question):
    """The last word under one filter, the whole text under the other."""
    item = question("filtered", metric="exact_match,word").items[1]
    answer = item.prompt.split(" was a ")[1].split(".")[0]
    said = (Generation((f"big {answer}",), (2,), (True,)),)
    for wanted, value in (("word", 1.0), ("whole", 0.0)):
        metric = question("filtered", metric=f"exact_match,{wanted}").metric
        (score,) = metric.scores([item], [said])
        assert score.value == value
    with pytest.raises(ConfigurationError, match="exact_match,word"):
        question("filtered")


@needs_lm_eval
def test_a_choice_among_several_metrics(question):
    """The first metric unless one is named; one over all documents together is refused."""
    assert question("ending").metric.name == "perplexity"
    assert question("ending", metric="acc").metric.higher_is_better
    with pytest.raises(ConfigurationError, match=r"no metric 'f1'\. Known here: perplexity, acc"):
        question("ending", metric="f1")
    with pytest.raises(ConfigurationError, match="range of one document's bits_per_byte"):
        question("whole", metric="bits_per_byte")


@needs_lm_eval
def test_groups_clusters_and_limit(question):
    """Fields of a document name its groups and its cluster; the limit is a seeded subset."""
    asked = question("choice", groups="kind", cluster=lambda doc: doc["answer"], limit=5)
    assert len(asked.items) == 5
    assert {item.groups for item in question("choice", groups="kind").items} == {
        ("kind:odd",),
        ("kind:even",),
    }
    assert all(item.cluster in item.options for item in asked.items)


@needs_lm_eval
def test_tasks_of_a_group_are_groups_of_items(paths, monkeypatch):
    """Documents are known by their task; tasks that are scored in different ways are an error."""
    loaded = {name: tasks._loaded(f"lm_eval:{paths[name]}") for name in ("choice", "ending")}
    (choice,), (ending,) = (one.values() for one in loaded.values())
    session = tasks.Tasks(None, 0, {}, None)
    monkeypatch.setattr(tasks, "_loaded", lambda _: {"one": choice, "other": choice})
    both = session.question("lm_eval:both", Choice())
    assert {item.groups for item in both.items} == {("task:one",), ("task:other",)}
    assert {item.id for item in both.items} >= {"one/0", "other/39"}
    assert (len(both.items), both.dataset.partition(",")[0]) == (80, "2 tasks")
    monkeypatch.setattr(tasks, "_loaded", lambda _: {"one": choice, "other": ending})
    with pytest.raises(ConfigurationError, match="scored in different ways"):
        session.question("lm_eval:mixed", Choice())


@needs_lm_eval
def test_changed_documents_are_noticed(paths):
    """The digest of the documents can be pinned, as that of any data set."""
    name = f"lm_eval:{paths['choice']}"
    digest = tasks.Tasks(None, 0, {}, None).question(name, Choice()).data_digest
    assert tasks.Tasks(5, 0, {name: digest}, None).question(name, Choice()).data_digest == digest
    with pytest.raises(DatasetError, match="has changed"):
        tasks.Tasks(None, 0, {name: "0" * 16}, None).question(name, Choice())


@needs_lm_eval
def test_unsafe_tasks_and_beams_are_refused(question):
    """Text of a model is never run, and a search that is not ours is not imitated."""
    with pytest.raises(ConfigurationError, match="runs a model's answers as code"):
        question("code")
    beams = question("beams")
    with pytest.raises(ConfigurationError, match="num_beams"):
        beams.metric.requests(beams.items[0])


@needs_lm_eval
def test_a_task_that_cannot_be_loaded_is_a_named_error(tmp_path):
    """Data that is not there, or a file that is not there, is said with the task's name."""
    path = write_tasks(tmp_path)["choice"]
    (tmp_path / "docs.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"choice\.yaml cannot be loaded"):
        tasks.Tasks(None, 0, {}, None).question(f"lm_eval:{path}", Choice())


@needs_lm_eval
def test_loading_leaves_the_random_generators_alone(question):
    """Tasks may draw as they do under lm_eval; what is drawn afterwards does not change."""
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the generator that tasks use
    expected = random.Random(5).random(), np.random.RandomState(5).rand()  # noqa: S311
    question("choice", groups="kind")
    assert (random.random(), np.random.rand()) == expected  # noqa: S311, NPY002 - as above


@needs_lm_eval
def test_a_task_is_a_gate(shared, paths, tmp_path):
    """Choices and perplexity of a real model: judged like any measurement, answered once."""
    folder = shared / "models" / "stories3M"
    options = Options(
        model=ModelSpec(str(folder), device="cpu"), cache=tmp_path, early_stop=False, scope="suite"
    )
    resources = Resources(options)
    choice = resources.measure_task(
        f"lm_eval:{paths['choice']}", INT8, Choice(), reproduce="pytest here"
    )
    verdict = assert_qa_drop(choice, margin=0.2)
    assert (verdict.n_scored, verdict.reproduce) == (40, "pytest here")
    passes = resources.engine.forward_passes
    again = resources.measure_task(f"lm_eval:{paths['choice']}", INT8, Choice("acc_norm"))
    assert_qa_drop(again, margin=0.2)
    assert resources.engine.forward_passes == passes  # acc_norm asks what acc asked
    text = resources.measure_task(f"lm_eval:{paths['whole']}", INT8, Choice())
    ratio = assert_perplexity_ratio(text, margin=0.2)
    assert ratio.is_ratio
    worse = resources.measure_task(
        f"lm_eval:{paths['choice']}", CompressionSpec.parse("magnitude:0.99"), Choice()
    )
    with pytest.raises(SafetyFailure):
        assert_qa_drop(worse, margin=0.05)
    resources.close()
