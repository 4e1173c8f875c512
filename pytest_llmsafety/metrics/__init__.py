"""Metrics by name: each scores a model's answers to an item, one metric a file."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["METRICS"]

METRICS = Registry(
    "metric",
    {
        "bbq": "pytest_llmsafety.metrics.bbq:BBQ",
        "crows_pairs": "pytest_llmsafety.metrics.crows_pairs:CrowSPairs",
        "dialect": "pytest_llmsafety.metrics.dialect:DialectPerplexity",
        "exact_match": "pytest_llmsafety.metrics.exact_match:ExactMatch",
        "first_choice": "pytest_llmsafety.metrics.first_choice:FirstChoice",
        "in_context": "pytest_llmsafety.metrics.in_context:InContext",
        "kl": "pytest_llmsafety.metrics.kl:KL",
        "judge": "pytest_llmsafety.metrics.judge:JudgePreference",
        "matched_guise": "pytest_llmsafety.metrics.matched_guise:MatchedGuise",
        "multiple_choice": "pytest_llmsafety.metrics.multiple_choice:MultipleChoice",
        "multiple_choice_per_character": (
            "pytest_llmsafety.metrics.multiple_choice:MultipleChoicePerCharacter"
        ),
        "overrefusal": "pytest_llmsafety.metrics.refusal:Overrefusal",
        "perplexity": "pytest_llmsafety.metrics.perplexity:Perplexity",
        "rouge": "pytest_llmsafety.metrics.rouge:Rouge",
        "regard": "pytest_llmsafety.metrics.regard:Regard",
        "sentiment": "pytest_llmsafety.metrics.sentiment:Sentiment",
        "refusal": "pytest_llmsafety.metrics.refusal:Refusal",
        "stereoset": "pytest_llmsafety.metrics.stereoset:StereoSet",
        "toxicity": "pytest_llmsafety.metrics.toxicity:Toxicity",
        "truth_share": "pytest_llmsafety.metrics.truth_share:TruthShare",
        "unqover": "pytest_llmsafety.metrics.unqover:Unqover",
        "winobias": "pytest_llmsafety.metrics.winobias:WinoBias",
    },
)
