"""Facts about a dense model, to check a finished checkpoint where the model itself is absent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.record.architecture import Architecture
from pytest_llmsafety.compressors.record.coverage import ParameterFacts, Row, parameter_facts
from pytest_llmsafety.compressors.record.file_sizes import stored_bytes
from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.models.digests import digest_json
from pytest_llmsafety.models.tokenizer import rules_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class DenseFacts:
    """The architecture of a model, its size in memory, its tokenizer and its parameters.

    `tokenizer` holds the digests of its parts by name, `parameters` the rows of record/coverage.py.
    """

    architecture: Architecture
    n_bytes: int
    tokenizer: tuple[tuple[str, str], ...]
    parameters: tuple[Row, ...] = ()

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> DenseFacts:
        """Read the facts from a loaded dense model."""
        return cls(
            Architecture.of(model),
            stored_bytes(model),
            tokenizer_parts(tokenizer),
            tuple(one.row for one in parameter_facts(model)),
        )

    @property
    def parameter_facts(self) -> tuple[ParameterFacts, ...]:
        """Return the parameters, for a comparison."""
        return tuple(map(ParameterFacts.of, self.parameters))

    def check(self, tokenizer: PreTrainedTokenizerBase, what: str, *, served: bool = False) -> None:
        """Raise BaselineError unless the tokenizer of `what` is the same.

        With `served` the deployment of the dense model is known and compared elsewhere, so that the
        checkpoint may have another chat template and other special tokens.
        """
        known = set(self.tokenizer)
        parts = tokenizer_parts(tokenizer)
        different = [
            part[0] for part in parts if part not in known and not (served and part[0] in SERVED)
        ]
        if different:
            message = (
                f"the tokenizer of '{what}' is not the dense model's, which the baseline has the "
                f"digests of: its {' and its '.join(different)} differ. A checkpoint must keep the "
                "dense model's tokenizer: save that with its weights."
            )
            raise BaselineError(message)


ENDS, TEMPLATE = "start and end tokens", "chat template"
SERVED = (ENDS, TEMPLATE)


def tokenizer_parts(tokenizer: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401 - of transformers
    """Return by name the digests of all parts of a tokenizer that decide about tokens."""
    ends = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    return (
        *rules_of(tokenizer),
        (ENDS, digest_json(ends)),
        (TEMPLATE, digest_json(tokenizer.chat_template)),
    )
