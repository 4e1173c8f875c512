"""Compare the architecture of a checkpoint with that of the dense model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.record.coverage import (
    BODY,
    EMBEDDING,
    HEAD,
    ParameterFacts,
    current,
    distinct_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

SIZES = (
    ("blocks", ("num_hidden_layers",)),
    ("experts", ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")),
    ("hidden size", ("hidden_size",)),
    ("width of the MLP", ("intermediate_size", "ffn_dim", "ffn_hidden_size")),
    ("width of an expert", ("moe_intermediate_size",)),
    ("attention heads", ("num_attention_heads",)),
    ("key-value heads", ("num_key_value_heads",)),
    ("size of a head", ("head_dim",)),
)
SETTINGS = (
    "activation_function",
    "attention_multiplier",
    "attn_logit_softcapping",
    "embedding_multiplier",
    "final_logit_softcapping",
    "hidden_act",
    "hidden_activation",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "layer_types",
    "logits_scaling",
    "max_position_embeddings",
    "norm_eps",
    "num_experts_per_tok",
    "query_pre_attn_scalar",
    "residual_multiplier",
    "rms_norm_eps",
    "rope_parameters",
    "routed_scaling_factor",
    "sliding_window",
)
"""Keys of config.json that change what a model answers, and no shape of its weights."""
LONGEST_VALUE = 24
COUNTED = ("blocks", "experts", "attention heads", "key-value heads")
VOCABULARY = "rows of the embedding"


@dataclass(frozen=True)
class Architecture:
    """The class of a model, its sizes by name and its SETTINGS; what it lacks is absent."""

    name: str
    sizes: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, model: PreTrainedModel) -> Architecture:
        """Read them from a loaded model."""
        return cls(type(model).__name__, tuple(_sizes(model)), tuple(_settings(model)))

    def differences(self, dense: Architecture) -> tuple[str, ...]:
        """Return how this differs from `dense`, in words; empty where it does not."""
        mine, theirs = dict(self.sizes), dict(dense.sizes)
        found = [] if self.name == dense.name else [f"{self.name} instead of {dense.name}"]
        other = {name: size for name, size in mine.items() if theirs.get(name, size) != size}
        return (*found, *(_difference(name, size, theirs[name]) for name, size in other.items()))

    def other_settings(self, dense: Architecture) -> str:
        """Return which settings differ from the dense model's, in words; empty if none does."""
        mine, theirs = dict(self.settings), dict(dense.settings)
        other = [name for name in mine if theirs.get(name, mine[name]) != mine[name]]
        if self.name != dense.name or not other:
            return ""
        parts = [
            f"{name} {mine[name]} instead of {theirs[name]}"
            if max(len(mine[name]), len(theirs[name])) <= LONGEST_VALUE
            else name
            for name in other
        ]
        return f"config.json has other settings than the dense model's: {', '.join(parts)}"


def another_architecture(
    model: PreTrainedModel, dense: Architecture, parameters: Sequence[ParameterFacts]
) -> str:
    """Return how `model` differs in architecture from the dense one; empty where it does not.

    `parameters` are the facts about those of the dense model.
    """
    parts = Architecture.of(model).differences(dense) or _other_parameters(parameters, model)
    return f"another architecture: {', '.join(parts)}" if parts else ""


def same_body(parameters: Sequence[ParameterFacts], model: PreTrainedModel) -> bool:
    """Return whether all parameters between embedding and head have a counterpart of the same size.

    Only then is there a share of the parameters that changed.
    """
    return all(_has_counterpart(one, model) for one in parameters if one.place == BODY)


def _has_counterpart(one: ParameterFacts, model: PreTrainedModel) -> bool:
    module_name, _, leaf = one.name.rpartition(".")
    try:
        module: Any = model.get_submodule(module_name)
    except AttributeError:
        return False
    now = current(model, one)
    if now is not None:
        return now.numel() == one.count
    if getattr(module, leaf, one) is None:  # a bias that this model does not have
        return False
    count = _packed_count(module)
    return not count or len(one.shape) != 2 or count == one.count  # noqa: PLR2004 - a matrix


