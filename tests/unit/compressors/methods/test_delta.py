"""Delta compression on tiny models: budgets, wrong bases, and what stays fine-tuned."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.compensation import Hessian
from pytest_llmsafety.compressors.layerwise.layers import Layer
from pytest_llmsafety.compressors.methods.delta import compressed, read_budget, shared_out
from pytest_llmsafety.errors import (
    ConfigurationError,
    ModelError,
    NothingCompressed,
    UnsupportedModelError,
)
from pytest_llmsafety.models.identity import step_digest
from pytest_llmsafety.specs import CompressionSpec, Step
from tests.stand_ins.random_models import letter_tokenizer, random_model

IDS = [[1, *range(5 + row, 30 + row)] for row in range(8)]


def fine_tuned(family, *, strength=0.1):
    """The family's model after a change of every weight matrix, of rank 2 for the most part."""
    model = random_model(family)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "norm" not in name:
                rows, columns = weight.shape
                low = torch.randn(rows, 2) @ torch.randn(2, columns)
                weight.add_(strength * (low + 0.1 * torch.randn(rows, columns)))
    return model


@pytest.fixture
def base(tmp_path):
    """Saves the model of a family and returns its folder."""

    def save(family):
        random_model(family).save_pretrained(tmp_path / family)
        return tmp_path / family

    return save


def distances(spec, family, folder):
    """Mean square distance of the block weights from the fine-tuned ones, in their deltas'."""
    model, whole = fine_tuned(family), fine_tuned(family)
    record = compress(model, spec.format(folder), calibration=IDS)
    dense = random_model(family)
    found = []
    for name in record.layers_changed:
        now, was, base = (m.get_submodule(name).weight.detach() for m in (model, whole, dense))
        found.append(float((now - was).square().sum() / (was - base).square().sum()))
    return sum(found) / len(found), record


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "qwen2"])
def test_more_bits_come_nearer(family, base):
    """The error falls with the budget, and is nearly 0 with 8 bits."""
    folder = base(family)
    found = [distances(f"delta:{{}}:{bits}", family, folder) for bits in ("1", "2", "8")]
    errors = [error for error, _ in found]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3
    assert [record.bits for _, record in found] == sorted(record.bits for _, record in found)


def test_components_beat_signs_where_the_delta_has_low_rank(base):
    """What fine-tuning adds along few directions is kept better than by the sign of each weight."""
    folder = base("llama")
    mixed, _ = distances("delta:{}:1:nearest", "llama", folder)
    signs, record = distances("delta:{}:sign", "llama", folder)
    assert mixed < 0.1 * signs
    assert 1 < record.bits < 1.05


def test_calibration_lowers_the_error_of_the_output():
    """With GPTQ the layer's outputs change less than with rounding to nearest."""
    torch.manual_seed(0)
    layer = Layer("layer", torch.nn.Linear(48, 40, bias=False))
    inputs = torch.randn(400, 48) @ torch.randn(48, 48)
    hessian = Hessian(layer)
    hessian.add(inputs, 4)
    delta = torch.randn(40, 48)
    errors = {}
    for found in (hessian, None):
        solved = compressed(delta, found, read_budget(Step("delta", "b:4")))
        errors[found] = float((inputs @ (solved.weight - delta).T).square().sum())
    assert errors[hessian] < 0.9 * errors[None]


def test_all_else_stays_fine_tuned(base):
    """Embeddings, norms and the output layer keep their fine-tuned values."""
    model, whole = fine_tuned("gpt2"), fine_tuned("gpt2")
    changed = compress(model, f"delta:{base('gpt2')}:1:nearest").layers_changed
    assert len(changed) == 8
    for name, weight in whole.named_parameters():
        same = torch.equal(model.get_parameter(name), weight)
        assert same == (name.removesuffix(".weight") not in changed)


def test_signs_are_those_of_the_delta():
    """`sign` is the mean size of the delta with the sign of each weight (BitDelta, equation 1)."""
    delta = torch.tensor([[1.0, -3.0], [0.5, -0.5]])
    solved = compressed(delta, None, read_budget(Step("delta", "b:sign")))
    assert torch.equal(solved.weight, 1.25 * delta.sign())
    assert solved.bits == 1 + 16 / 4


def test_nearest_components_are_rounded_singular_vectors():
    """Without calibration the sum of rounded components is what a plain loop gives."""
    torch.manual_seed(0)
    delta = torch.randn(40, 24, dtype=torch.float64)
    solved = compressed(delta, None, read_budget(Step("delta", "b:2:nearest")))
    left, sizes, right = torch.linalg.svd(delta, full_matrices=False)
    expected = torch.zeros_like(delta)
    for number, bits in enumerate([8, 8] + [3] * 4 + [2]):  # 2 * 40 * 24 / 64 = 30 bits
        group = {8: slice(0, 2), 3: slice(2, 6), 2: slice(6, 7)}[bits]
        expected += sizes[number] * torch.outer(
            rounded(left[:, group], bits)[:, number - group.start],
            rounded(right[number : number + 1], bits)[0],
        )
    assert torch.allclose(solved.weight, expected, atol=1e-9)


def rounded(rows, bits):
    """Each row on a min/max grid with 0 on it, in plain arithmetic."""
    low, high = rows.amin(1, keepdim=True).clamp(max=0), rows.amax(1, keepdim=True).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    zero = (-low / scale).round()
    return scale * (((rows / scale).round() + zero).clamp(0, 2**bits - 1) - zero)


