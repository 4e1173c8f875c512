"""Compressor, which every method extends, and the context that it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.compressors.parameters import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.parameters import Parameters
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.compressors.record.coverage import ParameterFacts
    from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
    from pytest_llmsafety.specs import Step
    from pytest_llmsafety.types import CalibrationTexts


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Context:
    """What a compressor may need besides the model.

    Attributes:
        tokenizer: the model's own; None when compress() got none.
        calibration: texts, or token ids (one list of int a sequence); None: the packaged text.
        seed: draws the sequences from the calibration texts.
        device: where blocks are computed one by one; None: where the model is.
        progress: called with what is done, how much of it is done, and of how much.
        before: the step before and its compressor, for a method with `repairs_step_before`.
        dense: facts about the dense model, when the model given is a finished checkpoint already.
        parameters: facts about each parameter of the dense model (record/coverage.py).

    """

    tokenizer: PreTrainedTokenizerBase | None = None
    calibration: CalibrationTexts | Sequence[str] | Sequence[Sequence[int]] | None = None
    seed: int = 0
    device: str | torch.device | None = None
    progress: Callable[[str, int, int], None] = _silent
    before: tuple[Step, Compressor] | None = None
    dense: DenseFacts | None = None
    parameters: Sequence[ParameterFacts] = ()


class Compressor:
    """A method that changes a loaded model in place.

    A method that gives each layer a new weight extends `LayerCompressor` instead. A whole
    compressor, registered under `pytest_llmsafety.compressors` as `halve`:

        >>> from pytest_llmsafety.compressors.layerwise.layers import linear_layers
        >>> from pytest_llmsafety.compressors.parameters import Parameters
        >>> from pytest_llmsafety.compressors.record.changes import changes
        >>> class Halve(Compressor):
        ...     parameters = Parameters(example="halve")
        ...     def compress(self, model, step, context):
        ...         with changes(model, step) as changed:
        ...             for name, layer in linear_layers(model):
        ...                 layer.weight.data *= 0.5
        ...         return changed.record()

    Attributes:
        parameters: what a step of this method takes.
        weights_only: whether the method changes nothing but the values of weights (no hooks,
            shapes or modules), so that its result can be stored as a file of weights.
        rounds_inputs: whether it hooks the inputs of layers, which one step at most may do.
        compresses: False for a change of known harm, whose share of the parameters is not judged.
        repairs_step_before: whether the method runs the step before it itself (see `follow`).

    """

    parameters: ClassVar[Parameters]
    weights_only: ClassVar[bool] = False
    rounds_inputs: ClassVar[bool] = False
    compresses: ClassVar[bool] = True
    repairs_step_before: ClassVar[bool] = False

    def check(self, step: Step) -> None:
        """Raise ConfigurationError when the step is not what `parameters` declares.

        Called before anything is loaded: an override must not import torch.
        """
        read(step, self.parameters)

    def looks_at_texts(self, step: Step) -> bool:  # noqa: ARG002 - some overrides read it
        """Return whether this step looks at calibration texts."""
        return self.parameters.calibrated

    def follow(self, step: Step, before: Step | None, compressor: Compressor | None) -> None:
        """Raise ConfigurationError when the step before is not one that this method can repair.

        Called for methods with `repairs_step_before`. `compressor` is that of `before`; both are
        None when the step is the first one.
        """

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Change `model` in place and return the record of what was done."""
        raise NotImplementedError
