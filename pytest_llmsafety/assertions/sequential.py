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
LOOK = 64
MOST_LOOKS = 64


class PairedTest(Protocol[D_co]):
    """A sequential test in progress."""

    def update(self, pairs: Sequence[PairedScore]) -> Outcome:
        """See the next items; the first decisive outcome is final."""

    def decision(self) -> D_co:
        """The decision after the items seen so far."""


class Claimed(Protocol[D_co]):
    """A claim about a measurement, which can be decided in two ways."""

    def at_once(self, pairs: Sequence[PairedScore]) -> D_co:
        """Decide when all items have been asked."""

    def sequential_test(self, items: Sequence[Item]) -> PairedTest[D_co] | str:
        """A sequential test of the claim on `items`, or why there can be none."""


def units_of(items: Sequence[Item]) -> list[list[Item]]:
    """Items by cluster, in the order in which they are asked."""
    runs = groupby(items, key=lambda item: (item.cluster, item.cluster or item.id))
    return [list(run) for _, run in runs]


def decide(measured: Measured, claimed: Claimed[D]) -> tuple[Measurement, D, str]:
    """Ask as many items as the claim needs; the last text says why all were asked, if so.

    Raises NotComparableError as `comparable`.
    """
    if not isinstance(measured, LazyMeasurement) or not measured.settings.early_stop:
        taken = measured.all()
        return taken, claimed.at_once(comparable(taken)), ""
    require_sound(measured)
    test = claimed.sequential_test(measured.items)
    if isinstance(test, str):
        taken = measured.all()
        return taken, claimed.at_once(comparable(taken)), test
    return _run(measured, claimed, test)


def _run(
    measured: LazyMeasurement, claimed: Claimed[D], test: PairedTest[D]
) -> tuple[Measurement, D, str]:
    """Ask block after block until the test has decided, or an item has no score."""
    seen = 0
    for n in looks(measured.items):
        pairs = measured.pairs(n)
        if any(pair.missing for pair in pairs[seen:]):
            taken = measured.first(n)
            return taken, claimed.at_once(comparable(taken)), ""
        outcome, seen = test.update(pairs[seen:]), n
        whole_p = outcome is Outcome.FAIL and measured.settings.family == "session"
        if outcome is not Outcome.INCONCLUSIVE and not whole_p:
            break
    return measured.first(seen), test.decision(), ""


def looks(items: Sequence[Item]) -> Iterator[int]:
    """Numbers of items after which the test may decide: 64 units apart, or a 64th of all.

    A unit is an item, or a cluster, which is never cut.
    """
    ends = list(accumulate(map(len, units_of(items))))
    step = max(LOOK, -(-len(ends) // MOST_LOOKS))
    yield from ends[step - 1 : -1 : step]
    yield ends[-1]


def asked(measured: Measured, n: int) -> Sequence[PairedScore]:
    """Return the pairs that a verdict is about, without asking any further item."""
    pairs = measured.pairs
    return pairs(n) if callable(pairs) else pairs


def obstacle(n_units: int, *, clustered: bool, scope: str, fewest: int = 0) -> str:
    """Why so many independent units are asked all at once; empty when they need not be.

    The choice rests on what is known before anything is asked: the number of units, and `fewest`,
    the number that the margin asks for at least.
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