@pytest.mark.parametrize(
    ("columns", "full", "expected"),
    [
        (2048, 4096, ((8, 2), (3, 32), (2, 968))),  # the paper's attention layers of 7B, 1 bit
        (96, 192, ((8, 2), (3, 26), (2, 1))),
        (3, 100, ((8, 1),)),
        (12, 4, ((8, 1), (3, 1))),
        (28, 4, ((8, 3), (3, 1))),
        (22, 4, ((8, 2), (3, 2))),
        (10**6, 7, ((8, 7),)),
    ],
)
def test_budget_is_shared_out(columns, full, expected):
    """8 bits for the first, 3 for the next, 2 for the rest; what is left makes them finer."""
    assert shared_out(columns, full) == expected


def test_no_bits_are_spent_beyond_the_rank():
    """A delta of rank 3, as of a merged adapter, gets 8 bits for all of it where 1 bit pays."""
    torch.manual_seed(0)
    delta = torch.randn(64, 3) @ torch.randn(3, 64)
    solved = compressed(delta, None, read_budget(Step("delta", "b:1:nearest")))
    assert solved.bits < 1.5
    assert (solved.weight - delta).norm() < 0.01 * delta.norm()


def test_layers_that_fine_tuning_left_alone_need_nothing(base):
    """A layer equal to BASE is skipped with that reason."""
    model = random_model("llama")
    model.model.layers[1].mlp.up_proj.weight.data += 0.01
    record = compress(model, f"delta:{base('llama')}:sign")
    assert record.layers_changed == ("model.layers.1.mlp.up_proj",)
    assert ("model.layers.0.mlp.up_proj", "equal to BASE") in record.layers_skipped


def test_a_model_that_is_its_own_base_has_no_delta(base):
    """Nothing to compress is an error."""
    with pytest.raises(NothingCompressed, match="equal to BASE"):
        compress(random_model("llama"), f"delta:{base('llama')}:1:nearest")


def test_tokens_have_to_be_those_of_base(base):
    """A token with another number is named before any change; additional tokens are accepted."""
    folder = base("llama")
    tokenizer = letter_tokenizer()
    tokenizer.save_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    record = compress(fine_tuned("llama"), f"delta:{folder}:sign", tokenizer=tokenizer)
    assert not any("tokenizers" in note for note in record.notes)
    tokenizer.save_pretrained(folder)
    model = fine_tuned("llama")
    with pytest.raises(UnsupportedModelError, match=r"1 of its tokens .*<new>"):
        compress(model, f"delta:{folder}:sign", tokenizer=letter_tokenizer())
    assert torch.equal(model.lm_head.weight, fine_tuned("llama").lm_head.weight)
    assert model(torch.tensor(IDS)).logits.isfinite().all()


def test_tokenizers_that_could_not_be_compared_are_noted(base):
    """The record says when a tokenizer is missing."""
    folder = base("llama")
    notes = compress(fine_tuned("llama"), f"delta:{folder}:sign").notes
    assert "none was given for the fine-tuned model" in " ".join(notes)
    record = compress(fine_tuned("llama"), f"delta:{folder}:sign", tokenizer=letter_tokenizer())
    assert "BASE has none" in " ".join(record.notes)


def test_another_model_is_no_base(base):
    """Another class or another shape is named, with both sizes."""
    with pytest.raises(UnsupportedModelError, match="MistralForCausalLM, the model a Llama"):
        compress(fine_tuned("llama"), f"delta:{base('mistral')}:1")
    model = random_model("llama")
    compress(model, "llm-pruner:0.5:l1")
    with pytest.raises(UnsupportedModelError, match=r"q_proj is 32 x 32 there and 16 x 32 here"):
        compress(model, f"delta:{base('llama')}:1")


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("", "parameter is missing"),
        ("org/base", "a budget in bits"),
        ("org/base:1:2", "a budget in bits"),
        ("org/base:sign:1", "a budget in bits"),
        ("org/base:0", "outside"),
        ("org/base:16", "outside"),
        ("org/base:1.2.3", "outside"),
        ("org/base:1:nsamples=x", "whole number"),
        ("./nowhere:1", "no config.json"),
    ],
)
def test_wrong_steps_are_refused(parameter, text):
    """Each wrong part is named before anything is loaded."""
    with pytest.raises(ConfigurationError, match=text):
        check(CompressionSpec((Step("delta", parameter),)))


@pytest.mark.parametrize(
    ("parameter", "name", "parts"),
    [
        ("org/base@v1:1", "org/base@v1", ("1",)),
        ("/a:b/c:0.5:nearest", "/a:b/c", ("0.5", "nearest")),
        ("C:\\m:2:nsamples=8:seqlen=16", "C:\\m", ("2", "nsamples=8", "seqlen=16")),
        ("/models/1:1", "/models/1", ("1",)),
    ],
)
def test_base_may_hold_colons(parameter, name, parts):
    """What follows BASE is read from the end."""
    step = Step("delta", parameter)
    assert (step.before_parts, step.parts) == (name, parts)
    assert str(step.model) == name


def test_a_base_that_cannot_be_loaded_says_why(tmp_path):
    """A folder without weights is a ModelError that names it."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="has no weights"):
        compress(fine_tuned("llama"), f"delta:{tmp_path}:1")


def test_the_contents_of_base_are_part_of_the_key(base):
    """Another weight in BASE's file is another digest, so no stored answer is used for it."""
    folder = base("llama")
    step = CompressionSpec.parse(f"delta:{folder}:1").steps[0]
    before = step_digest(step, None)
    weights = load_file(folder / "model.safetensors")
    assert len(before) == 64
    assert weights
    config = folder / "config.json"
    config.write_text(config.read_text() + " ")
    assert step_digest(step, None) != before