def matrices_of(model: PreTrainedModel) -> list[ParameterFacts]:
    """Return every matrix of a model, with its values packed or plain, without digests."""
    import torch

    none = torch.empty(0)
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    places = {id(head): HEAD, id(model.get_input_embeddings()): EMBEDDING}
    found: list[ParameterFacts] = []
    layers: tuple[str, ...] = ()
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        plain = isinstance(weight, torch.nn.Parameter) and weight.is_floating_point()
        if _packed_count(module) and not plain:
            shape = (int(module.out_features), int(module.in_features))
            found.append(
                ParameterFacts(f"{name}.weight", places.get(id(module), BODY), shape, (), none)
            )
            layers = (*layers, f"{name}.")
    for name, parameter in distinct_parameters(model):
        if parameter.dim() > 1 and not name.startswith(layers):
            module = model.get_submodule(name.rpartition(".")[0])
            place = places.get(id(module), BODY)
            found.append(ParameterFacts(name, place, tuple(parameter.shape), (), none))
    return found


def _packed_count(module: Any) -> int:  # noqa: ANN401 - any package's layer
    """Return the number of weights of a linear layer, however it stores them; 0 for others."""
    return int(getattr(module, "in_features", 0)) * int(getattr(module, "out_features", 0))


def _sizes(model: PreTrainedModel) -> Iterator[tuple[str, str]]:
    config: Any = model.config.get_text_config()
    for name, keys in SIZES:
        value = next((v for key in keys if (v := getattr(config, key, None)) is not None), None)
        if value is not None:
            yield name, str(value)
    table = model.get_input_embeddings()
    rows = getattr(table, "num_embeddings", None) or getattr(config, "vocab_size", None)
    if rows is not None:
        yield VOCABULARY, str(rows)


def _settings(model: PreTrainedModel) -> Iterator[tuple[str, str]]:
    config: Any = model.config.get_text_config()
    for name in SETTINGS:
        value = getattr(config, name, None)
        if value is not None:
            yield name, json.dumps(value, sort_keys=True, default=str)


def _difference(name: str, mine: str, theirs: str) -> str:
    """Return one difference in words: `3 of 4 blocks`, `hidden size 32 instead of 64`."""
    counts = mine.isdecimal() and theirs.isdecimal()
    if name in COUNTED and counts and int(mine) < int(theirs):
        return f"{mine} of {theirs} {name}"
    if name in (*COUNTED, VOCABULARY):
        return f"{mine} {name} instead of {theirs}"
    return f"{name} {mine} instead of {theirs}" if counts else f"other {name}"


def _other_parameters(
    parameters: Sequence[ParameterFacts], model: PreTrainedModel
) -> tuple[str, ...]:
    """Return how the parameters differ where the sizes do not: more, fewer, other shapes."""
    theirs = {one.name: one.shape for one in parameters}
    mine = {name: tuple(value.shape) for name, value in distinct_parameters(model)}
    if getattr(model, "hf_quantizer", None) is not None:
        return ()  # the package may have names of its own
    more = [name for name in mine if name not in theirs]
    fewer = [name for name in theirs if name not in mine]
    shapes = [name for name in mine if mine[name] != theirs.get(name, mine[name])]
    untied: tuple[str, ...] = ()
    if not any(one.place == HEAD for one in parameters):
        untied = tuple(name for name in more if _is_head(model, name))
    more = [name for name in more if name not in untied]
    kinds = {"more": more, "fewer": fewer, "of another shape": shapes}
    return (
        *(f"{name} is a matrix of its own, not tied to the input embedding" for name in untied),
        *(_counted(names, kind) for kind, names in kinds.items() if names),
    )


def _is_head(model: PreTrainedModel, name: str) -> bool:
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head is not None and model.get_parameter(name) is getattr(head, "weight", None)


def _counted(names: Sequence[str], kind: str) -> str:
    if len(names) == 1:
        return f"1 parameter {kind} ({names[0]})"
    return f"{len(names)} parameters {kind} ({names[0]}, ...)"
