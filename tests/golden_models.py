"""stories3M and its golden values: what tests of methods that solve layers share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from pytest_llmsafety.compressors import compress, compressor_for
from pytest_llmsafety.compressors.layerwise.compensation import Hessian
from pytest_llmsafety.compressors.layerwise.layers import Layer
from pytest_llmsafety.compressors.parameters import read
from pytest_llmsafety.specs import CompressionSpec
from tests.stories import mean_nll, stories, tokens

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "model.layers.0."
FIRST_STORED = "model.layers.0.self_attn.q_proj"


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
