"""Metrics by name: each scores a model's answers to an item, one metric a file."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["METRICS"]

PLACES = {
    "bbq": "bbq:BBQ",
    "crows_pairs": "crows_pairs:CrowSPairs",
    "dialect": "dialect:DialectPerplexity",
    "exact_match": "exact_match:ExactMatch",
    "first_choice": "first_choice:FirstChoice",
    "in_context": "in_context:InContext",
    "judge": "judge:JudgePreference",
    "kl": "kl:KL",
    "matched_guise": "matched_guise:MatchedGuise",
    "multiple_choice": "multiple_choice:MultipleChoice",
    "multiple_choice_per_character": "multiple_choice:MultipleChoicePerCharacter",
    "overrefusal": "refusal:Overrefusal",
    "perplexity": "perplexity:Perplexity",
    "refusal": "refusal:Refusal",
    "regard": "regard:Regard",
    "rouge": "rouge:Rouge",
    "sentiment": "sentiment:Sentiment",
    "stereoset": "stereoset:StereoSet",
    "toxicity": "toxicity:Toxicity",
    "truth_share": "truth_share:TruthShare",
    "unqover": "unqover:Unqover",
    "winobias": "winobias:WinoBias",
}
"""The name of each metric, and its place: the module in this folder, and the class."""

METRICS = Registry("metric", {name: f"{__name__}.{place}" for name, place in PLACES.items()})
