"""From a measurement to a verdict: the only place where measurements meet statistics."""

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
OWN_CHANGE = "margins of single groups are for their own change, and are not used here"
NO_RANGE = "all items were asked: stopping early needs a change of known range"


def assess_scores(
    measured: Measured, claim: Claim, *, per_group: bool | Groups, correction: Correction
) -> Verdict:
    """Return the verdict on the mean change of a score, or with `per_group` on each group's.

    Raises UnknownNameError for another word than those of `Groups` and `Correction`, else as
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
    taken, decision, note = decide(measured, MeanClaim(quantity, claim))
    shown = [pair for pair in taken.pairs if not pair.missing and quantity.of(pair)]
    result = verdict(taken, claim, decision, share, shown)
    return noted(dataclasses.replace(result, aspect=aspect, higher_is_better=False), note)


def assess_mean(measured: Measured, claim: Claim, claims: type[MeanClaim] = MeanClaim) -> Verdict:
    """Return the verdict on the mean change of the score, with clusters as units if there are any.

    `claims` is the kind of claim that decides it.
    """
    claimed = claims(worsening(measured), claim, accuracy(measured))
    taken, decision, note = decide(measured, claimed)
    result = verdict(taken, claim, decision, means)
    if result.outcome is not Outcome.FAIL and (full := no_room(taken, result)):
        # More items would not change it, so neither the decision's reasons nor its plan apply.
        result = doubted(verdict(taken, claim, without_plan(decision), means), *full)
    return above_chance(taken, noted(result, note))


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
    taken, joint, note = decide(measured, claimed)
    result = group_verdict(taken, claim, joint, partial(contrasted, contrast))
    result = dataclasses.replace(result, aspect=ASPECTS[contrast], contrast=contrast)
    if contrast == "worst":
        result = with_room_in_groups(taken, result)
    return noted(noted(result, note), unused)


def assess_group_ratios(measured: Measured, claim: Claim, correction: str) -> Verdict:
    """Return the verdict on each group's ratio of mean scores, compressed / dense, to 1 + margin.

    The decisions are turned into logarithms, as those of perplexities are. Raises
    ConfigurationError for what a ratio cannot take, StatisticsError for a group whose dense
    scores are all 0.
    """
    refused = {
        "a score of which more is better": measured.higher_is_better,
        "--llmsafety-scorer-accuracy": accuracy(measured) is not None,
        "max-t": correction != "holm",
    }
    if any(refused.values()):
        what = next(name for name, given in refused.items() if given)
        message = f"per_group='ratio' cannot be judged with {what}. Use 'worst', 'rest' or 'pairs'."
        raise ConfigurationError(message)
    taken = measured.all()
    pairs = [pair for pair in comparable(taken) if pair.item.groups]
    dense, compressed = zip(*(pair.values for pair in pairs), strict=True)
    joint = decide_group_rate_ratios(
        dense,
        compressed,
        [pair.item.groups for pair in pairs],
        max_ratio=1 + claim.margin,
        highest=taken.support[1],
        clusters=clusters(pairs),
        confidence=claim.confidence,
        scope=claim.scope,
        worst=claim.worst_in(pairs, delta_support(taken)),
    )
    logs = {name: in_logs(decision) for name, decision in joint.decisions.items()}
    joint = dataclasses.replace(joint, decisions=logs, margin=math.log(joint.margin))
    result = group_verdict(taken, claim, joint, partial(contrasted, "worst"))
    result = dataclasses.replace(result, aspect="ratio", contrast="ratio", is_ratio=True)
    return noted(result, NO_RANGE if taken.settings.early_stop else "")


def in_logs(decision: Decision) -> Decision:
    """A decision about a ratio as one about its logarithm."""
    return dataclasses.replace(
        decision,
        estimate=log(decision.estimate),
        lower=log(decision.lower),
        upper=log(decision.upper),
        margin=log(decision.margin),
    )


def log(ratio: float) -> float:
    """The natural logarithm, minus infinity for 0."""
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
    """How often the measurement's scorer is right, where it has one and the user says so."""
    return measured.settings.scorer_accuracy if measured.scorer else None


