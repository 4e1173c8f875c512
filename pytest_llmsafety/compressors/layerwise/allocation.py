"""Give each layer its own sparsity or bits: from a file (`alloc=FILE`), or by AlphaPruning.

A method takes part by declaring `flags=(ALPHA,)` and `keys=(EPSILON, ALLOC)`; quantizers declare
ALLOC alone. `LayerCompressor` does everything else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layerwise.layers import decoder_blocks
from pytest_llmsafety.compressors.parameters import Key
from pytest_llmsafety.errors import AllocationError, ConfigurationError
from pytest_llmsafety.json_files import read_json
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.parameters import Parameters, Values
    from pytest_llmsafety.specs import Step

ALPHA = ("alpha", "a sparsity for each block by AlphaPruning, the given one on the whole")
EPSILON = Key("epsilon", "how far alpha spreads the sparsities (0.3)", low=0, high=0.99)
ALLOC = Key("alloc", "JSON file: layer or block name -> its sparsity or bits", "text")
SPREAD = 0.3


def check(step: Step, values: Values, declared: Parameters) -> None:
    """Raise ConfigurationError when a step's allocation contradicts itself or its file is wrong."""
    alpha, file = "alpha" in values.flags, values.key("alloc")
    problem = ""
    if alpha and file:
        problem = "alpha and alloc= were given, expected one of them"
    elif values.pattern and (alpha or file):
        problem = "N:M leaves every layer the same share, so alpha and alloc= need a sparsity"
    elif values.key("epsilon") is not None and not alpha:
        problem = "epsilon= needs alpha, which was not given"
    if problem:
        message = f"'{step}': {problem}. Write it like {declared.example}."
        raise ConfigurationError(message)
    if file:
        read_file(str(file), values, declared)


def amounts(model: PreTrainedModel, values: Values, declared: Parameters) -> dict[str, float]:
    """Return the sparsity or bits by layer name; empty where all layers get the same.

    Raises AllocationError for names that the model does not have, and for sparsities that
    AlphaPruning would put at 1 or above.
    """
    if values.key("alloc"):
        found = read_file(str(values.key("alloc")), values, declared)
        return by_layer(decoder_blocks(model), found)
    if "alpha" in values.flags:
        from pytest_llmsafety.compressors.layerwise.alphapruning import sparsities

        blocks = decoder_blocks(model)
        spread = values.number("epsilon", SPREAD)
        return by_layer(blocks, sparsities(blocks, values.sparsity or 0.0, spread))
    return {}


def note(layers: Sequence[Layer], values: Values, given: Mapping[str, float]) -> tuple[str, ...]:
    """Return the record's note about an allocation: its range, and its mean over the weights."""
    if not given:
        return ()
    kind, default = ("bits", values.bits) if values.bits else ("sparsity", values.sparsity)
    total = sum(layer.outputs * layer.inputs for layer in layers)
    mean = sum(
        layer.outputs * layer.inputs * given.get(layer.name, float(default or 0))
        for layer in layers
    )
    named = sum(layer.name in given for layer in layers)
    text = (
        f"{kind} by layer for {named} of {len(layers)} layers, from {min(given.values()):.4g} to "
        f"{max(given.values()):.4g}, {mean / max(total, 1):.4g} on average over the weights; "
        f"{default} was given"
    )
    return (text,)


def by_layer(blocks: Sequence[Block], given: Mapping[str, float]) -> dict[str, float]:
    """Return the amount of each named layer; a layer's own name goes before that of its block.

    Raises AllocationError that lists the names the model does not have.
    """
    known = {name for block in blocks for name in (block.name, *(x.name for x in block.layers))}
    unknown = [name for name in given if name not in known]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")  # noqa: PLR2004
        message = (
            f"the allocation names {len(unknown)} layers that the model does not have: {shown}. "
            f"Expected names like {blocks[0].name} or {blocks[0].layers[0].name}."
        )
        raise AllocationError(message)
    return {
        layer.name: given[name]
        for block in blocks
        for layer in block.layers
        for name in (layer.name if layer.name in given else block.name,)
        if name in given
    }


def read_file(path: str, values: Values, declared: Parameters) -> dict[str, float]:
    """Return the allocation in a JSON file. Raises ConfigurationError unless it holds one."""
    wanted = "a JSON object of layer or block names and "
    wanted += "whole numbers of bits" if values.bits else "sparsities in [0, 1)"
    try:
        found: Any = read_json(user_path(path))
    except (OSError, ValueError) as error:
        message = f"alloc={path} cannot be read ({error}). Expected {wanted}."
        raise ConfigurationError(message) from error
    if not isinstance(found, dict) or not found:
        message = f"alloc={path} holds no names. Expected {wanted}."
        raise ConfigurationError(message)
    wrong = [name for name, amount in found.items() if not _fits(amount, values, declared)]
    if wrong:
        message = (
            f"alloc={path}: {wrong[0]} has {json.dumps(found[wrong[0]])} ({len(wrong)} of "
            f"{len(found)} values are wrong). Expected {wanted}"
            + (f" from {declared.bits[0]} to {declared.bits[1]}." if declared.bits else ".")
        )
        raise ConfigurationError(message)
    return found


def _fits(amount: object, values: Values, declared: Parameters) -> bool:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        return False
    if values.bits is None or declared.bits is None:
        return 0 <= amount < 1
    return declared.bits[0] <= amount <= declared.bits[1] and amount == int(amount)
