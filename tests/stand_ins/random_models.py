"""Tiny models with random weights, one for each family whose shapes or caches differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VOCABULARY = 96
LONGEST = 64
WINDOW = 7  # of sliding attention: shorter than the prompts of the tests

LLAMA_LIKE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": LONGEST,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GPT2_LIKE = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": LONGEST,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NO_HEAD_DIM = {name: value for name, value in LLAMA_LIKE.items() if name != "head_dim"}
PLAIN_HEADS = {name: value for name, value in NO_HEAD_DIM.items() if name != "num_key_value_heads"}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": (
        "BloomConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    ),
    "falcon": (
        "FalconConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": LONGEST,
        },
    ),
    "gemma": ("GemmaConfig", LLAMA_LIKE),
    "gemma2": (
        "Gemma2Config",
        {**LLAMA_LIKE, "sliding_window": WINDOW, "final_logit_softcapping": 3.0},
    ),
    "gemma3": ("Gemma3TextConfig", {**LLAMA_LIKE, "sliding_window": WINDOW}),
    "gpt2": ("GPT2Config", GPT2_LIKE),
    "gpt_neox": ("GPTNeoXConfig", PLAIN_HEADS),
    "gptj": ("GPTJConfig", {**GPT2_LIKE, "rotary_dim": 4}),
    "granite": ("GraniteConfig", {**NO_HEAD_DIM, "logits_scaling": 4.0}),
    "llama": ("LlamaConfig", LLAMA_LIKE),
    "mamba": (
        "MambaConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    ),
    "mistral": ("MistralConfig", {**LLAMA_LIKE, "sliding_window": WINDOW}),
    "mixtral": ("MixtralConfig", {**LLAMA_LIKE, "num_local_experts": 4}),
    "mpt": (
        "MptConfig",
        {"vocab_size": VOCABULARY, "d_model": 32, "n_heads": 4, "n_layers": 2},
    ),
    "olmo2": ("Olmo2Config", NO_HEAD_DIM),
    "opt": (
        "OPTConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": LONGEST,
            "word_embed_proj_dim": 16,
        },
    ),
    "phi": ("PhiConfig", PLAIN_HEADS),
    "phi3": ("Phi3Config", {**NO_HEAD_DIM, "sliding_window": WINDOW}),
    "qwen2": ("Qwen2Config", NO_HEAD_DIM),
    "qwen2_sliding": (
        "Qwen2Config",
        {
            **NO_HEAD_DIM,
            "use_sliding_window": True,
            "sliding_window": WINDOW,
            "max_window_layers": 1,
        },
    ),
    "qwen3": ("Qwen3Config", LLAMA_LIKE),
    "stablelm": ("StableLmConfig", NO_HEAD_DIM),
}


def random_model(family: str, *, seed: int = 0) -> PreTrainedModel:
    """Return a tiny model of `family` in float32 whose answers vary from token to token."""
    name, arguments = FAMILIES[family]
    config = getattr(transformers, name)(**arguments)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = transformers.AutoModelForCausalLM.from_config(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def letter_tokenizer() -> PreTrainedTokenizerBase:
    """Return a tokenizer with one token a character and a start token before each text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = [chr(code) for code in range(32, 32 + VOCABULARY - 4)]
    names = ["<pad>", "<s>", "</s>", "<unk>", *letters]
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = decoders.Fuse()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        model_max_length=LONGEST,
    )
