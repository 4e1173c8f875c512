"""`llm.int8`: 8-bit weights and inputs, large inputs kept as they are (Dettmers et al., 2022).

Vector-wise: one scale for each row of the weight and one for each token. The paper keeps whole
columns of a batch's inputs in 16 bits when one value reaches the threshold, so a token's answer
depends on other tokens of the batch. Here each token keeps its own large values and no others:
what bitsandbytes computes for that token alone. As in bitsandbytes' inference, the kept values
are multiplied with the 8-bit weights, not with the paper's 16-bit ones.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.grid import stored_bits
from pytest_llmsafety.compressors.layerwise.layers import Expert, all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.a8 import BITS, per_token, round_inputs
from pytest_llmsafety.compressors.parameters import Key, Parameters, read

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.parameters import Values
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

THRESHOLD = 6.0
EXPERTS_NOTE = (
    "the weights of experts are in int8, their inputs are not: transformers computes all experts "
    "of a block in one call, and what goes into each cannot be rounded from outside"
)
MISSED_NOTE = (
    "the weights of {} layers ({}, ...) are in int8, their inputs are not: the model multiplies "
    "with these weights itself, or no text reaches them"
)


class LlmInt8(LayerCompressor):
    """LLM.int8() as values: rounds weights once, and inputs while the model runs."""

    weights_only = False
    rounds_inputs = True
    parameters = Parameters(
        example="llm.int8:threshold=6.0",
        keys=(Key("threshold", "magnitude from which an input is kept; 6.0, 0 keeps none"),),
    )

    def solve(self, weight: torch.Tensor, statistics: Any, values: Values) -> Solved:  # noqa: ANN401, ARG002
        """Round every row on its own grid."""
        bits = stored_bits(8, weight.shape[1], None, symmetric=True)
        return Solved(per_token(weight), bits)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Round the weights, hook the layers, and return the record."""
        record = super().compress(model, step, context)
        threshold = read(step, self.parameters).number("threshold", THRESHOLD)
        found = all_layers(decoder_blocks(model, experts=True))
        layers = [layer for layer in found if not isinstance(layer, Expert)]
        rule = partial(per_token, threshold=threshold)
        reached = round_inputs(model, layers, lambda _: rule)
        stacks = dict.fromkeys(x.name for x in found if isinstance(x, Expert))
        hooked = [name for name, seen in reached.items() if seen]
        missed = [name for name, seen in reached.items() if not seen]
        kept = f", those of at least {threshold:g} as they are" if threshold else ""
        return replace(
            record,
            layers_changed=tuple(dict.fromkeys([*record.layers_changed, *hooked, *stacks])),
            notes=(
                *record.notes,
                f"{step}: inputs of layers in int8, a scale for each token{kept}",
                *([EXPERTS_NOTE] if stacks else []),
                *([MISSED_NOTE.format(len(missed), missed[0])] if missed else []),
            ),
            activation_bits=BITS,
        )
