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
    decide_groups,
    decide_mean,
    rule_of_three,
)
from pytest_llmsafety.stats.fixed_sample import on_true_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.measurements.measurement import PairedScore
    from pytest_llmsafety.stats import ScorerAccuracy
    from pytest_llmsafety.types import Item


FLIPS, AGREEMENT, RATIO = OTHERS
"""Quantities other than a measurement's own score that assertions of this package gate."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """What an assertion wants shown: a margin, and how surely.

    `quantity` names what the margin is about, where that is not the measurement's own score
    (`flips`): the run then gives its margin as `NAME.quantity` and not as `NAME`. `worst` is the
    largest possible change of an unseen cluster, as a share of the largest change that the score
    allows: 1 assumes nothing, and None leaves it to the statistics.

    `gate` fills in the rest from the settings of the run. `by_group` are margins of single groups,
    in place of `margin`. `scope` is `population` or `suite`. `keys` are the margins of the run that
    replaced the assertion's own.

    Raises:
        ConfigurationError: a margin, confidence or `worst` outside its range.

    """

    margin: float
    confidence: float = 0.95
    by_group: tuple[tuple[str, float], ...] = ()
    quantity: str = ""
    worst: float | None = None
    keys: tuple[str, ...] = ()
    scope: str = "population"

    def __post_init__(self) -> None:
        """Check the numbers before any model is asked."""
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
            scope=settings.scope,
        )

    def about(self, group: str) -> Claim:
        """Return the claim about one group."""
        own = dict(self.by_group).get(group, self.margin)
        return dataclasses.replace(self, margin=own, by_group=())

    def criterion(self, accuracy: ScorerAccuracy | None = None) -> Criterion:
        """Return what a decision has to show, given how often the scorer is right."""
        return Criterion(self.margin, self.confidence, self.scope, accuracy)

    def worst_in(self, pairs: Sequence[PairedScore], support: tuple[float, float]) -> float | None:
        """Return the largest change of an unseen cluster in the unit of the values.

        None where `worst` was not given, and where each item is a unit: the range of its change is
        known.
        """
        labels = clusters(pairs)
        if self.worst is None or labels is None or len(set(labels)) == len(labels):
            return None
        return self.worst * support[1]


def is_number(value: object) -> bool:
    """Return whether a value is an int or a float, and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def require_known(name: str, value: str, known: Sequence[str]) -> None:
    """Raise UnknownNameError unless `value` is one of the known words of an argument."""
    if value not in known:
        raise UnknownNameError(name, value, known)


def require_reach(claim: Claim, name: str, support: tuple[float, float]) -> None:
    """Raise ConfigurationError for a margin that no change within `support` can exceed."""
    low, high = support
    if claim.margin >= high - low:
        message = (
            f"the margin {claim.margin:g} of {name} can never be exceeded: its scores range from "
            f"{low:g} to {high:g}. Expected a smaller one, such as 0.02."
        )
        raise ConfigurationError(message)


def for_groups(measured: Measured, claim: Claim, names: Iterable[str]) -> Claim:
    """Return the claim with the margins of these groups only.

    Raises UnknownNameError for a margin of another group. With the built-in model, which has groups
    of its own, such margins of a project are ignored.
    """
    known = sorted(names)
    unknown = [group for group, _ in claim.by_group if group not in known]
    if unknown and not measured.pair.model.is_phantom:
        kind = f"group in {TABLE[:-1]}.{measured.name}] on {measured.dataset}:"
        raise UnknownNameError(kind, unknown[0], known)
    by_group = tuple(row for row in claim.by_group if row[0] in known)
    return dataclasses.replace(claim, by_group=by_group)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a claim is about: a number for each pair, inside `support`; larger is worse."""

    of: Callable[[PairedScore], float]
    support: tuple[float, float]


def worsening(measured: Measured) -> Quantity:
    """Return the change of an item's score, turned so that larger is worse."""
    higher = measured.higher_is_better
    return Quantity(lambda pair: pair.worsening_of(higher), delta_support(measured))


def _fewest_units(criterion: Criterion, quantity: Quantity) -> int:
    """Return the units of which identical outputs surely pass at some look.

    That is twice the rule of three.
    """
    return 2 * rule_of_three(criterion.pass_margin, worst=quantity.support[1])


