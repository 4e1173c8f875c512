"""How many items a decision takes: all of them, or as many as a sequential test needs."""

from __future__ import annotations

from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_llmsafety.assertions.paired_scores import comparable, require_sound
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_llmsafety.measurements.measurement import Measurement, PairedScore
    from pytest_llmsafety.types import Item

    Measured = Measurement | LazyMeasurement

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)

FEWEST_ITEMS = 1000
FEWEST_CLUSTERS = 200
"""Units below which stopping early costs more power than it saves items."""
LOOK = 64
MOST_LOOKS = 64


class PairedTest(Protocol[D_co]):
    """A sequential test in progress that takes pairs."""

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """Add the next pairs and return the outcome; the first decisive one is final."""

    def decision(self) -> D_co:
        """Return the decision so far."""


class DecidableClaim(Protocol[D_co]):
    """A claim about a measurement that can be decided at once or by a sequential test."""

    def at_once(self, pairs: Sequence[PairedScore]) -> D_co:
        """Decide after all items were asked."""

    def sequential_test(self, items: Sequence[Item]) -> PairedTest[D_co] | str:
        """Return the sequential test of the claim on `items`, or why there is none."""


def decide(measured: Measured, claimed: DecidableClaim[D]) -> tuple[Measurement, D, str]:
    """Ask as many items as the claim needs, and return them with the decision.

    The last text says why all items were asked, where stopping early was wanted and not possible.
    Raises NotComparableError and NothingScoredError as `comparable`.
    """
    if not isinstance(measured, LazyMeasurement) or not measured.settings.early_stop:
        finished = measured.all()
        return finished, claimed.at_once(comparable(finished)), ""
    require_sound(measured)
    test = claimed.sequential_test(measured.items)
    if isinstance(test, str):
        finished = measured.all()
        return finished, claimed.at_once(comparable(finished)), test
    return _run(measured, claimed, test)


def _run(
    measured: LazyMeasurement, claimed: DecidableClaim[D], test: PairedTest[D]
) -> tuple[Measurement, D, str]:
    """Ask block after block until the test has decided, or an item has no score."""
    seen = 0
    for n in looks(measured.items):
        pairs = measured.pairs(n)
        if any(pair.missing for pair in pairs[seen:]):
            finished = measured.first(n)
            return finished, claimed.at_once(comparable(finished)), ""
        outcome, seen = test.update(pairs[seen:]), n
        # A FAIL that is corrected over a session needs the p-value of all items.
        whole_p = outcome is Outcome.FAIL and measured.settings.family == "session"
        if outcome is not Outcome.INCONCLUSIVE and not whole_p:
            break
    return measured.first(seen), test.decision(), ""


def looks(items: Sequence[Item]) -> Iterator[int]:
    """Yield the numbers of items after which the test looks: every 64 units, or a 64th of all.

    A unit is an item or a whole cluster.
    """
    ends = list(accumulate(map(len, units_of(items))))
    step = max(LOOK, -(-len(ends) // MOST_LOOKS))
    yield from ends[step - 1 : -1 : step]
    yield ends[-1]


def units_of(items: Sequence[Item]) -> list[list[Item]]:
    """Return the items by cluster, in the order in which they are asked."""
    runs = groupby(items, key=lambda item: (item.cluster, item.cluster or item.id))
    return [list(run) for _, run in runs]


def asked(measured: Measured, n: int) -> Sequence[PairedScore]:
    """Return the `n` pairs that a verdict is about, without asking any further item."""
    pairs = measured.pairs
    return pairs(n) if callable(pairs) else pairs


def obstacle(n_units: int, *, clustered: bool, scope: str, fewest: int = 0) -> str:
    """Return why so many independent units are asked all at once; empty when they need not be.

    The choice depends on what is known before any item is asked: the number of units, and
    `fewest`, the number that the margin needs.
    """
    fewest_items = max(FEWEST_ITEMS, fewest)
    fewest_clusters = FEWEST_CLUSTERS if scope == "suite" else max(FEWEST_CLUSTERS, fewest)
    if clustered and n_units < fewest_clusters:
        return (
            f"all items were asked: stopping early needs {fewest_clusters} clusters, "
            f"and there are {n_units}"
        )
    if not clustered and scope == "population" and n_units < fewest_items:
        return (
            f"all items were asked: stopping early costs power below {fewest_items:,} items, "
            f"and there are {n_units}"
        )
    return ""
