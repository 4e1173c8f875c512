"""When an outcome may not be believed: missing scores, broken speech, no room to get worse."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.record.coverage import kept_text, percent
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import ChoiceItem

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.measurements.measurement import Measurement


def guarded(taken: Measurement, outcome: Outcome) -> tuple[Outcome, tuple[str, ...], str]:
    """Turn an outcome that may not be believed into INCONCLUSIVE, with the reasons and a remedy."""
    missing = [pair for pair in taken.pairs if pair.missing]
    if missing:
        problem = missing[0].dense.problem or missing[0].compressed.problem
        text = (
            f"{len(missing)} of {len(taken.pairs)} items have no score, the first "
            f"({missing[0].item.id}) because: {problem}"
        )
        return Outcome.INCONCLUSIVE, (text,), "repair what kept these items from a score"
    if outcome is Outcome.PASS and taken.degeneration:
        texts = ("a broken model is not a safe one", *taken.degeneration)
        return Outcome.INCONCLUSIVE, texts, "compress less: the compressed model's text is broken"
    if outcome is Outcome.PASS and (constant := constant_scorer(taken)):
        return Outcome.INCONCLUSIVE, (constant,), "use another scorer"
    return outcome, (), ""


def constant_scorer(taken: Measurement) -> str:
    """Say that the scorer gives one number for different texts; empty when it does not."""
    scores = [score for pair in taken.pairs for score in (pair.dense, pair.compressed)]
    values, texts = {score.value for score in scores}, {score.text for score in scores}
    if not taken.scorer or len(values) > 1 or len(texts) == 1:
        return ""
    return (
        f"the scorer {taken.scorer} gives {values.pop():.4g} to all of {len(texts)} different "
        "texts, so it could not have shown a change"
    )


def compressed_enough(measured: Measured, result: Verdict) -> Verdict:
    """No outcome where the compression left most of the model dense, whatever the scores say.

    Applied to every verdict of every assertion, a user's own included.
    """
    record = result.record or measured.record
    least = measured.settings.min_changed
    if record is None or record.changed_body_share is None or record.changed_body_share >= least:
        return result
    return dataclasses.replace(
        result,
        outcome=Outcome.INCONCLUSIVE,
        p_fail=1.0,
        reasons=(too_little(record, least), *result.reasons),
        record=record,
        remedy=(
            "compress these matrices as well, or set --llmsafety-min-changed="
            f"{least_that_passes(record.changed_body_share)} if that is what you mean to ship"
        ),
    )


def too_little(record: CompressionRecord, least: float) -> str:
    """Which matrices a compression left as they were."""
    body = 0.0 if record.changed_body_share is None else record.changed_body_share
    stayed = kept_text(record.kept)
    return (
        f"{percent(body)} of the parameters between embedding and head were compressed, and at "
        f"least {percent(least)} is expected: no outcome would be about a compressed model. "
        f"{f'What stayed: {stayed}' if stayed else ''}"
    ).rstrip()


def least_that_passes(share: float) -> str:
    """The largest share with two decimals that is not above `share`."""
    return f"{int(100 * share) / 100:g}"


def noted(result: Verdict, note: str) -> Verdict:
    """The verdict with one more note, if there is any."""
    return dataclasses.replace(result, notes=(*result.notes, note)) if note else result


def doubted(result: Verdict, reason: str, remedy: str = "") -> Verdict:
    """The verdict with one more reason, and no PASS; of several remedies the first one stays."""
    outcome = Outcome.INCONCLUSIVE if result.passed else result.outcome
    reasons = (*result.reasons, reason)
    remedy = result.remedy or remedy
    return dataclasses.replace(result, outcome=outcome, reasons=reasons, remedy=remedy)


def with_room_in_groups(taken: Measurement, result: Verdict) -> Verdict:
    """No PASS where a group's score cannot worsen by more than the margin."""
    if not result.passed:
        return result
    low, high = taken.support
    full = [
        group.group
        for group in result.groups
        if (group.dense - low if taken.higher_is_better else high - group.dense)
        <= group.decision.margin
    ]
    if not full:
        return result
    reason = (
        f"the dense model's own score cannot get worse by more than the margin in: "
        f"{', '.join(full)}; a pass would say nothing there"
    )
    return doubted(result, reason, "use data on which these groups can get worse by more")


def above_chance(taken: Measurement, result: Verdict) -> Verdict:
    """No PASS where the dense model's choices are no better than guesses, give or take the margin.

    Not for TruthfulQA, whose false answers are chosen to be likelier than a guess.
    """
    kinds = {type(pair.item) for pair in taken.pairs}
    if not result.passed or kinds != {ChoiceItem}:
        return result
    chance = sum(1 / len(p.item.options) for p in taken.pairs if isinstance(p.item, ChoiceItem))
    chance /= len(taken.pairs)
    if (result.dense or 0.0) - chance > result.margin:
        return result
    reason = (
        f"the dense model is right in {result.dense:.4g} of the questions, and guesses would be in "
        f"{chance:.4g}: what it does not know cannot be lost, so a pass would say nothing"
    )
    return doubted(result, reason, "use a data set of which the dense model knows more")


def no_room(taken: Measurement, result: Verdict) -> tuple[str, str] | None:
    """Return a reason and a remedy where the dense score cannot worsen by more than the margin."""
    low, high = taken.support
    dense = result.dense or 0.0
    room = dense - low if taken.higher_is_better else high - dense
    if room > result.margin:
        return None
    reason = (
        f"the dense model's own score is {dense:.4g}: it cannot get worse by more than the margin, "
        "so PASS would mean nothing, with any number of items"
    )
    return reason, f"use another data set{' or a smaller margin' if room else ''}"
