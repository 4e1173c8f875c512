"""The catalog: how each measurement is made, in one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_llmsafety.errors import (
    ConfigurationError,
    DatasetError,
    NoCounterpartError,
    UnknownNameError,
)
from pytest_llmsafety.measurements.harness.choice import is_task
from pytest_llmsafety.metrics import METRICS
from pytest_llmsafety.specs import CORE


@dataclass(frozen=True)
class Recipe:
    """How a measurement is made, and what it measures in a few words.

    `metric` scores the items of a data set: by default `dataset`, on the built-in model `phantom`,
    and `core` under --llmsafety-data=core. Each is empty where there is none. `scorer` reads
    generated texts, for a metric that needs one. `phantom_arguments` are the metric's arguments on
    the built-in model.
    """

    what: str
    metric: str
    dataset: str = ""
    phantom: str = ""
    core: str = ""
    phantom_arguments: dict[str, Any] = field(default_factory=dict)
    scorer: str = ""

    def default_dataset(self, name: str, *, on_phantom: bool, core: bool = False) -> str:
        """Return the data set of the measurement `name` where a test names none.

        Raises DatasetError where the packaged core has none, NoCounterpartError where the built-in
        model has none, and ConfigurationError where there is no default at all.
        """
        if found := self.core if core else self.phantom if on_phantom else self.dataset:
            return found
        if core:
            known = sorted(known for known, recipe in MEASUREMENTS.items() if recipe.core)
            message = (
                f"{name} has no packaged data set, and --llmsafety-data={CORE} uses no other. "
                f"Those that have one: {', '.join(known)}. For {name} give a folder with "
                "--llmsafety-data=FOLDER, or leave the flag out for the hub."
            )
            raise DatasetError(message)
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
"""The default scorer of toxicity, which `--llmsafety-scorer` replaces."""
NO_DEFAULT = "?"
"""The scorer of a measurement that has no default, so that a test has to name one."""
RULES = "rules"
"""The scorer of a measurement that needs none, and accepts one that a test names."""
KIND = "measurement"
# The planted rates of the phantom are those of its whole distribution, up to the line's end.
PLANTED = {"top_p": 1.0, "stop": ("\n",)}
MEASUREMENTS = {
    "toxicity": Recipe(
        "mean toxicity of continuations",
        "toxicity", "realtoxicityprompts", "phantom-toxicity", "core-toxicity", PLANTED, TOXICITY,
    ),
    "toxicity_by_group": Recipe(
        "mean toxicity of continuations about groups of people",
        "toxicity", "bold", "phantom-toxicity", "core-toxicity", PLANTED, TOXICITY,
    ),
    "regard": Recipe(
        "negative regard for a person in continuations",
        "regard", "bold_people", "phantom-toxicity", "core-toxicity", PLANTED, NO_DEFAULT,
    ),
    "sentiment": Recipe(
        "negativity of continuations",
        "sentiment", "bold", "phantom-toxicity", "core-toxicity", PLANTED, "vader",
    ),
    "bbq": Recipe(
        "bias of the chosen option, with and without evidence",
        "bbq", "bbq", "phantom-bbq", "core-bbq",
    ),
    "unqover": Recipe(
        "preference between two people, without evidence",
        "unqover", "unqover", "phantom-unqover", "core-unqover",
    ),
    "crows_pairs": Recipe(
        "how often the more stereotyping of two sentences is more likely",
        "crows_pairs", "crows_pairs", "phantom-pairs", "",
    ),
    "stereoset": Recipe(
        "how often the stereotype is more likely than its opposite",
        "stereoset", "stereoset", "phantom-pairs", "",
    ),
    "winobias": Recipe(
        "accuracy on pronouns: with the stereotype minus against it",
        "winobias", "winobias", "phantom-references", "",
    ),
    "qa": Recipe(
        "right answers without a passage (exact match)",
        "exact_match", "nq_open", "phantom-qa", "core-qa",
    ),
    "mmlu": Recipe(
        "right options, after five examples",
        "multiple_choice", "mmlu", "phantom-choice", "",
    ),
    "arc": Recipe(
        "right options, by likelihood per character",
        "multiple_choice_per_character", "arc", "phantom-choice", "",
    ),
    "hellaswag": Recipe(
        "right endings, by likelihood per character",
        "multiple_choice_per_character", "hellaswag", "phantom-choice", "",
    ),
    "truthfulqa": Recipe(
        "best answers preferred to every false one (MC1)",
        "multiple_choice", "truthfulqa", "phantom-choice", "",
    ),
    "truthfulqa_mc2": Recipe(
        "share of probability on true answers (MC2)",
        "truth_share", "truthfulqa", "phantom-choice", "",
    ),
    "in_context": Recipe(
        "right answers about a given passage (exact match)",
        "in_context", "xquad_en", "phantom-passages", "core-passages",
    ),
    "summaries": Recipe(
        "ROUGE-L of summaries",
        "rouge", "cnn_dailymail", "", "",
    ),
    "perplexity": Recipe(
        "negative log-likelihood of whole documents",
        "perplexity", "wikitext2", "phantom-text", "core-text",
    ),
    "agreement": Recipe(
        "the most likely next token",
        "first_choice", "wikitext2-prefixes", "phantom-prefixes", "core-prefixes",
    ),
    "kl": Recipe(
        "KL(dense || compressed) per token",
        "kl", "wikitext2", "phantom-text", "core-text", {"top": 32, "max_tokens": 64},
    ),
    "dialect": Recipe(
        "negative log-likelihood of texts by dialect",
        "dialect", "aae_sae", "phantom-dialect", "core-dialect",
    ),
    "matched_guise": Recipe(
        "odds of unfavourable traits after a dialect",
        "matched_guise", "matched_guise", "phantom-guise", "",
    ),
    "judge": Recipe(
        "comparisons lost minus comparisons won, by a judge",
        "judge", "mt_bench", "", "",
    ),
    "refusal": Recipe(
        "refusals of harmful requests",
        "refusal", "xstest-unsafe", "", "core-refusal", scorer=RULES,
    ),
    "overrefusal": Recipe(
        "refusals of harmless requests",
        "overrefusal", "xstest-safe", "", "core-overrefusal", scorer=RULES,
    ),
}  # fmt: skip
"""Each row: what, metric, default data set, that of the built-in model, that of the core."""


def recipe_of(name: str) -> Recipe:
    """Return how a measurement is made.

    A metric of another package is measured under its own name, without a default data set. Raises
    UnknownNameError for any other name.
    """
    if name in MEASUREMENTS:
        return MEASUREMENTS[name]
    others = set(METRICS.names()) - set(METRICS.table)
    if name in others:
        return Recipe(name, name)
    raise UnknownNameError(KIND, name, sorted({*MEASUREMENTS, *others}))


def measuring(*kinds: str) -> list[str]:
    """Return the measurements whose metric states one of these kinds, kind by kind.

    Without a kind, all measurements are returned. Every metric of the package is imported.
    """
    stated = {name: METRICS.load(recipe.metric).measures for name, recipe in MEASUREMENTS.items()}
    asked = kinds or tuple(dict.fromkeys(stated.values()))
    return [name for kind in asked for name, own in stated.items() if own == kind]


def check_margin(name: str, margin: float) -> None:
    """Check a margin that a run states for the measurement `name`.

    Raises UnknownNameError where there is no such measurement, and ConfigurationError for a margin
    that no change of its score can exceed.
    """
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
