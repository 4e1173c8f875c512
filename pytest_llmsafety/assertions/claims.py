"""What an assertion claims of a measurement: one mean, or the mean of each group."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.paired_scores import clusters, delta_support
from pytest_llmsafety.assertions.sequential import obstacle, units_of
from pytest_llmsafety.config.margins import OTHERS, TABLE
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.stats import (
    Criterion,
    Decision,
    GroupDecision,
    GroupSequentialTest,
    Outcome,
    SequentialTest,
    correct,
    decide_groups,
    decide_mean,
    rule_of_three,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.measurements.measurement import PairedScore, Settings
    from pytest_llmsafety.stats import ScorerAccuracy
    from pytest_llmsafety.types import Item


FLIPS, AGREEMENT, RATIO = OTHERS
"""Quantities other than a measurement's own score that assertions of this package judge."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """What an assertion wants shown: a margin, and how surely.

    `by_group` are margins of single groups, in place of `margin`. `quantity` names what is judged
    where it is not the measurement's own score (`flips`): its margin is on another scale, so the
    run gives it as `NAME.quantity` and not as `NAME`. `worst` is the largest change of an unseen
    cluster that is possible, as a share of the largest change that the score allows: 1 assumes
    nothing, and None leaves it to the statistics. `gate` settles all of them before it asks a
    judge; `keys` are the margins of the run that it applied.
    """

    margin: float
    confidence: float = 0.95
    by_group: tuple[tuple[str, float], ...] = ()
    quantity: str = ""
    worst: float | None = None
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse, before anything is asked, what no verdict can be about."""
        for name, value, high in (
            ("margin", self.margin, math.inf),
            ("confidence", self.confidence, 1.0),
        ):
            if not (is_number(value) and 0 < value < high):
                below = "" if high == math.inf else " and below 1"
                message = f"{name}={value!r}. Expected a number above 0{below}."
                raise ConfigurationError(message)
        if self.worst is not None and not (is_number(self.worst) and 0 < self.worst <= 1):
            message = (
                f"worst={self.worst!r}. Expected a number above 0 and at most 1, the share of the "
                "largest possible change that an unseen cluster may reach: 1 assumes nothing."
            )
            raise ConfigurationError(message)

    def of(self, measured: Measured) -> Claim:
        """Return the claim with what the run and the test's marker set for it, if anything."""
        settings = measured.settings
        key = f"{measured.name}.{self.quantity}" if self.quantity else measured.name
        applied = settings.margins.of(key, self.margin)
        return dataclasses.replace(
            self,
            margin=applied.margin,
            confidence=settings.confidence or self.confidence,
            by_group=applied.by_group,
            worst=settings.worst or self.worst,
            keys=(key,) if applied.by_name else (),
        )

    def about(self, group: str) -> Claim:
        """Return the claim about one group."""
        own = dict(self.by_group).get(group, self.margin)
        return dataclasses.replace(self, margin=own, by_group=())

    def worst_in(self, pairs: Sequence[PairedScore], support: tuple[float, float]) -> float | None:
        """Return the largest change of an unseen cluster in the unit of the values, where given.

        None where each item stands alone: the range of its change is known.
        """
        labels = clusters(pairs)
        if self.worst is None or labels is None or len(set(labels)) == len(labels):
            return None
        return self.worst * support[1]


def is_number(value: object) -> bool:
    """Return whether a value is a number and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def require_known(name: str, value: str, known: Sequence[str]) -> None:
    """Raise UnknownNameError unless `value` is one of the known words of an argument."""
    if value not in known:
        raise UnknownNameError(name, value, known)


def for_groups(measured: Measured, claim: Claim, names: Iterable[str]) -> Claim:
    """The claim about these groups. Raises UnknownNameError for a margin of none of them.

    On the built-in model, whose groups are its own, the margins of a project's groups wait.
    """
    known = sorted(names)
    unknown = [group for group, _ in claim.by_group if group not in known]
    if unknown and not measured.pair.model.is_phantom:
        kind = f"group in {TABLE[:-1]}.{measured.name}], judged on {measured.dataset}:"
        raise UnknownNameError(kind, unknown[0], known)
    by_group = tuple(row for row in claim.by_group if row[0] in known)
    return dataclasses.replace(claim, by_group=by_group)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What is judged of each pair: a number inside `support`, larger is worse."""

    of: Callable[[PairedScore], float]
    support: tuple[float, float]


def corrected(decision: Decision, criterion: Criterion) -> Decision:
    """A decision on the scale of the truth, where the scorer's errors are known."""
    if criterion.scorer_accuracy is None:
        return decision
    return correct(
        decision,
        criterion.scorer_accuracy,
        margin=criterion.margin,
        confidence=criterion.confidence,
    )


def surely_enough(criterion: Criterion, quantity: Quantity) -> int:
    """Units of which identical outputs surely pass at some look: twice the rule of three."""
    return 2 * rule_of_three(criterion.pass_margin, worst=quantity.support[1])


def worsening(measured: Measured) -> Quantity:
    """The change of an item's score."""
    higher = measured.higher_is_better
    return Quantity(lambda pair: pair.worsening_of(higher), delta_support(measured))


