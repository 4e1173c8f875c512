"""The share of all parameters that changed, and what counts as a change."""

from __future__ import annotations

import copy
import re
import sys
import types
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.record.coverage import (
    BODY,
    EMBEDDING,
    REPLACED,
    ROUNDED,
    VECTORS,
    ParameterFacts,
    compare,
    fingerprint,
    parameter_facts,
    percent,
    share_text,
)
from pytest_llmsafety.errors import NothingCompressed

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

FAMILIES = {
    "llama": {"tie_word_embeddings": True},
    "qwen2": {"tie_word_embeddings": False},  # with biases
    "mamba": {"state_size": 4},  # a convolution, A and D
    "deepseek_v3": {  # low-rank attention, routed and shared experts
        "moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
        "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
        "v_head_dim": 8, "num_key_value_heads": 4,
    },
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 16},  # Conv1D, two embeddings
}  # fmt: skip


@cache
def dense_model(family):
    """A tiny model of a family, which no test changes."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family]})
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(requires_grad=False)


@pytest.fixture
def llama():
    """A tiny Llama with random weights and a head of its own."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False)).eval()


@pytest.fixture
def mixtral():
    """A tiny mixture of four experts."""
    torch.manual_seed(0)
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=4)).eval()


@pytest.fixture
def own(monkeypatch):
    """Make a function of a model a compression of one's own, and give its name."""

    def named(function):
        module = types.ModuleType("own_compression")
        module.change = torch.no_grad()(function)
        monkeypatch.setitem(sys.modules, "own_compression", module)
        return "own_compression:change"

    return named


def test_all_matrices_but_embedding_and_head_change_under_int4(llama):
    """Embedding and head are listed apart from norms, and the body is whole except for these."""
    total = sum(parameter.numel() for parameter in llama.parameters())
    record = compress(llama, "int4")
    assert record.changed_body_share > 0.98
    assert record.changed_share == pytest.approx(1 - sum(share for _, _, share, *_ in record.kept))
    assert [row[0] for row in record.kept if row[3] != BODY] == ["model.embed_tokens", "lm_head"]
    assert record.kept[0][2] == pytest.approx(50 * 32 / total)
    assert [row[1] for row in record.kept if row[3] == BODY] == [5]


@given(data=st.data(), family=st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=40, deadline=None)
def test_what_changed_and_what_is_listed_as_kept_are_all_parameters(data, family):
    """The list names all that a compression leaves, and the shares sum to 1."""
    model = copy.deepcopy(dense_model(family))
    dense = parameter_facts(model)
    counts = {one.name: (one.count, one.place, one.layer) for one in dense}
    chosen = data.draw(st.sets(st.sampled_from(sorted(counts))))
    for name, parameter in model.named_parameters():
        if name in chosen:
            parameter.add_(1)
    found = compare(dense, model)
    total = sum(parameter.numel() for parameter in model.parameters())
    body = sum(count for count, place, _ in counts.values() if place == BODY)
    changed = sum(counts[name][0] for name in chosen)
    inside = sum(counts[name][0] for name in chosen if counts[name][1] == BODY)
    assert found.changed == pytest.approx(changed / total)
    assert found.body == pytest.approx(inside / body)
    assert found.changed + sum(row[2] for row in found.kept) == pytest.approx(1)
    listed = {row[0] for row in found.kept}
    left = [one for one in dense if one.name not in chosen]
    names = {re.sub(r"\.\d+\.", ".*.", one.layer) for one in left if len(one.shape) > 1}
    assert names <= listed
    vectors = any(len(one.shape) == 1 and one.place == BODY for one in left)
    assert (VECTORS in listed) == vectors


def test_experts_in_an_embedding_lie_between_embedding_and_head():
    """Doge keeps its experts as rows of two tables in each block; int8 leaves them as they are."""
    config = AutoConfig.for_model(
        "doge", **SIZES, is_moe=True, num_experts=1024, num_experts_per_tok=4
    )
    record = compress(AutoModelForCausalLM.from_config(config).eval(), "int8")
    assert record.changed_body_share < 0.5
    names = {row[0] for row in record.kept if row[3] == BODY}
    assert {"model.layers.*.mlp.down_embed", "model.layers.*.mlp.up_embed"} <= names


def test_tied_weights_count_once():
    """A head that is the embedding counts once."""
    model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))
    assert [one.place for one in parameter_facts(model)].count(EMBEDDING) == 1
    assert not any(one.name.startswith("lm_head") for one in parameter_facts(model))


def test_pruned_matrices_count_whole(llama):
    """Pruning leaves most values alone; what it worked on is compressed all the same."""
    assert compress(llama, "magnitude:0.1").changed_body_share > 0.98


def test_experts_left_dense_are_not_in_the_share(mixtral, own):
    """A function that knows only linear layers leaves most of a mixture as it was."""

    def halve(model):
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module is not model.lm_head:
                module.weight.mul_(0.5)

    record = compress(mixtral, own(halve))
    assert record.changed_body_share < 0.2
    names = [row[0] for row in record.kept[:2]]
    assert names == [
        "model.layers.*.mlp.experts.gate_up_proj",
        "model.layers.*.mlp.experts.down_proj",
    ]
    assert record.kept[0][1] == 2 * 4


