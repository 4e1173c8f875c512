"""Choices among options against lm-evaluation-harness's likelihoods (values in shared/golden)."""

from __future__ import annotations

import json

import pytest

from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.metrics.base import part
from pytest_llmsafety.metrics.multiple_choice import MultipleChoice, MultipleChoicePerCharacter
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import ChoiceItem

N_QUESTIONS = 40
CLOSE_CALL = 1e-3  # nats


@pytest.mark.parametrize("metric", [MultipleChoice(), MultipleChoicePerCharacter()])
def test_choices_are_lm_evals(shared, metric):
    """By sums (`acc`) and per character (`acc_norm`) each question has the same chosen option."""
    folder = shared / "golden" / "lmeval"
    asked = json.loads((folder / "inputs.json").read_text())["bbq"][:N_QUESTIONS]
    theirs = json.loads((folder / "stories3M.lmeval.json").read_text())["loglikelihood_bs16"]
    items = [
        ChoiceItem(f"q{i}", one["prompt"], options=tuple(one["options"]))
        for i, one in enumerate(asked)
    ]
    requests = [request for item in items for request in metric.requests(item)]
    backend = HuggingFaceBackend(
        Arm(ModelSpec(str(shared / "models" / "stories3M"), device="cpu")), BackendSettings()
    )
    found = {index: answer for batch in backend.answer(requests) for index, answer in batch}
    compared = 0
    for i, item in enumerate(items):
        places = range(3 * i, 3 * i + 3)
        (score,) = metric.scores([item], [tuple(found[place] for place in places)])
        sums = [theirs["logprob"][place] for place in places]
        if metric.per_character:
            sums = [s / len(option) for s, option in zip(sums, item.options, strict=True)]
        if max(sums) - sorted(sums)[-2] > CLOSE_CALL:
            assert part(score, "choice") == sums.index(max(sums))
            compared += 1
    assert compared > N_QUESTIONS // 2
