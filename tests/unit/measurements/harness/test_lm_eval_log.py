"""Logs of lm-evaluation-harness as a finished pair."""

from __future__ import annotations

import math

import pytest

from pytest_llmsafety import (
    SafetyFailure,
    SafetyInconclusive,
    assert_flip_rate,
    assert_kl,
    assert_perplexity_ratio,
    assert_qa_drop,
    import_samples,
)
from pytest_llmsafety.assertions.applicability import assertions_for
from pytest_llmsafety.assertions.gate import observe
from pytest_llmsafety.errors import ConfigurationError, DatasetError, NotComparableError
from pytest_llmsafety.measurements.harness.choice import Scale
from tests.unit.measurements.harness.logs import row, write

RIGHT = [1.0] * 300 + [0.0] * 100


@pytest.fixture
def pair(tmp_path):
    """A function that writes two logs of these values and imports them."""

    def make(dense, compressed, *, changes=None, **choice):
        one = write(tmp_path / "dense", [row(i, v) for i, v in enumerate(dense)])
        rows = [row(i, v, **(changes or {})) for i, v in enumerate(compressed)]
        other = write(tmp_path / "small", rows, model="org/model-awq")
        return import_samples(one, other, **choice)

    return make


def test_documents_are_paired_and_judged(pair):
    """Sixty answers lost of 400 FAIL a margin of .02; the same answers turn in .15 of the cases."""
    lost = [0.0] * 60 + RIGHT[60:]
    with pytest.raises(SafetyFailure, match="barking fell under imported:org/model-awq"):
        assert_qa_drop(pair(RIGHT, lost), margin=0.02)
    with pytest.raises(SafetyFailure, match=r"0\.15"):
        assert_flip_rate(pair(RIGHT, lost), margin=0.05)


def test_a_pair_without_a_change_passes(pair):
    """400 equal answers show that under two points are lost; figures are lm_eval's means."""
    measured = pair(RIGHT, RIGHT)
    assert assert_qa_drop(measured, margin=0.02).passed
    (figure,) = measured.figures
    assert (figure.name, figure.dense, figure.compressed) == ("acc", 0.75, 0.75)


def test_a_verdict_says_what_was_not_checked(pair):
    """Notes tell what logs cannot show, and where the scores are from."""
    notes = "\n".join(assert_qa_drop(pair(RIGHT, RIGHT), margin=0.02).notes)
    assert "the first one compressed" in notes
    assert "dense: hf pretrained=org/model, lm_eval 0.4.13, task version 1.0" in notes
    assert "git 1a2b3c4, date 2026-11-23" in notes
    assert "both logs name the same model" not in notes


def test_the_same_model_in_both_logs_is_noted(tmp_path):
    """A pass of a model against itself does not go by unseen."""
    files = [
        write(tmp_path / name, [row(i, v) for i, v in enumerate(RIGHT)]) for name in ("a", "b")
    ]
    notes = assert_qa_drop(import_samples(*files), margin=0.02).notes
    assert "both logs name the same model with the same arguments" in notes


def test_a_document_of_one_log_alone_has_no_score(pair):
    """It is neither dropped nor counted as wrong: the verdict is INCONCLUSIVE."""
    measured = pair(RIGHT, RIGHT[:-1])
    assert (len(measured.pairs), measured.pairs[-1].compressed.value) == (400, None)
    with pytest.raises(SafetyInconclusive, match="it is not in the log of the compressed model"):
        assert_qa_drop(measured, margin=0.02)


def test_a_value_that_is_no_number_is_no_score(pair):
    """NaN, null and what lies outside the range leave the document unscored."""
    for value, words in ((math.nan, "nan is not between"), (None, "None"), (7.0, "7 is not")):
        with pytest.raises(SafetyInconclusive, match=words):
            assert_qa_drop(pair(RIGHT, [value, *RIGHT[1:]]), margin=0.02)


def test_one_run_under_two_names_is_refused(tmp_path):
    """Two identical logs could only ever agree, so they are no pair."""
    one = write(tmp_path / "dense", [row(i, v) for i, v in enumerate(RIGHT)])
    other = tmp_path / "small" / one.name
    other.parent.mkdir()
    other.write_bytes(one.read_bytes())
    with pytest.raises(NotComparableError, match="are the same run"):
        import_samples(one, other, higher_is_better=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resps": [[["nan", "False"]], [["-1.0", "False"]]]}, "a likelihood of it is nan"),
        ({"resps": [[[-math.inf, False]], [[-1.0, False]]]}, "a likelihood of it is -inf"),
        ({"resps": []}, "the log has no answer to it"),
        ({"resps": [[]]}, "the log has no answer to it"),
        ({"resps": [[None]]}, "the log has no answer to it"),
    ],
)
def test_a_score_without_an_answer_is_no_score(pair, changes, words):
    """The harness scores NaN as the less likely option: such a score is not read."""
    measured = pair(RIGHT, RIGHT, changes=changes)
    assert {one.compressed.value for one in measured.pairs} == {None}
    assert measured.pairs[0].compressed.problem == words