def test_a_change_of_experts_alone_is_a_compression(mixtral, own):
    """Parameters that no linear layer holds count as changed, expert by expert."""

    def halve_one_expert(model):
        for name, parameter in model.named_parameters():
            if "experts" in name:
                parameter[1].mul_(0.5)

    record = compress(mixtral, own(halve_one_expert))
    assert "model.layers.0.mlp.experts.down_proj" in record.layers_changed
    stack = next(row for row in record.kept if row[0].endswith("gate_up_proj"))
    assert stack[1] == 2 * 3


@pytest.mark.parametrize(
    "change",
    [
        lambda p: torch.nextafter(p, torch.full_like(p, 9.0)),
        lambda p: p.bfloat16().float(),
        lambda p: p.half().float(),
    ],
    ids=["one ulp", "bfloat16", "float16"],
)
def test_roundings_are_no_compression(llama, own, change):
    """A step of one unit in the last place and a cast to 16 bits and back leave a share of 0."""

    def all_of_it(model):
        for parameter in model.parameters():
            parameter.copy_(change(parameter))

    record = compress(llama, own(all_of_it))
    assert record.changed_share == 0
    assert {row[4] for row in record.kept} >= {ROUNDED}
    assert "0% of the parameters changed" in share_text(record)
    assert "moved by a rounding only" in share_text(record)


def test_int8_in_bfloat16_is_a_compression(llama):
    """Small values move by their whole size on a grid of 8 bits, though 16 bits hold them."""
    assert compress(llama.bfloat16(), "int8").changed_body_share > 0.98


def test_storing_in_half_the_bits_is_a_compression(llama, own):
    """Values that need 32 bits are stored smaller in 16; values that have 16 are not."""
    cast = own(lambda model: model.to(torch.bfloat16))
    assert compress(llama, cast).changed_body_share > 0.98
    assert compress(llama.float(), own(lambda model: model.to(torch.float16))).changed_share == 0


def test_packed_and_replaced_weights_count(llama):
    """A weight that a module stores otherwise has changed; a wrapper around it has not."""

    class Packed(torch.nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.register_buffer("codes", linear.weight.mul(10).to(torch.int8))

    class Wrapper(torch.nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.base_layer = linear

    def replace(kind):
        def change(model):
            model.lm_head.weight.mul_(2)
            for block in model.model.layers:
                block.mlp.up_proj = kind(block.mlp.up_proj)

        return change

    dense = parameter_facts(llama)
    share = 2 * 32 * 64 / sum(one.count for one in dense if one.place == BODY)
    replace(Packed)(llama.requires_grad_(requires_grad=False))
    assert compare(dense, llama).body == pytest.approx(share)
    other = LlamaForCausalLM(llama.config).requires_grad_(requires_grad=False)
    dense = parameter_facts(other)
    replace(Wrapper)(other)
    assert compare(dense, other).body == 0


def test_fingerprint_sees_one_bit_anywhere():
    """A change of one bit changes the digest, whatever the type and the length."""
    torch.manual_seed(0)
    for values in (torch.randn(7).half(), torch.randn(300, 5), torch.ones(1)):
        before = fingerprint(values)
        changed = values.clone()
        changed.view(-1).view(torch.uint8)[-1] ^= 1
        assert fingerprint(changed) != before
        assert fingerprint(values.clone()) == before


def test_a_compressed_copy_that_is_returned_is_named(llama, own):
    """Packages that compress a copy leave the model dense; the error says what to do."""
    with pytest.raises(NothingCompressed, match=r"returned a LlamaForCausalLM, which is ignored"):
        compress(llama, own(lambda model: copy.deepcopy(model).half()))


def test_what_is_remembered_survives_a_file(llama):
    """A baseline keeps fewer values of a parameter, and the same digests."""
    dense = parameter_facts(llama)
    again = [ParameterFacts.of(one.row) for one in dense]
    assert compare(again, llama).changed == 0
    compress(llama, "int4")
    assert compare(again, llama).body == compare(dense, llama).body > 0.98


def test_no_share_where_only_the_run_is_compressed(llama):
    """A quantized cache leaves the weights, and the record says that in place of a share."""
    record = compress(llama, "kv:int8")
    assert record.changed_share is None
    assert share_text(record) == "weights as they were"


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.003, "under 1%"), (0.5, "50%"), (0.999, "99.9%"), (1, "100%")]
)
def test_percentages_are_0_and_100_of_nothing_and_all_only(share, text):
    """A share that is nearly nothing or nearly all is not rounded to it."""
    assert percent(share) == text


def test_experts_taken_out_of_their_stack_are_not_counted(mixtral):
    """Where values cannot be compared any more, they do not count as changed."""

    class Apart(torch.nn.Module):
        def __init__(self, experts):
            super().__init__()
            self.gates = torch.nn.ParameterList(experts.gate_up_proj.detach().clone().unbind(0))
            self.downs = torch.nn.ParameterList(experts.down_proj.detach().clone().unbind(0))

    dense = parameter_facts(mixtral)
    for block in mixtral.model.layers:
        block.mlp.experts = Apart(block.mlp.experts)
    found = compare(dense, mixtral)
    assert found.changed == 0
    assert [row[4] for row in found.kept[:2]] == [REPLACED] * 2


def test_a_weight_that_is_rounded_at_each_pass_has_changed(llama):
    """compressed-tensors leaves the values and marks the module."""
    dense = parameter_facts(llama)
    scheme = types.SimpleNamespace(weights=types.SimpleNamespace(num_bits=4))
    llama.model.layers[0].mlp.up_proj.quantization_scheme = scheme
    assert compare(dense, llama).body > 0
