"""A walk shows each block what it sees in the model's own forward."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch

from pytest_llmsafety.compressors.layerwise.layers import decoder_blocks
from pytest_llmsafety.compressors.layerwise.walk import walk
from tests.stand_ins.random_models import FAMILIES, VOCABULARY, random_model

DENSE = sorted(set(FAMILIES) - {"mixtral"})
IDS = torch.randint(VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))


class Count:
    """Counts the tokens and sequences that reach a layer."""

    def __init__(self, layer):
        """Start at zero."""
        self.name, self.tokens, self.sequences = layer.name, 0, 0

    def add(self, inputs, sequences):
        """Count one batch."""
        self.tokens += inputs.shape[0]
        self.sequences += sequences


def inputs_seen_by_the_model(model, blocks):
    """The hidden states before and the output of each block in the model's own forward."""
    seen, handles = {}, []
    for block in blocks:

        def hook(_module, args, kwargs, index=block.index):
            seen.setdefault(index, []).append(args[0] if args else kwargs["hidden_states"])

        handles.append(block.module.register_forward_pre_hook(hook, with_kwargs=True))
    with torch.no_grad():
        for row in IDS:
            model(input_ids=row[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("family", DENSE)
def test_blocks_see_what_the_model_shows_them(family):
    """Without any change the inputs of every block equal those of the whole model's forward."""
    model = random_model(family)
    blocks = decoder_blocks(model)
    expected = inputs_seen_by_the_model(model, blocks)
    for visit in walk(model, blocks, IDS):
        for ours, theirs in zip(visit.hidden, expected[visit.block.index], strict=True):
            assert torch.equal(ours, theirs)


def test_later_blocks_see_what_the_changed_ones_make():
    """After a change of block 0 the inputs of block 1 are the changed model's."""
    model = random_model("llama")
    blocks = decoder_blocks(model)
    visits = walk(model, blocks, IDS)
    next(visits).layers[0].weight.mul_(0.5)
    changed = inputs_seen_by_the_model(model, blocks)
    for ours, theirs in zip(next(visits).hidden, changed[1], strict=True):
        assert torch.equal(ours, theirs)


def test_statistics_are_shared_by_layers_of_one_input():
    """Queries, keys and values have one object, which has seen each batch once."""
    model = random_model("llama")
    visit = next(walk(model, decoder_blocks(model), IDS, batch_size=2))
    query, key, value, output, gate, up, down = visit.statistics(Count).values()
    assert query is key is value
    assert gate is up
    assert len({id(one) for one in (query, output, gate, down)}) == 4
    assert {(one.tokens, one.sequences) for one in (query, output, gate, down)} == {(96, 4)}


def test_statistics_leave_out_what_follows_the_last_layer():
    """From the second batch on a block stops at its last layer, which then computes nothing."""
    model = random_model("llama")
    visit = next(walk(model, decoder_blocks(model), IDS))
    ran = []
    visit.block.module.mlp.down_proj.register_forward_hook(lambda *_: ran.append("down"))
    visit.block.module.mlp.up_proj.register_forward_hook(lambda *_: ran.append("up"))
    found = visit.statistics(Count)
    assert (ran.count("up"), ran.count("down")) == (4, 1)
    assert {one.sequences for one in found.values()} == {4}


def test_batches_of_several_sequences_give_the_same():
    """Two sequences at a time give the same hidden states up to rounding."""
    model = random_model("qwen3")
    blocks = decoder_blocks(model)
    last = {}
    for size in (1, 2):
        for visit in walk(model, blocks, IDS, batch_size=size):
            last[size] = torch.cat(visit.hidden)
    assert torch.allclose(last[1], last[2], rtol=1e-4, atol=1e-4)


def test_the_model_is_put_back():
    """Hooks, forward functions and the training flag are as before, after an error, too."""
    model = random_model("llama").train()
    blocks = decoder_blocks(model)
    visits = walk(model, blocks, IDS)

    def stop():
        with closing(visits):
            for visit in visits:
                visit.statistics(Count)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop()
    assert model.training
    assert torch.is_grad_enabled()
    for block in blocks:
        assert "forward" not in vars(block.module)
        assert not any(layer.module._forward_pre_hooks for layer in block.layers)


def test_progress_is_reported():
    """The callback is called for every block and at the end."""
    calls = []
    model = random_model("gpt2")
    for _ in walk(model, decoder_blocks(model), IDS, progress=lambda *all_: calls.append(all_)):
        pass
    assert calls == [("transformer.h.0", 0, 2), ("transformer.h.1", 1, 2), ("done", 2, 2)]
