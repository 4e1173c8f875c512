"""The scorers other than Detoxify, and the option that names them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from pytest_llmsafety.errors import ConfigurationError, ScorerError, UnknownNameError
from pytest_llmsafety.metrics.scorers import check_scorer, load_scorer, profanity_check, vader
from pytest_llmsafety.metrics.scorers.base import FunctionScorer, in_batches, token_limit, unchanged
from tests.unit.metrics.tiny_bert import save_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXTS = ["you are a fool", "kind", "you are kind", "fool " * 100]


def test_an_unknown_scorer_is_named_and_replaced_by_none() -> None:
    """A typing mistake never ends in another scorer."""
    with pytest.raises(UnknownNameError, match="Did you mean 'detoxify'"):
        load_scorer("detoxfy")
    with pytest.raises(UnknownNameError):
        check_scorer("perspective")
    check_scorer("classifier:folder#label")


def test_batches_hold_texts_of_similar_length_in_the_end_in_order() -> None:
    """Scores are in the order of the texts, whatever the batches."""
    seen: list[list[int]] = []

    def score(batch: list[str]) -> list[float]:
        seen.append([len(text) for text in batch])
        return [len(text) / 10 for text in batch]

    assert in_batches(["aaaa", "a", "aaa", "aa"], 2, score) == [0.4, 0.1, 0.3, 0.2]
    assert seen == [[1, 2], [3, 4]]


@pytest.mark.parametrize("values", [[0.1], [0.1, math.nan], [0.1, 1.1]])
def test_a_scorer_that_fails_is_an_error(values: Sequence[float]) -> None:
    """Dropped texts, NaN and numbers outside 0-1 never become scores."""
    with pytest.raises(ScorerError, match="scorer 'mine' gave"):
        FunctionScorer("mine", "1", lambda _: values).score(["a", "b"])


def test_vader_is_one_for_negative_and_zero_for_positive_text() -> None:
    """(1 - compound) / 2, and 0.5 for text without sentiment."""
    pytest.importorskip("vaderSentiment")
    scorer = load_scorer("vader")
    bad, neutral, good = scorer.score(["I hate you, idiot", "the table", "what a lovely day"])
    assert bad > neutral == 0.5 > good
    assert scorer.digest.startswith("vaderSentiment ")
    with pytest.raises(ConfigurationError, match="takes no parameter"):
        vader.load("x", "cpu")


def profanity_folder(folder: Path) -> Path:
    """A folder in the format of profanity-check's weights: two classifiers, two words."""
    config = {"lowercase": True, "token_pattern": r"(?u)\b\w\w+\b"}
    (folder / "config.json").write_text(json.dumps(config))
    np.savez(
        folder / "profanity_check.npz",
        coef=np.array([[2.0, -1.0], [1.0, 0.0]], dtype=np.float32),
        intercept=np.array([-0.5, 0.25]),
        a=np.array([-1.0, -2.0]),
        b=np.array([0.5, 0.0]),
        terms=np.array(["fool", "kind"]),
    )
    return folder


def test_profanity_check_is_its_formula(tmp_path: Path) -> None:
    """mean_k sigmoid(-(a_k (x . w_k + i_k) + b_k)) with word counts, computed by hand."""
    scorer = load_scorer(f"profanity-check:{profanity_folder(tmp_path)}")

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def by_hand(fool: int, kind: int) -> float:
        first = sigmoid(-(-1.0 * (2.0 * fool - 1.0 * kind - 0.5) + 0.5))
        second = sigmoid(-(-2.0 * (1.0 * fool + 0.25)))
        return (first + second) / 2

    expected = [by_hand(2, 0), by_hand(0, 1), by_hand(0, 0), by_hand(0, 0)]
    assert scorer.score(["FOOL, fool!", "a kind x", "foolish", ""]) == pytest.approx(expected)


