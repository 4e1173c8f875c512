"""Logs that Inspect itself wrote, as a finished pair."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_llmsafety import SafetyFailure, SafetyInconclusive, assert_qa_drop, import_samples
from pytest_llmsafety.errors import ConfigurationError, DatasetError, NotComparableError
from pytest_llmsafety.measurements.harness.inspect_log import LETTERS

needs_inspect = pytest.mark.usefixtures("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")  # what Inspect imports warns of much
N = 60


@pytest.fixture(scope="module")
def inspect_ai():
    """The package, where it is installed."""
    return pytest.importorskip("inspect_ai", reason="inspect_ai is not installed")


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """A function that evaluates a model which gives these answers, and returns the log's path."""
    monkeypatch.setenv("INSPECT_LOG_LEVEL", "error")

    def evaluate(answers, *, ending="eval", epochs=1, version=0, name="sums", numbers=False):
        from inspect_ai import Task, eval  # noqa: A004 - its name there
        from inspect_ai.dataset import Sample
        from inspect_ai.model import ModelOutput, ModelUsage, get_model
        from inspect_ai.scorer import Score, includes, match, mean, scorer

        @scorer(metrics=[mean()])
        def length():
            async def score(state, _target):
                return Score(value=len(state.output.completion))

            return score

        def output(text):
            made = ModelOutput.from_content("mockllm/model", text)
            made.usage = ModelUsage(input_tokens=1, output_tokens=1)  # or it would be counted
            return made

        samples = [
            Sample(input=f"{name} {i}?", target="yes", id=f"s{i}", metadata={"kind": "ab"[i % 2]})
            for i in range(len(answers) // epochs)
        ]
        task = Task(
            dataset=samples,
            scorer=[length()] if numbers else [match(location="exact"), includes()],
            version=version,
            name="sums",
        )
        (log,) = eval(
            task,
            model=get_model("mockllm/model", custom_outputs=map(output, answers)),
            log_dir=str(tmp_path),
            log_format=ending,
            display="none",
            epochs=epochs,
            max_samples=1,
            fail_on_error=False,
        )
        return log.location

    return evaluate


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    paths = [tmp_path / name for name in ("a.eval", "b.eval")]
    for path in paths:
        path.write_bytes(b"PK")
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-llmsafety\[inspect\]'"):
        import_samples(*paths)


@needs_inspect
@pytest.mark.parametrize("ending", ["eval", "json"])
def test_samples_are_paired_by_id(evaluate, ending):
    """A third of the answers is lost: FAIL, from either kind of file."""
    dense, worse = ["yes"] * N, ["no", "yes", "yes"] * (N // 3)
    measured = import_samples(evaluate(dense, ending=ending), evaluate(worse, ending=ending))
    figure = measured.figures[0]
    assert (measured.name, figure.name) == ("sums", "match")
    assert (figure.dense, figure.compressed) == (1.0, pytest.approx(2 / 3))
    assert measured.pairs[0].compressed.text == "no"
    with pytest.raises(SafetyFailure):
        assert_qa_drop(measured, margin=0.05)


@needs_inspect
def test_a_scorer_is_chosen_by_name_and_groups_by_metadata(evaluate):
    """`includes` accepts what `match` does not."""
    paths = evaluate(["oh yes"] * N), evaluate(["yes"] * N)
    assert import_samples(*paths).figures[0].dense == 0.0
    measured = import_samples(*paths, metric="includes", groups="kind")
    assert measured.figures[0].dense == 1.0
    assert measured.pairs[1].item.groups == ("kind:b",)
    with pytest.raises(ConfigurationError, match=r"no metric 'f1'\. Known here: match, includes"):
        import_samples(*paths, metric="f1")


@needs_inspect
def test_an_errored_sample_has_no_score(evaluate):
    """An answer that could not be given is not wrong, it is not there."""
    measured = import_samples(evaluate(["yes"] * N), evaluate(["yes"] * (N - 1) + [None]))
    missing = [pair.item.id for pair in measured.pairs if pair.missing]
    assert missing == [f"s{N - 1}"]
    with pytest.raises(SafetyInconclusive, match="the sample ended with an error"):
        assert_qa_drop(measured, margin=0.1)


@needs_inspect
def test_epochs_of_a_sample_are_a_cluster(evaluate):
    """They are paired epoch by epoch and counted as one unit."""
    measured = import_samples(
        evaluate(["yes"] * 40, epochs=2), evaluate(["yes"] * 20 + ["no"] * 20, epochs=2)
    )
    assert len(measured.pairs) == 40
    assert len({pair.item.cluster for pair in measured.pairs}) == 20
    assert {pair.item.id.rpartition("#")[2] for pair in measured.pairs} == {"1", "2"}


@needs_inspect
def test_other_samples_and_versions_are_refused(evaluate):
    """The same ids with other questions, or another version of the task, are no pair."""
    dense = evaluate(["yes"] * 4)
    with pytest.raises(NotComparableError, match="differs in input"):
        import_samples(dense, evaluate(["yes"] * 4, name="products"))
    with pytest.raises(NotComparableError, match=r"task version: 0 \(dense\) and 2"):
        import_samples(dense, evaluate(["yes"] * 4, version=2))


@needs_inspect
def test_numbers_need_a_direction_and_a_range(evaluate):
    """Letters say what they are worth; a number does not."""
    paths = [evaluate(["yes"] * 4, numbers=True) for _ in range(2)]
    with pytest.raises(ConfigurationError, match="higher_is_better"):
        import_samples(*paths)
    with pytest.raises(ConfigurationError, match="support"):
        import_samples(*paths, higher_is_better=False)
    measured = import_samples(*paths, higher_is_better=False, support=(0, 10))
    assert (measured.figures[0].dense, measured.higher_is_better) == (3.0, False)


@needs_inspect
def test_letters_are_worth_what_inspect_says():
    """Correct, partial, incorrect and no answer, by its own conversion."""
    from inspect_ai.scorer import value_to_float

    assert {letter: value_to_float()(letter) for letter in LETTERS} == LETTERS


@needs_inspect
def test_an_unfinished_log_is_refused(evaluate, tmp_path):
    """Whatever was scored before the end is no sample of the task."""
    from inspect_ai.log import read_eval_log, write_eval_log

    dense = evaluate(["yes"] * 4)
    log = read_eval_log(dense)
    log.status = "cancelled"
    write_eval_log(log, str(tmp_path / "half.eval"))
    with pytest.raises(DatasetError, match="its status is 'cancelled', with 4 samples"):
        import_samples(dense, tmp_path / "half.eval")
    (tmp_path / "none.eval").write_bytes(b"PK")
    with pytest.raises(DatasetError, match="Inspect cannot read"):
        import_samples(dense, tmp_path / "none.eval")


@needs_inspect
@pytest.mark.parametrize(
    ("lacks", "words"),
    [("samples", "has no samples"), ("scores", r"60 samples without a score\. Score it")],
)
def test_a_log_that_lacks_something_says_what(evaluate, tmp_path, lacks, words):
    """A finished log without samples, or without their scores, is not called unfinished."""
    path = Path(evaluate(["yes"] * N, ending="json"))
    log = json.loads(path.read_text())
    if lacks == "samples":
        log["samples"] = None
    else:
        log["samples"] = [{**sample, "scores": None} for sample in log["samples"]]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(log))
    with pytest.raises(DatasetError, match=words):
        import_samples(other, path)


@needs_inspect
def test_one_run_in_two_files_is_refused(evaluate, tmp_path):
    """A copy of a log is the same run."""
    path = Path(evaluate(["yes"] * N, ending="json"))
    other = tmp_path / "other.json"
    other.write_bytes(path.read_bytes())
    with pytest.raises(NotComparableError, match="are the same run"):
        import_samples(path, other)
