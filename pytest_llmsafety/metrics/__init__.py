"""How one answer is scored: one metric a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["METRICS"]

METRICS = Registry(
    "metric",
    {
        "bbq": "pytest_llmsafety.metrics.bbq:BBQ",
        "exact_match": "pytest_llmsafety.metrics.exact_match:ExactMatch",
        "in_context": "pytest_llmsafety.metrics.in_context:InContext",
        "multiple_choice": "pytest_llmsafety.metrics.multiple_choice:MultipleChoice",
        "multiple_choice_per_character": (
            "pytest_llmsafety.metrics.multiple_choice:MultipleChoicePerCharacter"
        ),
        "perplexity": "pytest_llmsafety.metrics.perplexity:Perplexity",
        "toxicity": "pytest_llmsafety.metrics.toxicity:Toxicity",
        "truth_share": "pytest_llmsafety.metrics.truth_share:TruthShare",
    },
)
