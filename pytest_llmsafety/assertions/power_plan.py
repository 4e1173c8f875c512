"""The plan of an assertion: what it can show with its items, before any model is asked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.guards import FEWEST_OF_A_SUITE
from pytest_llmsafety.assertions.paired_scores import delta_support
from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.measurements.measurement import Measurement, PairedScore
from pytest_llmsafety.metrics.kl import KL
from pytest_llmsafety.metrics.perplexity import exp
from pytest_llmsafety.stats import Outcome, ReasonCode, detectable_change, n_needed
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS
from pytest_llmsafety.types import BBQItem, Score

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
    from pytest_llmsafety.stats import Decision
    from pytest_llmsafety.types import Item

FLIPS = (0.04, 1.0, "4% of the answers turn each way, as under int4 (arXiv 2407.09141)")
TEXTS = (0.225, 0.2, "45% of the texts change, by .2 each way")
NATS = (0.5, 0.03, "documents differ by .03 nats a token each way")
DESIGN_EFFECT = 9.5
"""Design effect of BBQ's templates on UnifiedQA's published answers."""
PILOT = 1000
MIDDLE = 0.5
ANSWER = "the same answer"
UNPLANNED = "nothing: contrasts and ratios of groups, and corrected scores, are not planned"
LARGEST_NATS = 10.0


@dataclass(frozen=True)
class Plan:
    """What one assertion can show with the items that it has.

    `n_units` counts independent units of the smallest group that has to be decided, items or
    clusters. `impossible` says why it can never pass, and is empty when it can. `pass_80` is the
    number of units with which it passes four times in five when nothing changed. `finds_80` and
    `finds_90` are the smallest true worsenings that FAIL with 80% and 90% power. All three rest on
    `assumed`, a guess at the noise, and are None where no number is enough. With `is_ratio`, margin
    and `finds_*` are ratios of perplexities.
    """

    name: str
    compression: str
    n_items: int
    n_units: int
    unit: str
    margin: float
    impossible: str
    pass_80: int | None
    finds_80: float | None
    finds_90: float | None
    assumed: str
    is_ratio: bool = False

    def encode(self) -> str:
        """Return the plan as JSON, so that it can travel from an xdist worker."""
        return json.dumps(to_plain(self))

    @classmethod
    def decode(cls, text: str) -> Plan:
        """Return the plan that `encode` wrote."""
        found: Plan = from_plain(cls, json.loads(text))
        return found


def plan(
    measured: LazyMeasurement, assess: Callable[[Measurement], Verdict]
) -> tuple[Plan, Verdict]:
    """Return the plan of an assertion, and its verdict on two models that answer every item alike.

    What does not pass on identical answers can never pass.
    """
    verdict = assess(identical(measured))
    decision = smallest(verdict)
    passes, finds, assumed = _power(measured, verdict, decision)
    planned = Plan(
        name=_name(verdict),
        compression=verdict.compression,
        n_items=verdict.n_asked,
        n_units=decision.n_units,
        unit=decision.unit,
        margin=round(exp(decision.margin), 12) if verdict.is_ratio else decision.margin,
        impossible="" if verdict.outcome is Outcome.PASS else _obstacle(verdict),
        pass_80=passes,
        finds_80=finds[0],
        finds_90=finds[1],
        assumed=assumed,
        is_ratio=verdict.is_ratio,
    )
    return planned, verdict


Power = tuple[int | None, tuple[float | None, float | None], str]


def _power(measured: LazyMeasurement, verdict: Verdict, decision: Decision) -> Power:
    """Return the units to pass, the changes that are found, and what both rest on."""
    if verdict.scope == "suite":
        found = exp(decision.margin) if verdict.is_ratio else decision.margin
        return FEWEST_OF_A_SUITE, (found, found), "nothing, as these items are all there are"
    worst = decision.worst_unseen
    if worst is None or verdict.contrast in {"rest", "pairs"} or measured.settings.scorer_accuracy:
        return None, (None, None), UNPLANNED
    share, size, assumed = _noise(measured, verdict)
    # Answers within a cluster count as independent; only for BBQ is their correlation known.
    items_each = decision.n_items / decision.n_units
    effect = min(DESIGN_EFFECT, items_each) if isinstance(measured.items[0], BBQItem) else 1.0
    if effect > 1:
        assumed += (
            f"; a template's answers move together as on UnifiedQA (design effect {effect:.2g})"
        )
    step = size * math.sqrt(effect / items_each)
    count = round(PILOT * share)
    pilot = [step] * count + [-step] * count + [0.0] * (PILOT - 2 * count)
    margin, confidence = decision.margin, decision.confidence
    largest = min(delta_support(measured)[1], LARGEST_NATS)

    def found_with(power: float, n_groups: int) -> float | None:
        change = detectable_change(
            pilot,
            margin=margin,
            n_units=decision.n_units,
            power=power,
            confidence=1 - (1 - confidence) / n_groups,
            support=(-worst, largest),
        )
        return exp(change) if change is not None and verdict.is_ratio else change

    # All groups have to pass at once, and a FAIL is corrected for all (Holm's first step).
    n_groups = len(verdict.groups) or 1
    passes = n_needed(
        pilot,
        margin=margin,
        confidence=confidence,
        support=(-worst, worst),
        power=0.8 ** (1 / n_groups),
    )
    fewest = MIN_CLUSTERS if decision.n_units < decision.n_items else 1
    passes = passes and max(passes, fewest)
    return passes, (found_with(0.8, n_groups), found_with(0.9, n_groups)), assumed


def _obstacle(verdict: Verdict) -> str:
    """Return why identical outputs would not pass: the rule of three, or another reason."""
    lacking = [g for g in verdict.groups if g.decision.outcome is not Outcome.PASS]
    if lacking:
        least = min(lacking, key=lambda g: g.decision.n_units * g.decision.margin)
        few = f"{len(lacking)} of {len(verdict.groups)} groups do not pass"
        why = "".join(_shortest(least.decision)[-1:])
        return f"{few} even with identical outputs, such as {least.group}: {why}"
    decided = verdict.decision is not None and verdict.decision.outcome is Outcome.PASS
    short = [] if verdict.decision is None or decided else _shortest(verdict.decision)
    return "; ".join(short or verdict.reasons)


def _shortest(decision: Decision) -> list[str]:
    """Return why so few units cannot pass; all reasons where that is not the cause."""
    few = [one.text for one in decision.reasons if one.code is ReasonCode.CANNOT_PASS]
    return few or [one.text for one in decision.reasons]


def _name(verdict: Verdict) -> str:
    """Return the measurement, and what of it the assertion is about."""
    aspect = verdict.aspect or ("by group" if verdict.groups else "")
    return f"{verdict.measurement} {aspect}".strip()


def smallest(verdict: Verdict) -> Decision:
    """Return the decision with the fewest units for its margin: it limits what can be shown."""
    decisions = [group.decision for group in verdict.groups]
    decisions += [verdict.decision] if verdict.decision else []
    return min(decisions, key=lambda one: one.n_units * one.margin)


def identical(measured: LazyMeasurement) -> Measurement:
    """Return a measurement in which both models give every item the same, best answer."""
    scores = [_score(item, number, measured) for number, item in enumerate(measured.items)]
    return Measurement(
        name=measured.name,
        dataset=measured.dataset,
        pair=measured.pair,
        pairs=tuple(
            PairedScore(item, score, score)
            for item, score in zip(measured.items, scores, strict=True)
        ),
        higher_is_better=measured.higher_is_better,
        support=measured.support,
        record=None,
        settings=measured.settings,
        scorer=measured.scorer,
        measures=measured.measures,
    )


def _score(item: Item, number: int, measured: LazyMeasurement) -> Score:
    """Return the best score of an item: right, harmless, as often biased as counter-biased."""
    low, high = measured.support
    if isinstance(item, BBQItem) and low < 0:  # else its right options are what is measured
        biased = 1.0 if number % 2 else -1.0
        return Score(item.id, biased, parts=(("correct", 1.0),), text=ANSWER)
    words = float(len(item.prompt.split()) or 1)
    if isinstance(measured.question.metric, KL):  # it reads so many tokens of a text, and no more
        words = min(words, float(measured.question.metric.max_tokens))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Score(item.id, words, weight=words, text=ANSWER)
    # Not 0, because no ratio to 0 exists.
    value = high if measured.higher_is_better else low + MIDDLE * (high - low)
    return Score(item.id, value, text=ANSWER)


def _noise(measured: LazyMeasurement, verdict: Verdict) -> tuple[float, float, str]:
    """Return the share of items that move each way, how far, and a sentence on both."""
    if verdict.is_ratio or math.isinf(measured.support[1]):
        return NATS
    return TEXTS if verdict.scorer else FLIPS
