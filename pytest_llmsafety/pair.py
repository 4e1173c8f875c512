"""ModelPair: a dense and a compressed model, as values without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.specs import CompressionSpec, ModelSpec


@dataclass(frozen=True)
class Arm:
    """One side of a pair: a model, and what is done to it before it answers.

    `again` is the dense model asked a second time, in other batches, with answers of its own.
    """

    model: ModelSpec
    compression: CompressionSpec | None = None
    again: bool = False

    @property
    def name(self) -> str:
        """`dense`, or the compression as the user wrote it."""
        if self.compression is None:
            return "dense again" if self.again else "dense"
        return str(self.compression)

    @property
    def checkpoint(self) -> ModelSpec | None:
        """The finished model that this arm begins with, whose files say how it is served."""
        step = self.compression.steps[0] if self.compression else None
        return step.model if step is not None and step.method == "checkpoint" else None

    @property
    def gguf(self) -> Path | None:
        """The GGUF file that this arm begins with."""
        step = self.compression.steps[0] if self.compression else None
        named = step is not None and step.method == "gguf"
        return user_path(step.parameter) if step is not None and named else None


@dataclass(frozen=True)
class ModelPair:
    """The two models that are compared; `dense` and `compressed` are arms of one model."""

    model: ModelSpec
    compression: CompressionSpec

    @property
    def dense(self) -> Arm:
        """The reference model."""
        return Arm(self.model)

    @property
    def compressed(self) -> Arm:
        """The model under test; for the compression `dense`, the dense one again."""
        return self.again if self.compression.is_dense else Arm(self.model, self.compression)

    @property
    def again(self) -> Arm:
        """The reference model in other batches: what an A/A run compares it with."""
        return Arm(self.model, again=True)