@dataclasses.dataclass(frozen=True)
class MeanClaim:
    """The claim that the mean of a quantity is below the margin."""

    quantity: Quantity
    claim: Claim
    accuracy: ScorerAccuracy | None = None

    def at_once(self, pairs: Sequence[PairedScore]) -> Decision:
        """Decide after all items were asked, with clusters as units where there are any."""
        return decide_mean(
            [self.quantity.of(pair) for pair in pairs],
            margin=self.claim.margin,
            support=self.quantity.support,
            clusters=clusters(pairs),
            confidence=self.claim.confidence,
            scope=self.claim.scope,
            worst=self.claim.worst_in(pairs, self.quantity.support),
            scorer_accuracy=self.accuracy,
        )

    def sequential_test(self, items: Sequence[Item]) -> _PairedTest | str:
        """Return the sequential test on `items`, or why there is none."""
        sizes = [len(unit) for unit in units_of(items)]
        clustered, scope = len(sizes) < len(items), self.claim.scope
        # The stake on a large unit is smaller, so that more units are needed.
        largest = max(sizes) * len(sizes) / sum(sizes)
        criterion = self.claim.criterion(self.accuracy)
        fewest = math.ceil(_fewest_units(criterion, self.quantity) * largest)
        why = obstacle(len(sizes), clustered=clustered, scope=scope, fewest=fewest)
        return why or _PairedTest(self.quantity, criterion, sizes)


class _PairedTest:
    """A sequential test of one mean that takes pairs; `sizes` are all units' sizes."""

    def __init__(self, quantity: Quantity, criterion: Criterion, sizes: Sequence[int]) -> None:
        self._quantity = quantity
        self._criterion = criterion
        self._test = SequentialTest(
            margin=criterion.pass_margin,
            fail_margin=criterion.fail_margin,
            support=quantity.support,
            n_max=len(sizes),
            confidence=criterion.remaining_confidence,
            scope=criterion.scope,
            mean_size=sum(sizes) / len(sizes),
            max_size=max(sizes),
        )

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """Add the next pairs, whole units of them, and return the outcome."""
        rows = {pair.item.id: self._quantity.of(pair) for pair in pairs}
        units = units_of([pair.item for pair in pairs])
        return self._test.update(
            [sum(rows[item.id] for item in unit) for unit in units],
            [len(unit) for unit in units],
            items=list(rows.values()),
        )

    def decision(self) -> Decision:
        """Return the decision so far."""
        return on_true_scale(self._test.decision(), self._criterion)


@dataclasses.dataclass(frozen=True)
class GroupsClaim:
    """The claim that the mean of a quantity is below the margin in every group."""

    quantity: Quantity
    claim: Claim
    accuracy: ScorerAccuracy | None = None
    contrast: str = "worst"
    correction: str = "holm"

    def at_once(self, pairs: Sequence[PairedScore]) -> GroupDecision:
        """Decide after all items were asked."""
        grouped = [pair for pair in pairs if pair.item.groups]
        return decide_groups(
            [self.quantity.of(pair) for pair in grouped],
            [pair.item.groups for pair in grouped],
            margin=self.claim.margin,
            margins=dict(self.claim.by_group),
            support=self.quantity.support,
            clusters=clusters(grouped),
            confidence=self.claim.confidence,
            scope=self.claim.scope,
            contrast=self.contrast,
            correction=self.correction,
            worst=self.claim.worst_in(grouped, self.quantity.support),
            scorer_accuracy=self.accuracy,
        )

    def sequential_test(self, items: Sequence[Item]) -> _PairedGroupTest | str:
        """Return the sequential test on `items`, or why there is none."""
        if self.contrast != "worst" or self.correction != "holm":
            return "all items were asked: only the worst group by Holm can be stopped early"
        if self.claim.by_group:
            return "all items were asked: groups with margins of their own cannot be stopped early"
        if any(item.cluster is not None for item in items):
            return "all items were asked: groups of clustered items cannot be stopped early"
        sizes = Counter(group for item in items for group in item.groups)
        smallest = min(sizes, key=lambda group: sizes[group])
        criterion = self.claim.criterion(self.accuracy)
        fewest = _fewest_units(criterion, self.quantity)
        why = obstacle(sizes[smallest], clustered=False, scope=self.claim.scope, fewest=fewest)
        return f"{why} in {smallest}" if why else _PairedGroupTest(self.quantity, criterion, sizes)


class _PairedGroupTest:
    """A sequential test of all groups that takes pairs; `sizes` are the groups' sizes."""

    def __init__(self, quantity: Quantity, criterion: Criterion, sizes: Counter[str]) -> None:
        self._quantity = quantity
        self._criterion = criterion
        self._test = GroupSequentialTest(
            sizes,
            margin=criterion.pass_margin,
            fail_margin=criterion.fail_margin,
            support=quantity.support,
            confidence=criterion.remaining_confidence,
            scope=criterion.scope,
        )

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """Add the next pairs, and return the outcome of all groups together."""
        values = [self._quantity.of(pair) for pair in pairs]
        return self._test.update(values, [pair.item.groups for pair in pairs])

    def decision(self) -> GroupDecision:
        """Return the joint decision so far."""
        joint = self._test.decision()
        rescaled = {
            name: on_true_scale(one, self._criterion) for name, one in joint.decisions.items()
        }
        return dataclasses.replace(joint, decisions=rescaled, margin=self._criterion.margin)