def require_groups(measured: Measured) -> None:
    """Raise ConfigurationError for a measurement without groups."""
    if not any(item.groups for item in measured.items):
        message = (
            f"{measured.name} on {measured.dataset} has no groups. Expected items with "
            "groups: use a data set that names them, or judge the mean."
        )
        raise ConfigurationError(message)


# ------------------------------------------------------------------ from decision to verdict


def verdict(
    taken: Measurement,
    claim: Claim,
    decision: Decision,
    figure: Figure,
    shown: Pairs | None = None,
) -> Verdict:
    """The verdict of one decision, after the guards on missing scores and degeneration.

    `figure` gives the figures of both sides of any pairs; `shown` are the pairs among which the
    worst are looked for, all of them when None.
    """
    outcome, reasons, remedy = guarded(taken, decision.outcome)
    scored = [pair for pair in taken.pairs if not pair.missing]
    sides = [pair.dense for pair in taken.pairs], [pair.compressed for pair in taken.pairs]
    told = decision.reason if len(scored) == len(taken.pairs) else ""
    dense, compressed = figure(scored)
    assumed = [decision.assumption]
    if taken.scorer and taken.settings.scorer_accuracy is None:
        assumed.append(NOT_INCLUDED)
    return Verdict(
        measurement=taken.name,
        model=str(taken.pair.model),
        compression=str(taken.pair.compression),
        dataset=taken.dataset,
        outcome=outcome,
        decision=decision,
        margin=claim.margin,
        dense=dense,
        compressed=compressed,
        noise=noise(taken, figure),
        p_fail=fail_p_value(decision) if len(scored) == len(taken.pairs) else 1.0,
        scope=claim.scope,
        n_scored=len(scored),
        n_asked=len(taken.pairs),
        n_suite=taken.n_suite,
        higher_is_better=taken.higher_is_better,
        scorer=taken.scorer,
        reasons=tuple(text for text in (*reasons, told) if text),
        assumptions=tuple(filter(None, assumed)),
        notes=tuple(filter(None, (*taken.notes, cut_note(*sides)))),
        figures=taken.figures,
        worst=worst_items(taken, taken.pairs if shown is None else shown),
        record=taken.record,
        reproduce=taken.settings.reproduce,
        data_digest=taken.data_digest,
        artefact=taken.artefact,
        n_data=taken.n_data,
        remedy=remedy,
    )


def noise(taken: Measurement, figure: Figure) -> float | None:
    """How far a figure moves when the dense model is asked twice; None where it was not.

    On the scale of the change, which is corrected where the scorer's errors are known.
    """
    scored = [pair for pair in taken.replica if not pair.missing]
    if not scored:
        return None
    once, again = figure(scored)
    known = accuracy(taken)
    return (again - once) / (known.informedness if known else 1.0)


def group_verdict(
    taken: Measurement,
    claim: Claim,
    joint: GroupDecision,
    figure: Callable[[str, Pairs], tuple[float, float]],
) -> Verdict:
    """The verdict of all groups together, headed by the one that decides it.

    `figure` gives the figures of one group among any pairs.
    """
    pairs = [pair for pair in taken.pairs if not pair.missing]
    evidence = tuple(
        GroupEvidence(group, *figure(group, pairs), decision, kept=group in joint.failed)
        for group, decision in joint.decisions.items()
    )
    deciding = joint.failed or joint.undecided or tuple(joint.decisions)
    beyond = {name: one.estimate - one.margin for name, one in joint.decisions.items()}
    head = max(deciding, key=lambda group: beyond[group])
    decision = dataclasses.replace(joint.decisions[head], outcome=joint.outcome)
    members = [pair for pair in taken.pairs if head in names(pair)] or taken.pairs
    plain = dataclasses.replace(decision, reasons=())  # the joint reason stands for it
    result = verdict(taken, claim.about(head), plain, partial(figure, head), members)
    return dataclasses.replace(
        result,
        decision=decision,
        group=head,
        groups=evidence,
        p_fail=result.p_fail if result.n_scored < result.n_asked else joint.p_fail,
        reasons=(*result.reasons, joint.reason),
    )


def names(pair: PairedScore) -> tuple[str, ...]:
    """The names under which a pair may be judged: its groups, or its category."""
    category = getattr(pair.item, "category", "")
    return (*pair.item.groups, category)
