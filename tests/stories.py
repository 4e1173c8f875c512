"""The small story model of shared/, its golden values, and how far a result is from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file

from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

NAME = "stories3M"


@dataclass(frozen=True)
class Golden:
    """One golden of stories3M: what the authors' code made of the model."""

    shared: Path
    name: str

    @property
    def _folder(self) -> Path:
        return self.shared / "golden" / "compress" / NAME

    @property
    def figures(self) -> dict[str, Any]:
        """Settings, figures of each layer, and NLL."""
        return json.loads((self._folder / f"{self.name}.json").read_text())

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Masks, weights, scales."""
        return load_file(self._folder / f"{self.name}.safetensors")

    @property
    def tolerance(self) -> dict[str, Any]:
        """How far neutral changes of the authors' own run went, at least doubled."""
        return json.loads((self._folder / "tolerances.json").read_text())[self.name]

    def changed_shares(self, model: PreTrainedModel) -> dict[str, float]:
        """For each stored mask, the share of weights whose zero is not where theirs is."""
        stored, found = self.tensors, {}
        for key in (key for key in stored if key.startswith("mask.")):
            weight = model.get_submodule(key[5:]).weight
            zero = np.unpackbits(stored[key].numpy())[: weight.numel()].astype(bool)
            found[key[5:]] = float(((weight == 0).numpy().ravel() != zero).mean())
        return found

    def zeros_off(self, model: PreTrainedModel) -> dict[str, int]:
        """For each layer, how many more zeros it has than theirs."""
        rows = self.figures["per_layer"]
        return {
            layer.name: int((layer.weight == 0).sum()) - rows[layer.name]["zeros"]
            for layer in all_layers(decoder_blocks(model))
        }

    def sums_off(self, model: PreTrainedModel) -> dict[str, float]:
        """For each layer, the relative difference of the sum of |weights| from theirs."""
        rows = self.figures["per_layer"]
        return {
            layer.name: float(layer.weight.double().abs().sum()) / rows[layer.name]["abs_sum"] - 1
            for layer in all_layers(decoder_blocks(model))
        }

    def nll_off(self, model: PreTrainedModel) -> tuple[float, float]:
        """NLL a token on both evaluation texts, less theirs."""
        ids, expected = tokens(self.shared), self.figures
        return tuple(
            mean_nll(model, ids[f"{name}_ids"]) - expected[name]["mean_nll"]
            for name in ("eval", "eval2")
        )

    def assert_nll(self, model: PreTrainedModel) -> None:
        """Both NLL lie within the tolerances."""
        first, second = self.nll_off(model)
        assert abs(first) <= self.tolerance["eval_mean_nll_abs"]
        assert abs(second) <= self.tolerance["eval2_mean_nll_abs"]


def stories(shared: Path) -> PreTrainedModel:
    """The model in float32, fresh."""
    from transformers import AutoModelForCausalLM

    folder = shared / "models" / NAME
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def tokens(shared: Path) -> dict[str, torch.Tensor]:
    """Calibration and evaluation token ids."""
    return load_file(shared / "golden" / "tokens" / f"{NAME}.safetensors")


def calibration(shared: Path) -> list[list[int]]:
    """The 32 calibration sequences of 128 tokens, as compress() takes them."""
    return tokens(shared)["calib_ids"].tolist()


def mean_nll(model: PreTrainedModel, ids: torch.Tensor) -> float:
    """Mean negative log-likelihood a token, each row on its own, as the golden values have it."""
    total = 0.0
    with torch.no_grad():
        for row in ids.long():
            logs = model(row[None]).logits[0, :-1].double().log_softmax(-1)
            total -= float(logs.gather(1, row[1:, None]).sum())
    return total / (ids.shape[0] * (ids.shape[1] - 1))
