"""Which measurements each assertion judges, and which assertions fit a measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.item_kinds import fitting
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.types import (
    BBQItem,
    ConversationItem,
    Item,
    PairItem,
    PassageItem,
    QuestionItem,
    ReferenceItem,
    RequestItem,
    UnqoverItem,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.assertions.sequential import Measured

KINDS = {
    "harm": ("toxicity", "toxicity_by_group", "regard", "sentiment"),
    "bias": ("unqover", "crows_pairs", "stereoset", "winobias"),
    "biased answers": ("bbq",),
    "right answers": ("qa", "mmlu", "arc", "hellaswag", "truthfulqa"),
    "truth": ("truthfulqa_mc2",),
    "reading": ("in_context",),
    "next tokens": ("agreement",),
    "summaries": ("summaries",),
    "perplexity": ("perplexity",),
    "dialects": ("dialect",),
    "traits": ("matched_guise",),
    "divergence": ("kl",),
    "refusals": ("refusal",),
    "overrefusals": ("overrefusal",),
    "preference": ("judge",),
}
"""What metrics state that they measure, and the measurements of this package that are of it."""


@dataclass(frozen=True)
class Judged:
    """What an assertion judges: measurements of these `kinds`, its own first.

    Their scores have this direction and are or are not `bounded` (None: either will do), and
    `items` are of these kinds. A metric of a third party may state no kind: where `unstated`, it
    is judged by its scores and items alone.
    """

    kinds: tuple[str, ...]
    higher_is_better: bool | None = None
    bounded: bool | None = None
    items: tuple[type[Item], ...] = (Item,)
    unstated: bool = True

    def obstacle(self, measured: Measured) -> str:
        """Why scores are not such as are judged; empty where they are."""
        kind, higher, support = measured.measures, measured.higher_is_better, measured.support
        if kind and kind not in self.kinds:
            return f"it measures {kind}"
        if not (kind or self.unstated):
            return f"its metric does not state that it measures {self.kinds[0]}"
        if self.higher_is_better not in {None, higher}:
            return f"of its score {'more' if higher else 'less'} is better"
        bounded = all(map(math.isfinite, support))
        if self.bounded not in {None, bounded}:
            return "its scores lie between {:g} and {:g}".format(*support)
        return ""

    def asks(self, measured: Measured) -> bool:
        """Whether all items are of the kinds that are judged."""
        return all(isinstance(item, self.items) for item in measured.items)


ASSERTIONS = {
    "assert_toxicity_delta": Judged(("harm",), higher_is_better=False, bounded=True),
    "assert_bias_gap": Judged(
        ("bias", "biased answers"),
        higher_is_better=False,
        bounded=True,
        items=(BBQItem, UnqoverItem, PairItem, ReferenceItem),
    ),
    "assert_dialect_gap": Judged(
        ("dialects", "traits", "perplexity"), higher_is_better=False, bounded=False
    ),
    "assert_qa_drop": Judged(
        ("right answers", "truth", "reading", "next tokens"), higher_is_better=True, bounded=True
    ),
    "assert_context_drop": Judged(
        ("reading",), higher_is_better=True, bounded=True, items=(PassageItem,)
    ),
    "assert_summary_drop": Judged(("summaries",), higher_is_better=True, bounded=True),
    "assert_flip_rate": Judged(
        ("right answers", "biased answers", "reading", "next tokens"), bounded=True
    ),
    "assert_refusal_drop": Judged(
        ("refusals",), higher_is_better=True, bounded=True, items=(RequestItem,)
    ),
    "assert_overrefusal_rise": Judged(
        ("overrefusals",), higher_is_better=False, bounded=True, items=(RequestItem,)
    ),
    "assert_judge_loss": Judged(
        ("preference",),
        higher_is_better=False,
        bounded=True,
        items=(ConversationItem, QuestionItem),
        unstated=False,
    ),
    "assert_perplexity_ratio": Judged(
        ("perplexity", "dialects"), higher_is_better=False, bounded=False
    ),
    "assert_kl": Judged(("divergence",), higher_is_better=False, bounded=False, unstated=False),
    "assert_agreement": Judged(
        (
            "next tokens", "right answers", "truth", "reading", "summaries", "biased answers",
            "bias", "harm", "refusals", "overrefusals", "preference",
        ),
        bounded=True,
    ),
}  # fmt: skip


def assertions_for(measured: Measured) -> list[str]:
    """The assertions that judge a measurement, the one that belongs to it first."""
    fits = [
        (judged.kinds.index(measured.measures) if measured.measures else 0, name)
        for name, judged in ASSERTIONS.items()
        if not judged.obstacle(measured) and judged.asks(measured)
    ]
    return [name for _, name in sorted(fits, key=lambda row: row[0])]


def require_kind(assertion: str, measured: Measured) -> None:
    """Raise ConfigurationError for a measurement that an assertion does not judge."""
    judged = ASSERTIONS[assertion]
    if not hasattr(measured, "measures"):
        message = (
            f"{assertion} was given {measured!r}. Expected what the fixture `measure` returns, as "
            f'in {assertion}(measure("{KINDS[judged.kinds[0]][0]}"), margin=...).'
        )
        raise ConfigurationError(message)
    why = judged.obstacle(measured)
    if not why and judged.asks(measured):
        return
    if why:
        names = either(f'"{name}"' for kind in judged.kinds for name in KINDS[kind])
        expected = f"measure({names})"
    else:
        kinds = either(kind.__name__ for kind in judged.items)
        why = f"its items are not of the kind {kinds}"
        names = either(f'"{name}"' for name in fitting(*judged.items))
        expected = f"a data set of such items: dataset={names}"
    fits = assertions_for(measured)
    advice = (
        f"For {measured.name} use {either(fits)}."
        if fits
        else "No assertion here judges it; docs/custom-assertion.md shows how to write one."
    )
    message = (
        f"{assertion} does not judge {measured.name} on {measured.dataset}: {why}. "
        f"Expected {expected}. {advice}"
    )
    raise ConfigurationError(message)


def either(names: Iterable[str]) -> str:
    """Names as a choice: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
