"""Safety gates for compressed language models, as pytest tests."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# written by `python -m tools.write_tables`: public names
if TYPE_CHECKING:
    from pytest_llmsafety.assertions.agreement import assert_agreement
    from pytest_llmsafety.assertions.applicability import applies_to
    from pytest_llmsafety.assertions.bias import assert_bias_gap
    from pytest_llmsafety.assertions.claims import Claim, Quantity
    from pytest_llmsafety.assertions.context import assert_context_drop
    from pytest_llmsafety.assertions.dialect import assert_dialect_gap
    from pytest_llmsafety.assertions.flips import assert_flip_rate
    from pytest_llmsafety.assertions.gate import gate
    from pytest_llmsafety.assertions.judge_loss import assert_judge_loss
    from pytest_llmsafety.assertions.kl import assert_kl
    from pytest_llmsafety.assertions.means import assess_groups, assess_mean, assess_quantity
    from pytest_llmsafety.assertions.perplexity import assert_perplexity_ratio
    from pytest_llmsafety.assertions.question_answering import assert_qa_drop
    from pytest_llmsafety.assertions.refusal import assert_overrefusal_rise, assert_refusal_drop
    from pytest_llmsafety.assertions.summaries import assert_summary_drop
    from pytest_llmsafety.assertions.toxicity import assert_toxicity_delta
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.compressors import CompressionRecord, compress
    from pytest_llmsafety.errors import SafetyFailure, SafetyInconclusive
    from pytest_llmsafety.measurements.harness.imported import import_samples
    from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
    from pytest_llmsafety.measurements.measurement import Measurement
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.stats import Outcome

__all__ = [
    "Claim",
    "CompressionRecord",
    "LazyMeasurement",
    "Measurement",
    "ModelPair",
    "Outcome",
    "Quantity",
    "SafetyFailure",
    "SafetyInconclusive",
    "Verdict",
    "applies_to",
    "assert_agreement",
    "assert_bias_gap",
    "assert_context_drop",
    "assert_dialect_gap",
    "assert_flip_rate",
    "assert_judge_loss",
    "assert_kl",
    "assert_overrefusal_rise",
    "assert_perplexity_ratio",
    "assert_qa_drop",
    "assert_refusal_drop",
    "assert_summary_drop",
    "assert_toxicity_delta",
    "assess_groups",
    "assess_mean",
    "assess_quantity",
    "compress",
    "gate",
    "import_samples",
]

_HOMES = {
    "Claim": "assertions.claims",
    "CompressionRecord": "compressors",
    "LazyMeasurement": "measurements.lazy_measurement",
    "Measurement": "measurements.measurement",
    "ModelPair": "specs",
    "Outcome": "stats",
    "Quantity": "assertions.claims",
    "SafetyFailure": "errors",
    "SafetyInconclusive": "errors",
    "Verdict": "assertions.verdict",
    "applies_to": "assertions.applicability",
    "assert_agreement": "assertions.agreement",
    "assert_bias_gap": "assertions.bias",
    "assert_context_drop": "assertions.context",
    "assert_dialect_gap": "assertions.dialect",
    "assert_flip_rate": "assertions.flips",
    "assert_judge_loss": "assertions.judge_loss",
    "assert_kl": "assertions.kl",
    "assert_overrefusal_rise": "assertions.refusal",
    "assert_perplexity_ratio": "assertions.perplexity",
    "assert_qa_drop": "assertions.question_answering",
    "assert_refusal_drop": "assertions.refusal",
    "assert_summary_drop": "assertions.summaries",
    "assert_toxicity_delta": "assertions.toxicity",
    "assess_groups": "assertions.means",
    "assess_mean": "assertions.means",
    "assess_quantity": "assertions.means",
    "compress": "compressors",
    "gate": "assertions.gate",
    "import_samples": "measurements.harness.imported",
}
# end of public names


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name when it is first used, so that pytest starts without numpy."""
    if name not in _HOMES:
        message = f"module '{__name__}' has no attribute '{name}'"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