def test_a_generated_text_may_say_nan(pair):
    """Texts are not read as likelihoods."""
    measured = pair(RIGHT, RIGHT, changes={"resps": [["nan"]], "filtered_resps": ["nan"]})
    assert not any(one.missing for one in measured.pairs)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"doc": {"question": "another one"}}, "differs in doc"),
        ({"prompt_hash": "another"}, "differs in prompt_hash"),
        ({"target": "1"}, "differs in target"),
        ({"arguments": {"gen_args_0": {"arg_0": "Another prompt", "arg_1": " cat"}}}, "arguments"),
    ],
)
def test_documents_that_were_asked_otherwise_are_refused(pair, changes, words):
    """Another document, prompt or answer under the same number is no pair."""
    with pytest.raises(NotComparableError, match=words):
        pair(RIGHT, RIGHT, changes=changes)


def test_runs_of_two_versions_of_a_task_are_refused(tmp_path):
    """Two versions of a task are two tasks."""
    rows = [row(i, v) for i, v in enumerate(RIGHT)]
    files = [write(tmp_path / name, rows, version=v) for name, v in (("a", 1.0), ("b", 2.0))]
    with pytest.raises(NotComparableError, match=r"versions of barking: 1.0 \(dense\) and 2.0"):
        import_samples(*files)
    other = write(tmp_path / "c", rows, task="mewing")
    with pytest.raises(NotComparableError, match="differ in the task"):
        import_samples(files[0], other)


def test_one_file_is_not_a_pair(tmp_path):
    """The same file twice would always pass."""
    path = write(tmp_path / "a", [row(0, 1.0)])
    with pytest.raises(ConfigurationError, match="given as both logs"):
        import_samples(path, path)


def test_a_document_that_is_there_twice_is_refused(tmp_path):
    """lm_eval appends to a file of the same name: two runs in one file are no pair."""
    twice = write(tmp_path / "twice", [row(0, 1.0), row(0, 0.0)])
    with pytest.raises(DatasetError, match="holds 0 twice"):
        import_samples(write(tmp_path / "a", [row(0, 1.0)]), twice)


def test_an_absent_metric_names_those_present(pair):
    """A wrong name is answered with the right ones."""
    with pytest.raises(ConfigurationError, match=r"no metric 'acc_norm'. Known here: acc\."):
        pair(RIGHT, RIGHT, metric="acc_norm")


def test_a_filter_is_named_where_there_are_several(tmp_path):
    """A document scored under two filters is two scores, of which one is meant."""
    rows = [row(i, float(f == "loose"), filter=f) for i in range(400) for f in ("strict", "loose")]
    files = [write(tmp_path / name, rows, model=name) for name in "ab"]
    with pytest.raises(ConfigurationError, match="metric='acc,strict'"):
        import_samples(*files)
    loose = import_samples(*files, metric="acc,loose")
    assert (len(loose.pairs), loose.figures[0].dense) == (400, 1.0)
    with pytest.raises(ConfigurationError, match="no filter 'lose'"):
        import_samples(*files, metric="acc,lose")


def test_the_direction_is_never_guessed(tmp_path):
    """Without a results file the user has to say it; with one, the file does."""
    rows = [row(i, v) for i, v in enumerate(RIGHT)]
    bare = [write(tmp_path / name, rows, model="") for name in "ab"]
    with pytest.raises(ConfigurationError, match="give higher_is_better=True or False"):
        import_samples(*bare)
    assert import_samples(*bare, higher_is_better=True).pair.model.name.startswith("samples_")
    lower = [
        write(tmp_path / name, rows, model=name, higher_is_better={"acc": False}) for name in "cd"
    ]
    assert import_samples(*lower).higher_is_better is False


