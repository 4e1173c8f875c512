"""Find what a function or a package changed in a model, by comparing weights before and after."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.coverage import (
    UNCHANGED,
    altered,
    parameter_facts,
    zero_share,
)
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from pytest_llmsafety.specs import Step


class Changes:
    """The parameters of a model before a change, to compare with those after it."""

    def __init__(self, model: PreTrainedModel, step: Step) -> None:
        """Keep facts about the weights as they are now."""
        self.model = model
        self.step = step
        self.bytes_before = dense_bytes(model)
        self.before = parameter_facts(model)

    def record(
        self, *, bits: float | None = None, notes: tuple[str, ...] = ()
    ) -> CompressionRecord:
        """Return the record of what changed; `bits` per weight are those in memory unless given."""
        changed, same = altered(self.before, self.model)
        each = bits or 8.0 * next(self.model.parameters()).element_size()
        zeros = [zero_share(self.model, one) for one in changed]
        total = sum(one.count for one in changed) or 1
        return CompressionRecord(
            method=str(self.step),
            parameters=(),
            layers_changed=tuple(one.layer for one in changed),
            layers_skipped=tuple((one.layer, UNCHANGED) for one in same if len(one.shape) > 1),
            bits=each,
            sparsity=sum(z * one.count for z, one in zip(zeros, changed, strict=True)) / total,
            bytes_before=self.bytes_before,
            bytes_after=dense_bytes(self.model),
            notes=notes,
            layers=tuple((one.layer, each, z) for z, one in zip(zeros, changed, strict=True)),
        )


@contextmanager
def changes(model: PreTrainedModel, step: Step) -> Iterator[Changes]:
    """Keep facts about the model's weights while the body of the `with` changes them."""
    import torch

    with torch.no_grad():
        yield Changes(model, step)