def test_a_scorer_that_changes_while_it_is_loaded_is_an_error(tmp_path: Path) -> None:
    """Its digest has to describe the loaded files."""
    path = tmp_path / "weights"
    path.write_text("one")
    with unchanged([path]):
        pass
    with pytest.raises(ScorerError, match="changed while the scorer was loaded"), unchanged([path]):
        path.write_text("two")


def test_a_wrong_profanity_folder_is_named(tmp_path: Path) -> None:
    """The error says which files and arrays are expected."""
    with pytest.raises(ScorerError, match=r"Expected config\.json and profanity_check\.npz"):
        profanity_check.from_folder(tmp_path)


@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_a_local_classifier_gives_its_labels_probability(
    tmp_path: Path, problem_type: str | None
) -> None:
    """Softmax by default, sigmoid where the config says several labels may hold."""
    model = save_folder(tmp_path, labels=["fine", "toxic"], problem_type=problem_type)
    scorer = load_scorer(f"classifier:{tmp_path}#toxic")
    with torch.inference_mode():
        logits = model(torch.tensor([[2, 5, 6, 7, 8, 3]])).logits[0]
    expected = (logits.sigmoid() if problem_type else logits.softmax(-1))[1]
    assert scorer.score(TEXTS)[0] == pytest.approx(float(expected), abs=1e-6)
    alone = [scorer.score([text])[0] for text in TEXTS]
    assert scorer.score(TEXTS) == pytest.approx(alone, abs=1e-6)


def test_another_label_gives_another_digest(tmp_path: Path) -> None:
    """The digest depends on the label, too."""
    save_folder(tmp_path, labels=["fine", "toxic"])
    names = [f"classifier:{tmp_path}#{label}" for label in ("fine", "toxic")]
    assert len({load_scorer(name).digest for name in names}) == 2


def test_a_wrong_label_lists_the_labels(tmp_path: Path) -> None:
    """The error says which labels there are."""
    save_folder(tmp_path, labels=["fine", "toxic"])
    with pytest.raises(ScorerError, match="Its labels: fine, toxic"):
        load_scorer(f"classifier:{tmp_path}#hate")


@pytest.mark.parametrize("parameter", ["", "/absent#toxic", "/absent"])
def test_a_wrong_classifier_is_named(parameter: str) -> None:
    """Folder and label are both needed, and the folder has to be a model's."""
    with pytest.raises(ScorerError, match="Expected classifier:FOLDER#LABEL"):
        load_scorer(f"classifier:{parameter}")


def test_an_untrained_head_is_refused(tmp_path: Path) -> None:
    """A folder of a plain language model would load with a random classifier and a warning."""
    from transformers import BertModel

    model = save_folder(tmp_path, labels=["fine", "toxic"])
    (tmp_path / "model.safetensors").unlink()
    BertModel(model.config).save_pretrained(tmp_path)
    with pytest.raises(ScorerError, match="not a trained classifier"):
        load_scorer(f"classifier:{tmp_path}#toxic")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """Only safetensors are read."""
    model = save_folder(tmp_path, labels=["fine", "toxic"])
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ScorerError, match="cannot load the classifier"):
        load_scorer(f"classifier:{tmp_path}#toxic")


def test_robertas_positions_begin_after_the_padding() -> None:
    """514 position embeddings with padding 1 are 512 tokens."""
    from transformers import BertConfig, RobertaConfig

    class Endless:
        model_max_length = 10**30

    roberta = RobertaConfig(max_position_embeddings=514, pad_token_id=1)
    assert token_limit(Endless(), roberta) == 512
    assert token_limit(Endless(), BertConfig(max_position_embeddings=16)) == 16


def test_a_folder_is_told_how_to_be_named() -> None:
    """A classifier's folder needs its kind before it and its label after it."""
    with pytest.raises(ConfigurationError, match=r"looks like a folder.*classifier:FOLDER#LABEL"):
        check_scorer("./my-classifier")
