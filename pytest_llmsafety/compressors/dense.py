"""What is remembered of a dense model, so that a finished checkpoint can be checked without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.base import dense_bytes, linear_layers, weight_of
from pytest_llmsafety.compressors.changes import tensor_digest
from pytest_llmsafety.compressors.coverage import Remembered, remember
from pytest_llmsafety.errors import BaselineError, UnsupportedModelError
from pytest_llmsafety.tokenizer_rules import digest, rules_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.coverage import Row

Layers = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class DenseFacts:
    """The class of a model, its size in memory, its layers, its tokenizer and its parameters.

    `layers` holds (name, digest of the weight, shape) of every linear layer, `tokenizer` the
    digests of its parts by name, `parameters` what coverage.py remembers of each.
    """

    architecture: str
    n_bytes: int
    layers: tuple[tuple[str, str, tuple[int, ...]], ...]
    tokenizer: tuple[tuple[str, str], ...]
    parameters: tuple[Row, ...] = ()

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> DenseFacts:
        """Read them from a loaded dense model."""
        return cls(
            type(model).__name__,
            dense_bytes(model),
            tuple((name, *told) for name, told in dense_layers(model).items()),
            tokenizer_parts(tokenizer),
            tuple(one.row for one in remember(model)),
        )

    @property
    def remembered(self) -> tuple[Remembered, ...]:
        """The parameters, for a comparison."""
        return tuple(map(Remembered.of, self.parameters))

    @property
    def by_name(self) -> Layers:
        """Digest and shape of each layer's weight."""
        return {name: (digest, shape) for name, digest, shape in self.layers}

    def check(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        what: str,
        *,
        served: bool = False,
    ) -> None:
        """Raise a named error unless `what` is of the same class and has the same tokenizer.

        `served`: how the dense model is deployed is known and compared elsewhere, so that the
        checkpoint may have another chat template and other special tokens.
        """
        if type(model).__name__ != self.architecture:
            raise other_architecture(what, type(model).__name__, self.architecture)
        known = set(self.tokenizer)
        parts = tokenizer_parts(tokenizer)
        different = [
            part[0] for part in parts if part not in known and not (served and part[0] in SERVED)
        ]
        if different:
            message = (
                f"the tokenizer of '{what}' is not the dense model's, which the baseline has the "
                f"digests of: its {' and its '.join(different)} differ. A checkpoint must keep the "
                "dense model's tokenizer: save that beside its weights."
            )
            raise BaselineError(message)


def other_architecture(what: str, found: str, dense: str) -> UnsupportedModelError:
    """The error for a checkpoint of another class than the dense model."""
    return UnsupportedModelError(
        f"'{what}' is a {found}, the dense model a {dense}. Expected the same architecture: is the "
        "path right?"
    )


def dense_layers(model: PreTrainedModel) -> Layers:
    """Digest and shape of the weight of every linear layer, by name."""
    return {
        name: (tensor_digest(weight_of(layer)), tuple(weight_of(layer).shape))
        for name, layer in linear_layers(model)
    }


ENDS, TEMPLATE = "start and end tokens", "chat template"
SERVED = (ENDS, TEMPLATE)


def tokenizer_parts(tokenizer: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401 - of transformers
    """Digests of what else than the text decides about tokens, by the name of the part."""
    ends = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    return (
        *rules_of(tokenizer),
        (ENDS, digest(ends)),
        (TEMPLATE, digest(tokenizer.chat_template)),
    )
