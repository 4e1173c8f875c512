"""The rules that hold for every verdict, whichever assertion made it: the settings of its run."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.claims import AGREEMENT, FLIPS
from pytest_llmsafety.assertions.guards import doubted, noted
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
from pytest_llmsafety.measurements.look_history import look_note
from pytest_llmsafety.metrics.perplexity import exp
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_llmsafety.assertions.claims import Claim
    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict

SLACK = 1e-9
FEWEST_OF_A_SUITE = 10
"""A verdict on fewer items of a suite than these would be one on a handful of prompts."""


def settled(
    measured: Measured, claim: Claim, assess: Callable[[Measured, Claim], Verdict]
) -> Verdict:
    """Return the verdict of `assess` on the claim that counts, with the rules for all assertions.

    Raises ConfigurationError where nothing could exceed the margin, or where `assess` decided by
    another margin, confidence or scope than it was given.
    """
    require_reach(measured, claim)
    result = assess(measured, claim)
    require_obedience(measured, claim, result)
    result = dataclasses.replace(result, margins_used=(*claim.keys, *_group_keys(claim, result)))
    return assuming_nothing(measured, claim, of_a_suite(noted(result, worst_note(claim, result))))


def worst_note(claim: Claim, result: Verdict) -> str:
    """Return what `worst` says of an unseen cluster; empty where it was left to the statistics."""
    if claim.worst is None or result.scope == "suite":
        return ""
    share = "as much as" if claim.worst == 1 else f"{claim.worst:.0%} of what"
    most = f"{share} a score allows"
    return f"worst={claim.worst:g}: an unseen cluster may get worse by {most}"


def require_reach(measured: Measured, claim: Claim) -> None:
    """Raise ConfigurationError for a margin that no change of the score can exceed."""
    low, high = (0.0, 1.0) if claim.quantity in {FLIPS, AGREEMENT} else measured.support
    known = claim.quantity in {"", FLIPS, AGREEMENT}
    if known and claim.margin >= high - low:
        what = f"{measured.name}.{claim.quantity}" if claim.quantity else measured.name
        message = (
            f"the margin {claim.margin:g} of {what} can never be exceeded: its scores range from "
            f"{low:g} to {high:g}. Expected a smaller one, such as 0.02."
        )
        raise ConfigurationError(message)


def require_obedience(measured: Measured, claim: Claim, result: Verdict) -> None:
    """Raise ConfigurationError where a verdict rests on another claim than the one given."""
    decision = result.decision
    if decision is None:
        return
    scope = measured.settings.scope
    margins = {claim.margin, *dict(claim.by_group).values()}
    seen = {
        "margin": any(math.isclose(result.margin, margin) for margin in margins),
        "confidence": decision.confidence >= claim.confidence - SLACK,
        "scope": result.scope == scope
        and not (
            scope == "suite" and decision.worst_unseen is not None and not decision.sequential
        ),
    }
    wrong = [name for name, obeyed in seen.items() if not obeyed]
    if wrong:
        message = (
            f"the assertion on {measured.name} did not use the {wrong[0]} that the run states: it "
            f"decided with margin {result.margin:g}, confidence {decision.confidence:g} and scope "
            f"{result.scope}. Expected margin {claim.margin:g}, confidence {claim.confidence:g} "
            f"and scope {scope}: pass on the claim that the function is given, and "
            "measured.settings.scope."
        )
        raise ConfigurationError(message)


def _group_keys(claim: Claim, result: Verdict) -> Iterator[str]:
    """Yield `NAME GROUP` for each margin of a group that decided about it."""
    own = dict(claim.by_group)
    for one in result.groups:
        margin = one.decision.margin
        if one.group in own and any(
            math.isclose(own[one.group], each) for each in (margin, exp(margin) - 1)
        ):
            yield f"{result.measurement} {one.group}"


def assuming_nothing(measured: Measured, claim: Claim, result: Verdict) -> Verdict:
    """Return no PASS and no FAIL on an assumption where `worst` allows none."""
    if claim.worst is None or result.scope == "suite" or result.outcome is Outcome.INCONCLUSIVE:
        return result
    if not all(map(math.isfinite, measured.support)):
        reason = (
            f"worst={claim.worst:g} is a share of the largest possible change, and the scores of "
            f"{result.measurement} have none: without an assumption nothing can be shown"
        )
        return undecided(result, reason, "leave worst out for this measurement")
    decisions = [*(one.decision for one in result.groups), result.decision]
    assumed = [one.assumption for one in decisions if one and one.assumption]
    if claim.worst < 1 or not assumed:
        return result
    reason = f"worst=1 assumes nothing, and this verdict would need an assumption: {assumed[0]}"
    return undecided(result, reason, "leave worst out, or use a data set of more clusters")


def of_a_suite(result: Verdict) -> Verdict:
    """Return no PASS and no FAIL on a handful of items that are all there is of a suite."""
    if result.scope != "suite" or result.decision is None:
        return result
    sizes = [one.decision.n_items for one in result.groups] if result.passed else []
    fewest = min([result.decision.n_items, *sizes])
    if result.outcome is Outcome.INCONCLUSIVE or fewest >= FEWEST_OF_A_SUITE:
        return result
    reason = (
        f"suite scope on {fewest} item{'s' if fewest > 1 else ''} only: a verdict needs at least "
        f"{FEWEST_OF_A_SUITE}"
    )
    return undecided(result, reason, "ask more items")


def undecided(result: Verdict, reason: str, remedy: str) -> Verdict:
    """Return the verdict as INCONCLUSIVE, with one more reason."""
    open_ = dataclasses.replace(result, outcome=Outcome.INCONCLUSIVE, p_fail=1.0)
    return doubted(open_, reason, remedy)


def counted(measured: Measured, claim: Claim, result: Verdict) -> Verdict:
    """Return the verdict with the number of looks at its gate, where that is counted.

    The same gate is the same model, compression, measurement, data, scorer, assertion and margin;
    another look at it has another seed, limit, order, error rate or scope.
    """
    looks = getattr(measured, "looks", None)
    if not isinstance(measured, LazyMeasurement) or looks is None or result.decision is None:
        return result
    about = (result.measurement, result.aspect, bool(result.groups), result.data_digest)
    gate = [*measured.identity(), *about, result.scorer, claim.margin, [*map(list, claim.by_group)]]
    settings = measured.settings
    look = [settings.scope, settings.early_stop, claim.confidence, claim.worst]
    look += [settings.seed, repr(settings.scorer_accuracy), measured.first_request]
    look += [item.id for item in measured.items]
    number = looks.count(gate, look)
    return noted(dataclasses.replace(result, look=number), look_note(number))
