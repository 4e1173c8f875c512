"""`phantom:worse` and `phantom:same`: make changes of known harm to the built-in model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layerwise.layers import linear_layers, weight_of
from pytest_llmsafety.compressors.parameters import Parameters
from pytest_llmsafety.compressors.record.changes import changes
from pytest_llmsafety.errors import CompressionError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

SIGNIFICANT_BITS = 7


class PhantomChange(Compressor):
    """`worse` plants a regression of known size; `same` rounds weights and plants nothing."""

    compresses = False
    parameters = Parameters(
        example="phantom:worse",
        choices=(
            ("worse", "a regression of known size"),
            ("same", "other weights, the same answers"),
        ),
    )

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - weights only
    ) -> CompressionRecord:
        """Change the built-in model. Raises CompressionError for any other model."""
        with changes(model, step) as changed:
            if step.parameter == "same":
                for _, layer in linear_layers(model):
                    weight = weight_of(layer)
                    weight.copy_(rounded(weight, SIGNIFICANT_BITS))
                return changed.record(bits=SIGNIFICANT_BITS + 9.0)
            load_worse(model)
        return changed.record()


def rounded(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Return `weight` rounded to `bits` significant bits, with sign and exponent as they are."""
    import torch

    mantissa, exponent = torch.frexp(weight.float())
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent).to(weight.dtype)


def load_worse(model: PreTrainedModel) -> None:
    """Put the weights with the planted regression into the built-in model."""
    from pytest_llmsafety.phantom.weights import load_worse_state

    state = load_worse_state()
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        message = "phantom:worse fits only the built-in model. Use it with --model=phantom."
        raise CompressionError(message) from error
