"""The small story model of shared/, its golden values, and how far a result is from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file

from pytest_llmsafety.compressors import compress, compressor_for
from pytest_llmsafety.compressors.layerwise.compensation import Hessian
from pytest_llmsafety.compressors.layerwise.layers import Layer, all_layers, decoder_blocks
from pytest_llmsafety.compressors.parameters import read
from pytest_llmsafety.specs import CompressionSpec

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

NAME = "stories3M"
FIRST = "model.layers.0."
FIRST_STORED = "model.layers.0.self_attn.q_proj"


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


def solved(spec: str, weight: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """The weight [out, in] that a spec makes of one layer, given the Hessian of its inputs."""
    layer = torch.nn.Linear(*weight.T.shape, bias=False)
    statistics = Hessian(Layer("layer", layer))
    statistics._sums, statistics.sequences = matrix / 2, 1
    step = CompressionSpec.parse(spec).steps[0]
    method = compressor_for(step)
    with torch.no_grad():
        return method.solve(weight.clone(), statistics, read(step, method.parameters)).weight


def stored_weight(stored: dict[str, torch.Tensor], layer: str, start: str = "") -> torch.Tensor:
    """The authors' weight of one layer, from weights, or from codes and grids, of a file."""
    if f"{start}weight.{layer}" in stored:
        return stored[f"{start}weight.{layer}"]
    group = stored[f"{start}g_idx.{layer}"].long()
    scale, zero = (stored[f"{start}{part}.{layer}"][:, group] for part in ("scale", "zero"))
    return scale * (stored[f"{start}codes.{layer}"].float() - zero)


def objective(weight: torch.Tensor, dense: torch.Tensor, matrix: torch.Tensor) -> float:
    """tr((W - W0) H (W - W0)^T) in float64."""
    change = (weight - dense).double()
    return float((change @ matrix.double() * change).sum())


@dataclass(frozen=True)
class SolvedLayer:
    """One real layer: ours against the authors', both from the same Hessian."""

    same_weights: float
    same_zeros: float
    objective_ratio: float


def solved_layers(shared: Path, name: str, spec: str) -> list[SolvedLayer]:
    """What `spec` makes of the three layers whose dense inputs' Hessian is stored."""
    model = stories(shared)
    stored = load_file(shared / "golden/compress/stories3M/solver_layers.safetensors")
    found = []
    for layer in [key[2:] for key in stored if key.startswith("H.")]:
        dense, matrix = model.get_submodule(layer).weight.detach(), stored[f"H.{layer}"]
        ours, theirs = solved(spec, dense, matrix), stored_weight(stored, layer, f"{name}.")
        same = torch.isclose(ours, theirs, atol=1e-6, rtol=1e-4).double().mean()
        zeros = ((ours == 0) == (theirs == 0)).double().mean()
        ratio = objective(ours, dense, matrix) / objective(theirs, dense, matrix)
        found.append(SolvedLayer(float(same), float(zeros), ratio))
    return found


def assert_whole_model(shared: Path, name: str, spec: str) -> None:
    """The first block agrees in its weights, the whole model in its likelihood of two texts."""
    folder = shared / "golden" / "compress" / "stories3M"
    ids = tokens(shared)
    expected = json.loads((folder / f"{name}.json").read_text())
    tolerance = json.loads((folder / "tolerances.json").read_text())[name]
    model = stories(shared)
    compress(model, spec, calibration=ids["calib_ids"].tolist())
    ours = model.get_submodule(FIRST_STORED).weight.detach()
    theirs = stored_weight(load_file(folder / f"{name}.safetensors"), FIRST_STORED)
    differs = ~torch.isclose(ours, theirs, atol=1e-6, rtol=1e-4)
    share = tolerance["first_block_max_changed_fraction"]
    assert float(differs.double().mean()) <= share
    for layer, row in expected["per_layer"].items():
        weight = model.get_submodule(layer).weight.detach().double()
        if layer.startswith(FIRST):
            assert abs(int((weight == 0).sum()) - row["zeros"]) <= share * weight.numel()
            assert abs(float(weight.square().sum()) / row["sq_sum"] - 1) <= 1e-3
    for texts in ("eval", "eval2"):
        difference = mean_nll(model, ids[f"{texts}_ids"]) - expected[texts]["mean_nll"]
        assert abs(difference) <= tolerance[f"{texts}_mean_nll_abs"]
