"""Which measurements each assertion applies to; each one states it where it is defined."""

from __future__ import annotations

import dataclasses
import math
from functools import wraps
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeVar, cast

from pytest_llmsafety.datasets.item_kinds import fitting
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.catalog import measuring
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict

FOLDER = __name__.rpartition(".")[0]
PACKAGE = __name__.partition(".")[0]

A = TypeVar("A", bound="Callable[..., Verdict]")


@dataclasses.dataclass(frozen=True)
class Applicability:
    """Which measurements an assertion applies to.

    `own` are the kinds of measurement that belong to this assertion first, and `also` the other
    kinds that it accepts; without any, every kind is accepted. Their scores have this direction
    and are or are not `bounded` (None: either), and their items are instances of `items`. A metric
    of another package may state no kind. Unless `stated` is True, the assertion then goes by its
    scores and items alone. `module` is where an assertion of this package is defined.
    """

    own: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    higher_is_better: bool | None = None
    bounded: bool | None = None
    items: tuple[type[Item], ...] = (Item,)
    stated: bool = False
    module: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return all kinds of measurement that are accepted, the assertion's own ones first."""
        return (*self.own, *self.also)

    def obstacle(self, measured: Measured) -> str:
        """Return why the scores of a measurement do not fit, empty where they do."""
        kind, higher, support = measured.measures, measured.higher_is_better, measured.support
        if kind and self.kinds and kind not in self.kinds:
            return f"it measures {kind}"
        if not kind and self.stated:
            return f"its metric does not state that it measures {self.kinds[0]}"
        if self.higher_is_better not in {None, higher}:
            return f"of its score {'more' if higher else 'less'} is better"
        bounded = all(map(math.isfinite, support))
        if self.bounded not in {None, bounded}:
            return "its scores lie between {:g} and {:g}".format(*support)
        return ""

    def accepts_items(self, measured: Measured) -> bool:
        """Return whether all items of a measurement have the right type."""
        return all(isinstance(item, self.items) for item in measured.items)


_registered: dict[str, Applicability] = {}
"""What each assertion of this package applies to, by name."""


def applies_to(
    *own: str,
    also: tuple[str, ...] = (),
    higher_is_better: bool | None = None,
    bounded: bool | None = None,
    items: tuple[type[Item], ...] = (Item,),
    stated: bool = False,
) -> Callable[[A], A]:
    """Make an assertion refuse every measurement that it does not apply to.

    The arguments are those of `Applicability`. The decorated function raises ConfigurationError,
    before any model is asked, for a measurement that does not fit. An assertion of this package is
    registered, too: its public name and its rows in the docs' tables follow from that.
    """
    given = Applicability(own, also, higher_is_better, bounded, items, stated)

    def decorate(assertion: A) -> A:
        name = assertion.__name__
        if assertion.__module__.startswith(f"{PACKAGE}."):
            _registered[name] = dataclasses.replace(given, module=assertion.__module__)

        @wraps(assertion)
        def checked(measurement: Measured, *others: object, **arguments: object) -> Verdict:
            require_applicable(name, given, measurement)
            return assertion(measurement, *others, **arguments)

        return cast("A", checked)

    return decorate


def packaged_assertions() -> dict[str, Applicability]:
    """Return what each assertion of this package applies to, by name; imports all of them."""
    for file in iter_modules(import_module(FOLDER).__path__):
        import_module(f"{FOLDER}.{file.name}")
    return dict(sorted(_registered.items()))


def assertions_for(measured: Measured) -> list[str]:
    """Return the names of the assertions that apply to a measurement, the most specific first."""
    fits = [
        (bool(measured.measures) and measured.measures not in given.own, len(given.also), name)
        for name, given in packaged_assertions().items()
        if not given.obstacle(measured) and given.accepts_items(measured)
    ]
    return [name for *_, name in sorted(fits)]


def require_applicable(assertion: str, given: Applicability, measured: Measured) -> None:
    """Raise ConfigurationError for a measurement that an assertion does not apply to."""
    if not hasattr(measured, "measures"):
        example = next(iter(measuring(*given.kinds[:1])), "NAME")
        message = (
            f"{assertion} was given {measured!r}. Expected what the fixture `measure` returns, as "
            f'in {assertion}(measure("{example}"), margin=...).'
        )
        raise ConfigurationError(message)
    why = given.obstacle(measured)
    if not why and given.accepts_items(measured):
        return
    if why:
        names = either(f'"{name}"' for name in measuring(*given.kinds) or given.kinds)
        expected = f"measure({names})"
    else:
        types = either(kind.__name__ for kind in given.items)
        why = f"its items are not of the kind {types}"
        names = either(f'"{name}"' for name in fitting(*given.items))
        expected = f"a data set of such items: dataset={names}"
    fits = assertions_for(measured)
    advice = (
        f"For {measured.name} use {either(fits)}."
        if fits
        else "No assertion of this package fits. docs/custom-assertion.md shows how to write one."
    )
    message = (
        f"{assertion} does not apply to {measured.name} on {measured.dataset}: {why}. "
        f"Expected {expected}. {advice}"
    )
    raise ConfigurationError(message)


def either(names: Iterable[str]) -> str:
    """Return names as a choice: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
