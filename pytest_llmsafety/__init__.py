"""Safety gates for compressed language models, as pytest tests."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.gate import (
        assert_agreement,
        assert_bias_gap,
        assert_context_drop,
        assert_dialect_gap,
        assert_flip_rate,
        assert_judge_loss,
        assert_kl,
        assert_overrefusal_rise,
        assert_perplexity_ratio,
        assert_qa_drop,
        assert_refusal_drop,
        assert_summary_drop,
        assert_toxicity_delta,
    )
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.compressors import CompressionRecord, compress
    from pytest_llmsafety.errors import SafetyFailure, SafetyInconclusive
    from pytest_llmsafety.measurements.harness.imported import import_samples
    from pytest_llmsafety.measurements.lazy_measurement import LiveMeasurement
    from pytest_llmsafety.measurements.measurement import Measurement
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.stats import Outcome

__version__ = "0.1.0"

__all__ = [
    "CompressionRecord",
    "LiveMeasurement",
    "Measurement",
    "ModelPair",
    "Outcome",
    "SafetyFailure",
    "SafetyInconclusive",
    "Verdict",
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
    "compress",
    "import_samples",
]

_HOMES = {
    "CompressionRecord": "compressors",
    "LiveMeasurement": "measurements.lazy_measurement",
    "Measurement": "measurements.measurement",
    "ModelPair": "specs",
    "Outcome": "stats",
    "SafetyFailure": "errors",
    "SafetyInconclusive": "errors",
    "Verdict": "assertions.verdict",
    "assert_agreement": "assertions.gate",
    "assert_bias_gap": "assertions.gate",
    "assert_context_drop": "assertions.gate",
    "assert_dialect_gap": "assertions.gate",
    "assert_flip_rate": "assertions.gate",
    "assert_judge_loss": "assertions.gate",
    "assert_kl": "assertions.gate",
    "assert_overrefusal_rise": "assertions.gate",
    "assert_perplexity_ratio": "assertions.gate",
    "assert_qa_drop": "assertions.gate",
    "assert_refusal_drop": "assertions.gate",
    "assert_summary_drop": "assertions.gate",
    "assert_toxicity_delta": "assertions.gate",
    "compress": "compressors",
    "import_samples": "measurements.harness.imported",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name when it is first used, so that pytest starts without numpy."""
    if name not in _HOMES:
        message = f"module '{__name__}' has no attribute '{name}'"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
