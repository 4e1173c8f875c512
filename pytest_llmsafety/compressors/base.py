"""What a compressor is, and what all of them need to know about a model's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.coverage import Remembered
    from pytest_llmsafety.compressors.dense import DenseFacts
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step
    from pytest_llmsafety.types import CalibrationTexts

    Before: TypeAlias = "tuple[Step, Compressor]"


def _silent(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Context:
    """What a compressor may need beside the model.

    `calibration` holds texts, or token ids as they are (one list of int a sequence); None is
    the packaged text. `seed` draws the sequences from it. `device` is where blocks are computed
    one by one (None: where the model is). `progress` is called with what is done, how much of
    it is, and of how much. `before` is the step before with its method, for a method that takes
    it into its own run (it has `follow`). `dense` is what is remembered of the dense model where
    the model given is a finished checkpoint in its place, `parameters` what coverage.py remembers
    of every parameter of the dense model.
    """

    tokenizer: PreTrainedTokenizerBase | None = None
    calibration: CalibrationTexts | Sequence[str] | Sequence[Sequence[int]] | None = None
    seed: int = 0
    device: str | torch.device | None = None
    progress: Callable[[str, int, int], None] = _silent
    before: Before | None = None
    dense: DenseFacts | None = None
    parameters: Sequence[Remembered] = ()


class Compressor(Protocol):
    """A method that changes a loaded model in place.

    Methods that work layer by layer extend `method.LayerCompressor` instead. A whole
    compressor, registered under `pytest_llmsafety.compressors` as `halve`:

        class Halve(Declared):
            parameters = Parameters(example="halve")

            def compress(self, model, step, context):
                with changes(model, step) as changed:
                    for name, layer in linear_layers(model):
                        layer.weight.data *= 0.5
                return changed.record()
    """

    def check(self, step: Step) -> None:
        """Raise ConfigurationError when the step's parameter makes no sense; import no torch."""

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Change `model` in place and say what was done."""


def linear_layers(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Name and module of every Linear and Conv1D, the output embedding (lm_head) left out.

    The papers leave the output embedding dense; where it is tied to the input embedding a
    change of it would untie them.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not output:
            yield name, module


def weight_of(layer: torch.nn.Module) -> torch.Tensor:
    """The weight of a layer that is known to have one."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    return weight


def dense_bytes(model: PreTrainedModel) -> int:
    """Bytes of all parameters as they are in memory, tied ones counted once."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def sparsity(model: PreTrainedModel, names: Sequence[str]) -> float:
    """Share of exact zeros (0-1) in the weights of the named layers; 0 when there is none."""
    weights = [weight_of(model.get_submodule(name)) for name in names]
    total = sum(weight.numel() for weight in weights)
    zeros = sum(weight.numel() - int(weight.count_nonzero()) for weight in weights)
    return zeros / total if total else 0.0
