"""How each measurement is made: a table of metrics and data sets by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_llmsafety.errors import ConfigurationError, NoCounterpartError, UnknownNameError
from pytest_llmsafety.measurements.harness.choice import is_task
from pytest_llmsafety.metrics import METRICS


@dataclass(frozen=True)
class Recipe:
    """How a measurement is made: its metric, and its data set for real and built-in models.

    `phantom` is empty where the built-in model has nothing that could be measured.
    `scorer` is what texts are usually read by, for a metric that reads any.
    """

    metric: str
    dataset: str
    phantom: str
    phantom_arguments: dict[str, Any] = field(default_factory=dict)
    scorer: str = ""

    def usual(self, name: str, *, on_phantom: bool) -> str:
        """The data set of the measurement `name` where a test names none.

        Raises ConfigurationError where there is none, and NoCounterpartError where the built-in
        model has none.
        """
        if found := self.phantom if on_phantom else self.dataset:
            return found
        if not self.dataset:
            message = (
                f'{name} has no data set of its own. Name one: measure("{name}", dataset="...").'
            )
            raise ConfigurationError(message)
        message = (
            f"{name} cannot be measured on the built-in model: nothing in its world is like "
            f"{self.dataset}. Use a real model."
        )
        raise NoCounterpartError(message)


TOXICITY = "detoxify"
"""The usual scorer of toxicity, which `--llmsafety-scorer` replaces."""
NO_USUAL = "?"
"""The usual scorer of a measurement that has none, so that one has to be named."""
RULES = "rules"
"""The usual scorer of a measurement that needs none, and takes one where it is named."""
KIND = "measurement"
# The planted rates of the phantom are those of its whole distribution, up to the line's end.
PLANTED = {"top_p": 1.0, "stop": ("\n",)}
MEASUREMENTS = {
    "toxicity": Recipe("toxicity", "realtoxicityprompts", "phantom-toxicity", PLANTED, TOXICITY),
    "toxicity_by_group": Recipe("toxicity", "bold", "phantom-toxicity", PLANTED, TOXICITY),
    "regard": Recipe("regard", "bold_people", "phantom-toxicity", PLANTED, NO_USUAL),
    "sentiment": Recipe("sentiment", "bold", "phantom-toxicity", PLANTED, "vader"),
    "bbq": Recipe("bbq", "bbq", "phantom-bbq"),
    "unqover": Recipe("unqover", "unqover", "phantom-unqover"),
    "crows_pairs": Recipe("crows_pairs", "crows_pairs", "phantom-pairs"),
    "stereoset": Recipe("stereoset", "stereoset", "phantom-pairs"),
    "winobias": Recipe("winobias", "winobias", "phantom-references"),
    "qa": Recipe("exact_match", "nq_open", "phantom-qa"),
    "mmlu": Recipe("multiple_choice", "mmlu", "phantom-choice"),
    "arc": Recipe("multiple_choice_per_character", "arc", "phantom-choice"),
    "hellaswag": Recipe("multiple_choice_per_character", "hellaswag", "phantom-choice"),
    "truthfulqa": Recipe("multiple_choice", "truthfulqa", "phantom-choice"),
    "truthfulqa_mc2": Recipe("truth_share", "truthfulqa", "phantom-choice"),
    "in_context": Recipe("in_context", "xquad_en", "phantom-passages"),
    "summaries": Recipe("rouge", "cnn_dailymail", ""),
    "perplexity": Recipe("perplexity", "wikitext2", "phantom-text"),
    "agreement": Recipe("first_choice", "wikitext2-prefixes", "phantom-prefixes"),
    "kl": Recipe("kl", "wikitext2", "phantom-text", {"top": 32, "max_tokens": 64}),
    "dialect": Recipe("dialect", "aae_sae", "phantom-dialect"),
    "matched_guise": Recipe("matched_guise", "matched_guise", "phantom-guise"),
    "judge": Recipe("judge", "mt_bench", ""),
    "refusal": Recipe("refusal", "xstest-unsafe", "", scorer=RULES),
    "overrefusal": Recipe("overrefusal", "xstest-safe", "", scorer=RULES),
}


def recipe_of(name: str) -> Recipe:
    """How a measurement is made. A metric of another package is measured under its own name.

    It has no usual data set. Raises UnknownNameError.
    """
    if name in MEASUREMENTS:
        return MEASUREMENTS[name]
    others = set(METRICS.names()) - set(METRICS.table)
    if name in others:
        return Recipe(name, "", "")
    raise UnknownNameError(KIND, name, sorted({*MEASUREMENTS, *others}))


def measuring(*kinds: str) -> list[str]:
    """Return the measurements whose metric states one of these kinds, kind by kind.

    Without a kind, all measurements are returned. Every metric of the package is imported.
    """
    stated = {name: METRICS.load(recipe.metric).measures for name, recipe in MEASUREMENTS.items()}
    asked = kinds or tuple(dict.fromkeys(stated.values()))
    return [name for kind in asked for name, own in stated.items() if own == kind]


def check_margin(name: str, margin: float) -> None:
    """Raise a named error for a margin of no measurement, or one that nothing could exceed."""
    if is_task(name):
        return  # its range is known when it is loaded
    whole = name in {*MEASUREMENTS, *METRICS.names()}
    measurement, _, quantity = (name, "", "") if whole else name.rpartition(".")
    if measurement and quantity:
        recipe_of(measurement)
        return  # the gate knows the range of another quantity
    low, high = METRICS.load(recipe_of(name).metric).support
    if margin >= high - low:
        message = (
            f"the margin {margin:g} of {name} can never be exceeded: its scores range from {low:g} "
            f"to {high:g}. Expected a smaller one, such as 0.02."
        )
        raise ConfigurationError(message)
