"""`llmcompressor:RECIPE.yaml`: let llmcompressor carry out a recipe, in this process.

It pins transformers 5.15 to 5.17, so it needs an environment of its own. The calibration sequences
are drawn here, as for every method, and not shuffled there, so that the record names them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import LayerChange, record_of_layers
from pytest_llmsafety.compressors.layerwise.layers import Layer, linear_layers, weight_of
from pytest_llmsafety.compressors.parameters import Parameters, Values
from pytest_llmsafety.compressors.record.coverage import fingerprint, plain_values
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.libraries import version
from pytest_llmsafety.models.quantization_formats import lacking
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

SCALE_BITS = 16
ENVIRONMENT = (
    "It needs transformers 5.15 to 5.17, so give it an environment of its own and run pytest "
    "there: python -m venv llmc; llmc/bin/pip install 'pytest-llmsafety[llmcompressor]'. Or "
    "compress with it elsewhere, save the model, and judge the folder here: checkpoint:FOLDER."
)


class LlmCompressor(Compressor):
    """Hands the model, the recipe file and the calibration sequences to `oneshot`."""

    parameters = Parameters(
        example="llmcompressor:recipe.yaml", rest="RECIPE.yaml", calibrated=True
    )

    def check(self, step: Step) -> None:
        """Refuse a recipe without a file, and an environment without the package."""
        super().check(step)
        if not user_path(step.parameter).is_file():
            message = (
                f"'{step}': the file {step.parameter} does not exist. Expected a recipe of "
                "llmcompressor in YAML."
            )
            raise ConfigurationError(message)
        if lacking("llmcompressor"):
            message = f"'{step}': llmcompressor is not installed here. {ENVIRONMENT}"
            raise ConfigurationError(message)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Carry out the recipe, and return the record of what it did to each layer.

        What llmcompressor raises becomes a CompressionError. A recipe whose names it does not know
        does nothing there, which is NothingCompressed here.
        """
        import torch
        from datasets import Dataset
        from llmcompressor import oneshot

        drawn = calibration.draw(model, context, Values(rest=step.parameter))
        before = dense_bytes(model)
        dense = {name: _digest(weight_of(layer)) for name, layer in linear_layers(model)}
        rows = drawn.ids.tolist()
        data = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
        with torch.random.fork_rng():
            torch.manual_seed(context.seed)
            oneshot(
                model=model,
                recipe=str(user_path(step.parameter)),
                dataset=Dataset.from_dict(data),
                processor=context.tokenizer,
                num_calibration_samples=len(rows),
                max_seq_length=drawn.ids.shape[1],
                shuffle_calibration_samples=False,
            )
        model.train(mode=False)
        done = [
            _done(Layer(name, module), dense[name])
            for name, module in linear_layers(model)
            if name in dense
        ]
        values = Values(keys=(("recipe", step.parameter),))
        record = record_of_layers(step, values, done, before=before, skipped=())
        by = f"carried out by llmcompressor {version('llmcompressor')}"
        return replace(record, calibration=drawn.rows(), notes=(*record.notes, by))


def _done(layer: Layer, dense: str) -> LayerChange:
    weight = layer.weight
    module: Any = layer.module
    scheme = getattr(getattr(module, "quantization_scheme", None), "weights", None)
    bits, notes = 8.0 * weight.element_size(), []
    if scheme is not None:
        scales = getattr(module, "weight_scale", None)
        groups = 0 if scales is None else scales.numel()
        each = SCALE_BITS + (0 if scheme.symmetric else scheme.num_bits)
        bits = scheme.num_bits + each * groups / weight.numel()
        inputs = module.quantization_scheme.input_activations
        notes += [f"the inputs of layers have {inputs.num_bits} bits, too"] if inputs else []
    changed = scheme is not None or _digest(module.weight) != dense
    return LayerChange.of(layer, changed=changed, bits=bits, notes=tuple(notes))


def _digest(weight: torch.Tensor) -> str:
    values = plain_values(weight, codes=True)
    return "" if values is None else fingerprint(values)
