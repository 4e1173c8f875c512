"""Recipes of llmcompressor: explained where it is absent, recorded where it is installed."""

from __future__ import annotations

from importlib import metadata

import pytest
import torch
from transformers import AutoModelForCausalLM

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.errors import ConfigurationError, NothingCompressed
from pytest_llmsafety.models import quantization_formats
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.foreign_checkpoints import tiny_llama
from tests.stand_ins.random_models import letter_tokenizer

IDS = [[1, *range(5 + row, 20 + row)] for row in range(4)]
GPTQ = """
quant_stage:
  quant_modifiers:
    GPTQModifier:
      ignore: [lm_head]
      config_groups:
        all:
          targets: [Linear]
          weights: {num_bits: 4, type: int, symmetric: true, strategy: group, group_size: 32}
"""
W8A8 = """
quant_stage:
  quant_modifiers:
    QuantizationModifier: {targets: [Linear], ignore: [lm_head], scheme: W8A8}
"""
WANDA = """
sparsity_stage:
  sparsity_modifiers:
    WandaPruningModifier: {sparsity: 0.5, mask_structure: "0:0", targets: ["re:.*layers.*"]}
"""
UNKNOWN_NAMES = """
some:
  names:
    GPTQModifier: {targets: [Linear], scheme: W8A8}
"""


@pytest.fixture
def carried_out(tmp_path):
    """Carries out a recipe; the test is skipped where llmcompressor is not installed."""
    try:
        metadata.version("llmcompressor")
    except metadata.PackageNotFoundError:
        pytest.skip("llmcompressor is not installed; it has an environment of its own")

    def run(recipe):
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe)
        tiny_llama().save_pretrained(tmp_path)
        model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
        tokenizer = letter_tokenizer()
        record = compress(model, f"llmcompressor:{path}", calibration=IDS, tokenizer=tokenizer)
        ids = torch.tensor(IDS)
        with torch.no_grad():
            return record, float((model(ids).logits - tiny_llama()(ids).logits).abs().max())

    return run


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("recipe", "bits", "sparsity", "furthest"),
    [(GPTQ, 4.5, 0.125, 0.15), (W8A8, 8.17, 0, 0.02), (WANDA, 32, 0.5, 0.3)],
)
def test_recipe_is_carried_out_and_recorded(carried_out, recipe, bits, sparsity, furthest):
    """Every layer changes, the recipe decides bits and zeros, the answers stay near."""
    record, difference = carried_out(recipe)
    assert 0 < difference < furthest
    assert len(record.layers_changed) == 14
    assert record.bits == pytest.approx(bits, abs=0.2)
    assert record.sparsity == pytest.approx(sparsity, abs=0.02)  # what rounds to 0 counts, too
    assert dict(record.calibration)["nsamples"] == "4"
    assert "carried out by llmcompressor" in record.notes[-1]


@pytest.mark.filterwarnings("ignore")
def test_a_recipe_that_does_nothing_is_an_error(carried_out):
    """Llmcompressor skips stages whose names it does not know; here that is an error."""
    with pytest.raises(NothingCompressed, match="changed no layer"):
        carried_out(UNKNOWN_NAMES)


def test_absent_package_explains_its_environment(tmp_path, monkeypatch):
    """The error names the versions, the extra, and the way through a saved checkpoint."""
    monkeypatch.setattr(quantization_formats, "version", lambda _: "")
    path = tmp_path / "recipe.yaml"
    path.write_text(GPTQ)
    with pytest.raises(ConfigurationError, match=r"\[llmcompressor\].*checkpoint:FOLDER"):
        check(CompressionSpec.parse(f"llmcompressor:{path}"))


def test_recipe_has_to_be_a_file():
    """A path without a file is refused before anything is loaded."""
    with pytest.raises(ConfigurationError, match=r"the file nowhere.* does not exist"):
        check(CompressionSpec.parse("llmcompressor:nowhere.yaml"))
