"""Heads and channels that LLM-Pruner removes, against the authors' code (shared/golden)."""

from __future__ import annotations

import json

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods.llm_pruner import gated_blocks, highest, taylor
from tests.reference.story_model import stories as load_stories
from tests.reference.story_model import tokens as load_tokens

RUNS = range(6)


@pytest.fixture(scope="module")
def golden(shared):
    """The authors' six runs on stories3M."""
    return json.loads((shared / "golden" / "llmpruner" / "stories3M.json").read_text())["runs"]


@pytest.fixture(scope="module")
def tokens(shared):
    """Calibration and evaluation token ids of stories3M."""
    return load_tokens(shared)


@pytest.fixture
def stories(shared):
    """The model, fresh for each test."""
    return load_stories(shared)


def batch(tokens):
    """The sequences whose gradient the authors' code took."""
    return tokens["calib_ids"][:10, :64].long()


def removed(scores, count):
    """The numbers of the `count` lowest scores."""
    kept = set(highest(scores, len(scores) - count).tolist())
    return [number for number in range(len(scores)) if number not in kept]


@pytest.mark.parametrize("run", RUNS)
def test_the_same_parts_are_lowest(run, stories, golden, tokens):
    """In each layer the same channels and heads go, every number of them.

    Heads are compared with folding by shared key: the authors' code folds the wider query and
    output layers otherwise, which in one layer of one run removes the other head.
    """
    expected = golden[run]
    blocks, sizes = gated_blocks(stories)
    layers = [layer for block in blocks for layer in block.layers.values()]
    if expected["importance"] == "l1":
        salience = {layer.name: layer.working_copy().abs() for layer in layers}
    else:
        salience = taylor(stories, layers, batch(tokens), lambda *_: None)
    for block, row in zip(blocks, expected["removed"], strict=True):
        heads, channels = block.scores(salience, sizes.keys)
        theirs = row["mlp_channels_removed"]
        assert removed(channels, len(theirs)) == theirs
        folded = row.get("kv_heads_if_q_and_o_folded_by_gqa_group", [])
        assert removed(heads, len(folded)) == folded


@pytest.mark.parametrize(
    ("run", "spec"),
    [(0, "llm-pruner:0.2:l1"), (3, "llm-pruner:0.2"), (4, "llm-pruner:0.5")],
)
def test_the_pruned_model_is_the_authors(run, spec, stories, golden, tokens):
    """Equal parameter counts, the logits in sum, and the mean loss on both texts to 1e-5.

    Runs that leave the first and last layer whole have sizes that no configuration tells.
    """
    expected = golden[run]
    assert stories.num_parameters() == expected["params_before"]
    compress(stories, spec, calibration=batch(tokens).tolist())
    assert stories.num_parameters() == expected["params_after"]
    for name in ("eval", "eval2"):
        with torch.no_grad():
            losses = [
                float(stories(row[None], labels=row[None]).loss)
                for row in tokens[f"{name}_ids"].long()
            ]
        assert sum(losses) / len(losses) == pytest.approx(expected[name]["mean_nll"], abs=1e-5)
    with torch.no_grad():
        logits = stories(tokens["logits_ids"].long()).logits[0][tokens["logits_pos"].long()]
    total = float(logits.double().abs().sum())
    assert total == pytest.approx(expected["logits_abs_sum"], rel=1e-5)
