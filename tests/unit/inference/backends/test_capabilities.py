"""What a model allows, tried on a few tokens: the probe for causality."""

from __future__ import annotations

import pytest
import torch
import transformers

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.capabilities import check_causal
from pytest_llmsafety.inference.backends.decoder import Decoder
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec
from tests.stand_ins.random_models import FAMILIES, VOCABULARY, letter_tokenizer, random_model

BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TWO_WAYS = {
    "bert": ("BertConfig", BERT),
    "roberta": ("RobertaConfig", BERT),
    "xlnet": (
        "XLNetConfig",
        {"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
    ),
    "cpmant": (
        "CpmAntConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "dim_head": 8,
            "dim_ff": 48,
            "num_hidden_layers": 2,
        },
    ),
}


def made(name, **fields):
    """A model with the random weights that its family starts from."""
    kind, arguments = TWO_WAYS[name]
    config = getattr(transformers, kind)(**arguments, **fields)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", TWO_WAYS)
def test_a_model_that_reads_both_ways_is_refused(name):
    """Logits that change with later tokens are no predictions, even of an untrained model."""
    with pytest.raises(ModelError, match=r"is not causal: .*later tokens.*Expected a decoder-only"):
        check_causal(Decoder(made(name)))


def test_a_model_that_does_not_run_is_refused():
    """A configuration that does not fit the code of a model is an error with a remedy."""
    model = random_model("llama")
    model.model.layers[0].self_attn.o_proj = torch.nn.Linear(3, 32)
    with pytest.raises(ModelError, match=r"does not run \(RuntimeError: .*config.json"):
        check_causal(Decoder(model))


def test_a_short_model_is_not_refused():
    """Eight positions are fewer than the texts of the probe have tokens."""
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_head=4, n_layer=1, n_positions=8
    )
    check_causal(Decoder(transformers.GPT2LMHeadModel(config).eval()))


def test_bert_as_a_decoder_is_causal():
    """The same class with is_decoder reads from left to right."""
    check_causal(Decoder(made("bert", is_decoder=True)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_causal_families_are_not_refused(family, dtype):
    """Sliding windows, state spaces, ALiBi and experts do not fail the probe, nor does rounding."""
    check_causal(Decoder(random_model(family).to(dtype)))


def test_noise_is_not_taken_for_sight():
    """A model that draws random numbers differs as much when it reads the same text twice."""
    model = random_model("llama")
    layer = model.model.layers[0].mlp
    layer.register_forward_hook(lambda _module, _inputs, out: out + torch.randn_like(out))
    check_causal(Decoder(model))


def test_a_change_within_rounding_is_tolerated_in_a_compressed_model():
    """Kernels that scale all tokens together let later ones show a little; dense ones do not."""
    model = random_model("llama")
    layer = model.model.layers[0].mlp
    layer.register_forward_hook(
        lambda _module, _inputs, out: out + 0.01 * out.mean(1, keepdim=True)
    )
    check_causal(Decoder(model), compressed=True)
    with pytest.raises(ModelError, match="is not causal"):
        check_causal(Decoder(model))


def test_it_is_refused_when_it_is_loaded(tmp_path):
    """Before anything is asked, dense or as a checkpoint, with the name of the folder."""
    dense, both_ways = tmp_path / "dense", tmp_path / "both-ways"
    for folder, decodes in ((dense, True), (both_ways, False)):
        model = made("bert", is_decoder=decodes)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.3)
                elif "weight" in name:
                    parameter.mul_(1.5)
        model.save_pretrained(folder)
        letter_tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match=r"both-ways.*is not causal"):
        HuggingFaceBackend(Arm(ModelSpec(str(both_ways), device="cpu")))
    step = CompressionSpec.parse(f"checkpoint:{both_ways}")
    with pytest.raises(ModelError, match=r"both-ways.*is not causal"):
        HuggingFaceBackend(Arm(ModelSpec(str(dense), device="cpu"), step))