@dataclasses.dataclass(frozen=True)
class MeanClaim:
    """The mean of a quantity is below the margin."""

    quantity: Quantity
    claim: Claim
    settings: Settings
    accuracy: ScorerAccuracy | None = None

    @property
    def criterion(self) -> Criterion:
        """What has to be shown, and how surely."""
        claim = self.claim
        return Criterion(claim.margin, claim.confidence, self.settings.scope, self.accuracy)

    def at_once(self, pairs: Sequence[PairedScore]) -> Decision:
        """Decide when all items have been asked, with clusters as units where there are any."""
        return decide_mean(
            [self.quantity.of(pair) for pair in pairs],
            margin=self.claim.margin,
            support=self.quantity.support,
            clusters=clusters(pairs),
            confidence=self.claim.confidence,
            scope=self.settings.scope,
            worst=self.claim.worst_in(pairs, self.quantity.support),
            scorer_accuracy=self.accuracy,
        )

    def sequential_test(self, items: Sequence[Item]) -> _PairedTest | str:
        """The sequential test on `items`, or why there is none."""
        sizes = [len(unit) for unit in units_of(items)]
        clustered, scope = len(sizes) < len(items), self.settings.scope
        # A large unit takes as much room for the bets as its size says.
        largest = max(sizes) * len(sizes) / sum(sizes)
        fewest = math.ceil(surely_enough(self.criterion, self.quantity) * largest)
        why = obstacle(len(sizes), clustered=clustered, scope=scope, fewest=fewest)
        return why or _PairedTest(self, sizes)


class _PairedTest:
    """A sequential test of one mean, which is given pairs."""

    def __init__(self, claim: MeanClaim, sizes: Sequence[int]) -> None:
        """Start before the first item; `sizes` are the units' of the whole suite."""
        self._quantity = claim.quantity
        self._criterion = criterion = claim.criterion
        self._test = SequentialTest(
            margin=criterion.pass_margin,
            fail_margin=criterion.fail_margin,
            support=claim.quantity.support,
            n_max=len(sizes),
            confidence=criterion.remaining_confidence,
            scope=criterion.scope,
            mean_size=sum(sizes) / len(sizes),
            max_size=max(sizes),
        )

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """See the next items, whole units of them."""
        rows = {pair.item.id: self._quantity.of(pair) for pair in pairs}
        units = units_of([pair.item for pair in pairs])
        return self._test.update(
            [sum(rows[item.id] for item in unit) for unit in units],
            [len(unit) for unit in units],
            items=list(rows.values()),
        )

    def decision(self) -> Decision:
        """The decision so far."""
        return corrected(self._test.decision(), self._criterion)


@dataclasses.dataclass(frozen=True)
class GroupsClaim:
    """The mean of a quantity is below the margin in every group, or between groups."""

    quantity: Quantity
    claim: Claim
    settings: Settings
    accuracy: ScorerAccuracy | None = None
    contrast: str = "worst"
    correction: str = "holm"

    @property
    def criterion(self) -> Criterion:
        """What has to be shown, and how surely."""
        claim = self.claim
        return Criterion(claim.margin, claim.confidence, self.settings.scope, self.accuracy)

    def at_once(self, pairs: Sequence[PairedScore]) -> GroupDecision:
        """Decide when all items have been asked."""
        grouped = [pair for pair in pairs if pair.item.groups]
        return decide_groups(
            [self.quantity.of(pair) for pair in grouped],
            [pair.item.groups for pair in grouped],
            margin=self.claim.margin,
            margins=dict(self.claim.by_group),
            support=self.quantity.support,
            clusters=clusters(grouped),
            confidence=self.claim.confidence,
            scope=self.settings.scope,
            contrast=self.contrast,
            correction=self.correction,
            worst=self.claim.worst_in(grouped, self.quantity.support),
            scorer_accuracy=self.accuracy,
        )

    def sequential_test(self, items: Sequence[Item]) -> _PairedGroupTest | str:
        """The sequential test on `items`, or why there is none."""
        if self.contrast != "worst" or self.correction != "holm":
            return "all items were asked: only the worst group by Holm can be stopped early"
        if self.claim.by_group:
            return "all items were asked: groups with margins of their own cannot be stopped early"
        if any(item.cluster is not None for item in items):
            return "all items were asked: groups of clustered items cannot be stopped early"
        sizes = Counter(group for item in items for group in item.groups)
        smallest = min(sizes, key=lambda group: sizes[group])
        fewest = surely_enough(self.criterion, self.quantity)
        why = obstacle(sizes[smallest], clustered=False, scope=self.settings.scope, fewest=fewest)
        return f"{why} in {smallest}" if why else _PairedGroupTest(self, sizes)


class _PairedGroupTest:
    """A sequential test of all groups, which is given pairs."""

    def __init__(self, claim: GroupsClaim, sizes: Counter[str]) -> None:
        """Start before the first item; `sizes` are the groups' of the whole suite."""
        self._quantity = claim.quantity
        self._criterion = criterion = claim.criterion
        self._test = GroupSequentialTest(
            sizes,
            margin=criterion.pass_margin,
            fail_margin=criterion.fail_margin,
            support=claim.quantity.support,
            confidence=criterion.remaining_confidence,
            scope=criterion.scope,
        )

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """See the next items."""
        values = [self._quantity.of(pair) for pair in pairs]
        return self._test.update(values, [pair.item.groups for pair in pairs])

    def decision(self) -> GroupDecision:
        """The decision so far."""
        joint = self._test.decision()
        rescaled = {name: corrected(one, self._criterion) for name, one in joint.decisions.items()}
        return dataclasses.replace(joint, decisions=rescaled, margin=self._criterion.margin)
