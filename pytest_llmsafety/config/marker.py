"""The settings that the marker `llmsafety` gives one test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_llmsafety.config.margins import read_margin
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.specs import CompressionSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKER = "llmsafety"
KEYWORDS = ("margin", "limit", "confidence", "worst", "compress")


@dataclass(frozen=True)
class Override:
    """Settings of one test; None leaves the setting of the run.

    `margin` applies to every assertion of the test. The test is for `compressions` only; empty
    for all.
    """

    margin: float | None = None
    limit: int | None = None
    confidence: float | None = None
    worst: float | None = None
    compressions: tuple[CompressionSpec, ...] = ()

    @classmethod
    def read(cls, args: Sequence[object], kwargs: Mapping[str, Any]) -> Override:
        """Return the settings in a marker. Raises ConfigurationError that names the argument."""
        if args:
            message = (
                f"the marker {MARKER} takes no argument without a name, got {args[0]!r}. Expected "
                f"{', '.join(f'{name}=' for name in KEYWORDS)}."
            )
            raise ConfigurationError(message)
        for name in kwargs:
            if name not in KEYWORDS:
                kind = f"argument of the marker {MARKER}"
                raise UnknownNameError(kind, name, KEYWORDS)
        margin, limit, confidence, worst = (kwargs.get(name) for name in KEYWORDS[:4])
        if limit is not None and (type(limit) is not int or limit < 1):
            _refuse("limit", limit, "a whole number from 1 on")
        if confidence is not None and not (type(confidence) is float and 1 / 2 < confidence < 1):
            _refuse("confidence", confidence, "a number between 0.5 and 1, such as 0.95")
        if worst is not None and not (type(worst) in {int, float} and 0 < worst <= 1):
            _refuse("worst", worst, "a number above 0 and at most 1; 1.0 assumes nothing")
        return cls(
            margin if margin is None else read_margin(f"marker {MARKER}, margin", margin),
            limit,
            confidence,
            worst,
            _compressions(kwargs.get("compress")),
        )

    def includes(self, spec: CompressionSpec) -> bool:
        """Return whether the test is for a compression."""
        return not self.compressions or spec in self.compressions


def _compressions(value: object) -> tuple[CompressionSpec, ...]:
    from pytest_llmsafety import compressors

    if value is None:
        return ()
    parts: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        _refuse("compress", value, "a text such as 'int4', or a list of such texts")
    specs = CompressionSpec.parse_list(",".join(parts))
    for spec in specs:
        compressors.check(spec)
    return specs


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    message = f"marker {MARKER}, {name}: expected {expected}, got {value!r}"
    raise ConfigurationError(message)
