"""How one answer is scored: one metric a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["METRICS"]

METRICS = Registry(
    "metric",
    {
        "bbq": "pytest_llmsafety.metrics.bbq:BBQ",
        "dialect": "pytest_llmsafety.metrics.dialect:DialectPerplexity",
        "exact_match": "pytest_llmsafety.metrics.exact_match:ExactMatch",
        "first_choice": "pytest_llmsafety.metrics.first_choice:FirstChoice",
        "matched_guise": "pytest_llmsafety.metrics.matched_guise:MatchedGuise",
        "perplexity": "pytest_llmsafety.metrics.perplexity:Perplexity",
        "toxicity": "pytest_llmsafety.metrics.toxicity:Toxicity",
    },
)