def test_the_range_of_an_unknown_metric_is_asked_for(tmp_path):
    """Bounds rest on the range of a score, which a sample of scores does not show."""
    rows = [row(i, 1.0, metrics=["rouge"], rouge=37.5) for i in range(400)]
    files = [
        write(tmp_path / name, rows, model=name, higher_is_better={"rouge": True}) for name in "ab"
    ]
    with pytest.raises(ConfigurationError, match="range of one document's rouge is not known"):
        import_samples(*files)
    assert import_samples(*files, support=(0, 100)).support == (0, 100)


def test_groups_and_clusters_are_fields_or_functions(pair):
    """`subject` makes groups of its values; a page that several questions share is a cluster."""
    measured = pair(RIGHT, RIGHT, groups="subject", cluster=lambda doc: f"page {doc['page']}")
    item = measured.pairs[5].item
    assert (item.groups, item.cluster) == (("subject:b",), "page 1")
    verdict = assert_qa_drop(measured, margin=0.05, per_group=True)
    assert [group.group for group in verdict.groups] == ["subject:a", "subject:b"]
    with pytest.raises(ConfigurationError, match="Its fields: question, subject, page"):
        pair(RIGHT, RIGHT, groups="topic")


def test_the_tasks_of_a_folder_are_groups(tmp_path):
    """A run of several tasks is imported whole, each task a group of its documents."""
    for name in ("a", "b"):
        for task in ("barking", "mewing"):
            rows = [row(i, v) for i, v in enumerate(RIGHT)]
            write(tmp_path / name, rows, task=task, model="", higher_is_better={"acc": True})
    measured = import_samples(tmp_path / "a", tmp_path / "b", higher_is_better=True)
    assert (measured.name, len(measured.pairs)) == ("2 tasks", 800)
    assert measured.pairs[-1].item.groups == ("task:mewing",)
    assert measured.pairs[-1].item.id == "mewing/399"


def test_a_model_that_guesses_passes_no_imported_choice(pair):
    """Options are read from the requests: right in a quarter of the cases is chance."""
    guesses = [float(i % 4 == 0) for i in range(400)]
    measured = pair(guesses, guesses)
    assert measured.items[0].options == ("tree", "cat", "bird", "dog")
    assert (measured.pairs[0].dense.text, measured.pairs[1].dense.text) == ("dog", "tree")
    with pytest.raises(SafetyInconclusive, match="which is chance level"):
        assert_qa_drop(measured, margin=0.02)


def test_perplexities_are_ratios_of_all_words(tmp_path):
    """A pair (loglikelihood, words) counts with its words: exp of all nats over all words."""
    nats = ((-30.0, 10), (-80.0, 20)) * 20
    rows = [row(i, 1.0, metrics=["word_perplexity"], word_perplexity=v) for i, v in enumerate(nats)]
    worse = [
        row(i, 1.0, metrics=["word_perplexity"], word_perplexity=(v * 1.1, n))
        for i, (v, n) in enumerate(nats)
    ]
    measured = import_samples(write(tmp_path / "a", rows), write(tmp_path / "b", worse))
    assert measured.figures[0].dense == pytest.approx(math.exp(110 / 30))
    seen = []
    with observe(seen.append), pytest.raises(SafetyFailure):
        assert_perplexity_ratio(measured, margin=0.1)
    assert seen[0].decision.estimate == pytest.approx(11 / 30)
    with pytest.raises(
        ConfigurationError, match=r"perplexity\. Expected .*use assert_perplexity_r"
    ):
        assert_kl(measured, margin=0.1)


@pytest.mark.parametrize("metric", ["acc", "exact_match"])
def test_accuracies_are_right_answers(metric, tmp_path):
    """What is known to be an accuracy is no harm and no refusal, whichever task it is of."""
    rows = [row(i, 1.0, metrics=[metric], **{metric: 1.0}) for i in range(9)]
    files = write(tmp_path / "a", rows), write(tmp_path / "b", rows)
    measured = import_samples(*files, higher_is_better=True)
    assert assertions_for(measured) == ["assert_qa_drop", "assert_flip_rate", "assert_agreement"]
    assert Scale("of_ours", higher_is_better=True, support=(0.0, 1.0)).measures == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ('{"prompt": "no log"}', "row 1 has no doc_id"),
        ('{"doc_id": 1', "line 1 is not JSON"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, text, words):
    """Whatever the file holds, the error says what was expected."""
    good, bad = write(tmp_path / "a", [row(0, 1.0)]), tmp_path / "bad.jsonl"
    bad.write_text(text)
    with pytest.raises(DatasetError, match=words):
        import_samples(good, bad)
    with pytest.raises(DatasetError, match="there is no log"):
        import_samples(good, tmp_path / "none.jsonl")
