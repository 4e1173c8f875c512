"""From a measurement to a verdict: the mean of a score, over all items or in each group."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from pytest_llmsafety.assertions.claims import (
    Claim,
    GroupsClaim,
    MeanClaim,
    Quantity,
    for_groups,
    require_known,
    require_reach,
    worsening,
)
from pytest_llmsafety.assertions.guards import (
    above_chance,
    doubted,
    guarded,
    no_room,
    noted,
    with_room_in_groups,
)
from pytest_llmsafety.assertions.paired_scores import (
    clusters,
    comparable,
    contrasted,
    delta_support,
    groups_of,
    means,
    worst_items,
)
from pytest_llmsafety.assertions.sequential import decide
from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.metrics.cut import cut_note
from pytest_llmsafety.stats import Decision, GroupDecision, Outcome, decide_group_rate_ratios
from pytest_llmsafety.stats.multiple_testing import fail_p_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.measurements.measurement import Measurement, PairedScore
    from pytest_llmsafety.stats import ScorerAccuracy

    Pairs = Sequence[PairedScore]
    Figure = Callable[[Pairs], tuple[float, float]]

Groups = Literal["worst", "rest", "pairs", "ratio"]
"""What counts of each group: see `assess_groups`."""
Correction = Literal["holm", "max-t"]
NOT_INCLUDED = "the scorer's own errors are not included (see --llmsafety-scorer-accuracy)"
ASPECTS = {"worst": "", "rest": "against the rest", "pairs": "between groups"}
OWN_CHANGE = "margins of single groups apply to a group's own change, and are not used here"
NO_RANGE = "all items were asked: stopping early needs a change of known range"


def assess_scores(
    measured: Measured, claim: Claim, *, per_group: bool | Groups, correction: Correction
) -> Verdict:
    """Return the verdict on the mean change of a score, or with `per_group` on each group's.

    Raises UnknownNameError for a word that is not in `Groups` or `Correction`, else as
    `assess_groups`.
    """
    if per_group is False:
        return assess_mean(measured, claim)
    contrast = "worst" if per_group is True else per_group
    require_known("per_group", contrast, get_args(Groups))
    require_known("correction", correction, get_args(Correction))
    return assess_groups(measured, claim, contrast=contrast, correction=correction)


def assess_quantity(
    measured: Measured, claim: Claim, quantity: Quantity, *, aspect: str
) -> Verdict:
    """Return the verdict on the mean of a quantity other than the score, such as a share of items.

    It shows 0 for the dense model and the mean for the compressed one, and as the worst items
    those whose quantity is not 0. `aspect` names the quantity in the verdict. Raises
    ConfigurationError for a margin that the quantity cannot exceed.
    """

    def share(pairs: Pairs) -> tuple[float, float]:
        return 0.0, sum(map(quantity.of, pairs)) / len(pairs)

    name = f"{measured.name}.{claim.quantity}" if claim.quantity else measured.name
    require_reach(claim, name, (0.0, quantity.support[1]))
    finished, decision, note = decide(measured, MeanClaim(quantity, claim))
    shown = [pair for pair in finished.pairs if not pair.missing and quantity.of(pair)]
    result = verdict(finished, claim, decision, share, shown)
    return noted(dataclasses.replace(result, aspect=aspect, higher_is_better=False), note)


def assess_mean(measured: Measured, claim: Claim, claims: type[MeanClaim] = MeanClaim) -> Verdict:
    """Return the verdict on the mean change of the score, with clusters as units if there are any.

    `claims` is the kind of claim that decides it.
    """
    claimed = claims(worsening(measured), claim, accuracy(measured))
    finished, decision, note = decide(measured, claimed)
    result = verdict(finished, claim, decision, means)
    if result.outcome is not Outcome.FAIL and (full := no_room(finished, result)):
        # More items would not change it, so neither the decision's reasons nor its plan apply.
        result = doubted(verdict(finished, claim, without_plan(decision), means), *full)
    return above_chance(finished, noted(result, note))


def assess_groups(
    measured: Measured,
    claim: Claim,
    *,
    contrast: str = "worst",
    correction: str = "holm",
    quantity: Quantity | None = None,
) -> Verdict:
    """Return the verdict on the group that worsens most; every group must be within the margin.

    `contrast` is what counts of a group: its own change (`worst`), its change minus the change of
    all others (`rest`) or of each other group (`pairs`), or the ratio of its means (`ratio`).
    `quantity` is what worsens, unless it is the score. Raises ConfigurationError when the data set
    has no groups.
    """
    require_groups(measured)
    if contrast == "ratio":
        return assess_group_ratios(measured, claim, correction)
    claim = for_groups(measured, claim, groups_of(measured.items))
    unused = OWN_CHANGE if claim.by_group and contrast != "worst" else ""
    claim = dataclasses.replace(claim, by_group=() if unused else claim.by_group)
    harm = quantity or worsening(measured)
    claimed = GroupsClaim(harm, claim, accuracy(measured), contrast, correction)
    finished, joint, note = decide(measured, claimed)
    result = group_verdict(finished, claim, joint, partial(contrasted, contrast))
    result = dataclasses.replace(result, aspect=ASPECTS[contrast], contrast=contrast)
    if contrast == "worst":
        result = with_room_in_groups(finished, result)
    return noted(noted(result, note), unused)


def assess_group_ratios(measured: Measured, claim: Claim, correction: str) -> Verdict:
    """Return the verdict on each group's ratio of mean scores, compressed / dense, to 1 + margin.

    The decisions are turned into logarithms, as for perplexities. Raises
    ConfigurationError for what a ratio cannot take, StatisticsError for a group whose dense
    scores are all 0.
    """
    refused = {
        "a score where higher is better": measured.higher_is_better,
        "--llmsafety-scorer-accuracy": accuracy(measured) is not None,
        "max-t": correction != "holm",
    }
    if any(refused.values()):
        what = next(name for name, given in refused.items() if given)
        message = f"per_group='ratio' does not work with {what}. Use 'worst', 'rest' or 'pairs'."
        raise ConfigurationError(message)
    finished = measured.all()
    pairs = [pair for pair in comparable(finished) if pair.item.groups]
    dense, compressed = zip(*(pair.values for pair in pairs), strict=True)
    joint = decide_group_rate_ratios(
        dense,
        compressed,
        [pair.item.groups for pair in pairs],
        max_ratio=1 + claim.margin,
        highest=finished.support[1],
        clusters=clusters(pairs),
        confidence=claim.confidence,
        scope=claim.scope,
        worst=claim.worst_in(pairs, delta_support(finished)),
    )
    logs = {name: in_logs(decision) for name, decision in joint.decisions.items()}
    joint = dataclasses.replace(joint, decisions=logs, margin=math.log(joint.margin))
    result = group_verdict(finished, claim, joint, partial(contrasted, "worst"))
    result = dataclasses.replace(result, aspect="ratio", contrast="ratio", is_ratio=True)
    return noted(result, NO_RANGE if finished.settings.early_stop else "")


def in_logs(decision: Decision) -> Decision:
    """Return a decision about a ratio as a decision about its logarithm."""
    return dataclasses.replace(
        decision,
        estimate=log(decision.estimate),
        lower=log(decision.lower),
        upper=log(decision.upper),
        margin=log(decision.margin),
    )


def log(ratio: float) -> float:
    """Return the natural logarithm, minus infinity for 0."""
    return math.log(ratio) if ratio > 0 else -math.inf


def without_plan(decision: Decision) -> Decision:
    """Return the decision without its reasons and without numbers of items that would decide."""
    return dataclasses.replace(
        decision,
        reasons=(),
        n_needed_80=None,
        n_needed_90=None,
        n_needed_half_80=None,
        n_needed_half_90=None,
    )


def accuracy(measured: Measured) -> ScorerAccuracy | None:
    """Return how often the scorer is right; None without a scorer, or where it was not given."""
    return measured.settings.scorer_accuracy if measured.scorer else None


def require_groups(measured: Measured) -> None:
    """Raise ConfigurationError for a measurement without groups."""
    if not any(item.groups for item in measured.items):
        message = (
            f"{measured.name} on {measured.dataset} has no groups. Expected items with "
            "groups: use a data set that names them, or leave per_group out."
        )
        raise ConfigurationError(message)


# ------------------------------------------------------------------ from decision to verdict


def verdict(
    finished: Measurement,
    claim: Claim,
    decision: Decision,
    figure: Figure,
    shown: Pairs | None = None,
) -> Verdict:
    """Return the verdict of one decision, after the guards on missing scores and broken text.

    `figure` returns the figures of both models for some pairs. The worst items are chosen from
    `shown`, or from all pairs when it is None.
    """
    outcome, reasons, remedy = guarded(finished, decision.outcome)
    scored = [pair for pair in finished.pairs if not pair.missing]
    sides = [pair.dense for pair in finished.pairs], [pair.compressed for pair in finished.pairs]
    reason = decision.reason if len(scored) == len(finished.pairs) else ""
    dense, compressed = figure(scored)
    assumed = [decision.assumption]
    if finished.scorer and finished.settings.scorer_accuracy is None:
        assumed.append(NOT_INCLUDED)
    return Verdict(
        measurement=finished.name,
        model=str(finished.pair.model),
        compression=str(finished.pair.compression),
        dataset=finished.dataset,
        outcome=outcome,
        decision=decision,
        margin=claim.margin,
        dense=dense,
        compressed=compressed,
        noise=noise(finished, figure),
        p_fail=fail_p_value(decision) if len(scored) == len(finished.pairs) else 1.0,
        scope=claim.scope,
        n_scored=len(scored),
        n_asked=len(finished.pairs),
        n_suite=finished.n_suite,
        higher_is_better=finished.higher_is_better,
        scorer=finished.scorer,
        reasons=tuple(text for text in (*reasons, reason) if text),
        assumptions=tuple(filter(None, assumed)),
        notes=tuple(filter(None, (*finished.notes, cut_note(*sides)))),
        figures=finished.figures,
        worst=worst_items(finished, finished.pairs if shown is None else shown),
        record=finished.record,
        reproduce=finished.settings.reproduce,
        data_digest=finished.data_digest,
        artefact=finished.artefact,
        n_data=finished.n_data,
        remedy=remedy,
    )


def noise(finished: Measurement, figure: Figure) -> float | None:
    """Return how far a figure moves when the dense model is asked twice; None where it was not.

    Like the change, it is corrected where the scorer's errors are known.
    """
    scored = [pair for pair in finished.replica if not pair.missing]
    if not scored:
        return None
    once, again = figure(scored)
    known = accuracy(finished)
    return (again - once) / (known.informedness if known else 1.0)


def group_verdict(
    finished: Measurement,
    claim: Claim,
    joint: GroupDecision,
    figure: Callable[[str, Pairs], tuple[float, float]],
) -> Verdict:
    """Return the verdict on all groups together; its figures belong to the deciding group.

    `figure` returns the figures of one group for some pairs.
    """
    pairs = [pair for pair in finished.pairs if not pair.missing]
    evidence = tuple(
        GroupEvidence(group, *figure(group, pairs), decision, kept=group in joint.failed)
        for group, decision in joint.decisions.items()
    )
    deciding = joint.failed or joint.undecided or tuple(joint.decisions)
    beyond = {name: one.estimate - one.margin for name, one in joint.decisions.items()}
    head = max(deciding, key=lambda group: beyond[group])
    decision = dataclasses.replace(joint.decisions[head], outcome=joint.outcome)
    members = [pair for pair in finished.pairs if head in names(pair)] or finished.pairs
    plain = dataclasses.replace(decision, reasons=())  # the joint reason replaces them
    result = verdict(finished, claim.about(head), plain, partial(figure, head), members)
    return dataclasses.replace(
        result,
        decision=decision,
        group=head,
        groups=evidence,
        p_fail=result.p_fail if result.n_scored < result.n_asked else joint.p_fail,
        reasons=(*result.reasons, joint.reason),
    )


def names(pair: PairedScore) -> tuple[str, ...]:
    """Return the names of the hypotheses that a pair belongs to: its groups, and its category."""
    category = getattr(pair.item, "category", "")
    return (*pair.item.groups, category)
