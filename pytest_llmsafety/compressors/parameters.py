"""Declare what the parameters of a method are, and read and check those of a step.

A step is a method and its parameters in any order, a colon before each. A parameter is one of:

- a whole number (bits), or a fraction (sparsity);
- `2:4` (N of every M neighbours become zero): two neighbouring whole numbers are N:M wherever the
  method takes N:M;
- `g128` (weights that share a scale);
- a word, or `name=value`, whose value holds no colon.

No torch here: specs are checked before anything is loaded.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.specs import Step

WHOLE = re.compile(r"[0-9]{1,9}")
NUMBER = re.compile(r"[0-9]{1,9}|[0-9]{0,9}\.[0-9]{1,18}|[0-9]{1,3}(\.[0-9]{1,18})?e-?[0-9]{1,2}")
GROUP = re.compile(r"g([0-9]{1,9})")
LAST_NUMBER = re.compile(r"[0-9]+$")
LONGEST_ERROR = 400  # characters: beyond them what a word means is left to the docs


@dataclass(frozen=True)
class Key:
    """One `name=value`: a `whole` number or a `number` from `low` to `high`, or any `text`."""

    name: str
    meaning: str
    kind: str = "number"
    low: float = 0
    high: float = math.inf

    def read(self, text: str) -> float | int | str:
        """Return the value. Raises ValueError that says what was expected."""
        if self.kind == "text":
            if text:
                return text
            message = f"{self.name}= has no value"
            raise ValueError(message)
        form, make = (WHOLE, int) if self.kind == "whole" else (NUMBER, float)
        if form.fullmatch(text) and self.low <= make(text) <= self.high:
            return make(text)
        kind = "a whole number" if self.kind == "whole" else "a number"
        most = "" if math.isinf(self.high) else f" to {self.high:g}"
        message = f"{self.name} has to be {kind} from {self.low:g}{most}, '{text}' was given"
        raise ValueError(message)


CALIBRATION = (
    Key("nsamples", "calibration sequences (128)", "whole", low=1),
    Key("seqlen", "tokens of each (2048, or as many as the model reads)", "whole", low=2),
)


@dataclass(frozen=True)
class Parameters:
    """What a method takes. Bits, a sparsity, N:M or a choice that it takes is also needed.

    `example` is a whole spec. `bits` is the range of whole numbers. `choices` are words of which
    exactly one is given, `flags` words of which any may be given (each with its meaning). `rest`
    names the one parameter of a method that keeps everything after its first colon as it is
    (`PATH`). A `calibrated` method looks at calibration texts and takes nsamples= and seqlen=. A
    `seeded` one depends on the seed in another way.
    """

    example: str
    bits: tuple[int, int] | None = None
    sparsity: bool = False
    pattern: bool = False
    group: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    keys: tuple[Key, ...] = ()
    rest: str = ""
    calibrated: bool = False
    seeded: bool = False

    @property
    def all_keys(self) -> dict[str, Key]:
        """Return every `name=value` by name, with nsamples= and seqlen= of a calibrated method."""
        keys = self.keys + (CALIBRATION if self.calibrated else ())
        return {key.name: key for key in keys}

    def describe(self, method: str, *, meanings: bool = True) -> list[str]:
        """Return what the method takes, one phrase each, for errors and docs."""
        if self.rest:
            return [f"{method}:{self.rest}"]
        amounts = [f"bits from {self.bits[0]} to {self.bits[1]}"] if self.bits else []
        amounts += ["a sparsity in (0, 1) such as 0.5"] if self.sparsity else []
        amounts += ["N:M such as 2:4"] if self.pattern else []
        found = [" or ".join(amounts)] if amounts else []
        if self.choices:
            found.append(" or ".join(f"{method}:{word}" for word, _ in self.choices))
        found += ["g and a group size such as g128"] if self.group else []
        named = [*self.flags, *((f"{key.name}=", key.meaning) for key in self.all_keys.values())]
        return found + [f"{word} ({meaning})" if meanings else word for word, meaning in named]


@dataclass(frozen=True)
class Values:
    """The parameters of one step, read; None (or nothing) where not given."""

    bits: int | None = None
    sparsity: float | None = None
    pattern: tuple[int, int] | None = None
    group_size: int | None = None
    choice: str = ""
    flags: frozenset[str] = frozenset()
    keys: tuple[tuple[str, float | int | str], ...] = ()
    rest: str = ""

    def key(self, name: str) -> float | int | str | None:
        """Return the value of `name=value`; None where it is not given."""
        return dict(self.keys).get(name)

    def number(self, name: str, default: float) -> float:
        """Return the value of a numeric `name=value`, or `default`."""
        value = self.key(name)
        return default if value is None else float(value)

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return what was given, as (name, text), for the record."""
        pattern = self.pattern and f"{self.pattern[0]}:{self.pattern[1]}"
        rows = [("bits", self.bits), ("sparsity", self.sparsity), ("pattern", pattern)]
        rows += [("group size", self.group_size), ("choice", self.choice or None)]
        rows += [(flag, "yes") for flag in sorted(self.flags)] + list(self.keys)
        return tuple((name, str(value)) for name, value in rows if value is not None)


def read(step: Step, declared: Parameters) -> Values:
    """Return the values of `step`.

    Raises ConfigurationError that says what was given, what the method takes, and an example.
    """
    if declared.rest:
        if not step.parameter:
            raise _error(step, declared, "the parameter is missing")
        return Values(rest=step.parameter)
    try:
        return _Reader(declared).read(step.parameter)
    except ValueError as error:
        raise _error(step, declared, str(error)) from None


def _error(step: Step, declared: Parameters, problem: str) -> ConfigurationError:
    """Return the error that explains the grammar of one method, with meanings if there is room."""
    start = f"'{step}': {problem}. Write it like {declared.example}. {step.method} takes "
    full, names = (
        "; ".join(declared.describe(step.method, meanings=meanings)) for meanings in (True, False)
    )
    takes = full if len(start + full) < LONGEST_ERROR else names
    return ConfigurationError(f"{start}{takes or 'no parameter'}.")


@dataclass
class _Reader:
    """Reads the parts of one parameter; raises ValueError that says what is wrong."""

    declared: Parameters
    values: dict[str, float | int | str | tuple[int, int]] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    keys: dict[str, float | int | str] = field(default_factory=dict)

    def read(self, parameter: str) -> Values:
        if any(part.split() != [part] for part in parameter.split(":") if "=" not in part and part):
            message = "it holds a blank, and a spec has no blanks"
            raise ValueError(message)
        for part in self._parts(parameter):
            self._take(part)
        declared = self.declared
        amounts = {"bits", "sparsity", "pattern"} & self.values.keys()
        if "sparsity" in amounts and "pattern" in amounts:
            message = "a sparsity and N:M were given, expected one of them"
            raise ValueError(message)
        if self.values.get("sparsity") == 0 and "alloc" not in self.keys:
            message = "a sparsity of 0 removes nothing"
            raise ValueError(message)
        if (declared.bits or declared.sparsity or declared.pattern) and not amounts:
            message = "its strength is missing"
            raise ValueError(message)
        if declared.choices and "choice" not in self.values:
            message = "a word is missing"
            raise ValueError(message)
        given: dict[str, object] = dict(self.values)
        return Values(**given, flags=frozenset(self.flags), keys=tuple(sorted(self.keys.items())))  # type: ignore[arg-type]

    def _parts(self, parameter: str) -> Iterator[str]:
        """Yield the parts between colons; N:M stays one part where the method takes it."""
        parts = parameter.split(":") if parameter else []
        while parts:
            part = parts.pop(0)
            if self.declared.pattern and parts and WHOLE.fullmatch(part):
                part += f":{parts.pop(0)}" if WHOLE.fullmatch(parts[0]) else ""
            yield part

    def _take(self, part: str) -> None:
        declared = self.declared
        name, equals, value = part.partition("=")
        if ":" in part:
            self._once("pattern", _pattern(part))
        elif equals and name in declared.all_keys:
            if name in self.keys:
                message = f"{name}= was given twice"
                raise ValueError(message)
            self.keys[name] = declared.all_keys[name].read(value)
        elif declared.bits and WHOLE.fullmatch(part):
            self._once("bits", _bits(part, declared.bits))
        elif declared.sparsity and NUMBER.fullmatch(part):
            self._once("sparsity", _sparsity(part))
        elif declared.group and GROUP.fullmatch(part):
            self._once("group_size", _group_size(part))
        elif part in dict(declared.choices):
            self._once("choice", part)
        elif part in dict(declared.flags) and part not in self.flags:
            self.flags.add(part)
        else:
            raise ValueError(self._unknown(part))

    def _once(self, name: str, value: float | str | tuple[int, int]) -> None:
        if name in self.values:
            message = f"two values were given for {name.replace('_', ' ')}"
            raise ValueError(message)
        self.values[name] = value

    def _unknown(self, part: str) -> str:
        if part in self.flags:
            return f"{part} was given twice"
        words = [word for word, _ in (*self.declared.choices, *self.declared.flags)]
        words += [f"{name}=" for name in self.declared.all_keys]
        if not part:
            return "a parameter is empty"
        hint = f" (did you mean {close}?)" if (close := _closest(part, words)) else ""
        return f"'{part}' is not a parameter of it{hint}"


def _closest(part: str, words: list[str]) -> str:
    """Return the word that was probably meant: a similar one, or one with the same last number."""
    name = part.partition("=")[0]
    found = difflib.get_close_matches(name, words, n=1, cutoff=0.5)
    number = LAST_NUMBER.search(name)
    found += [word for word in words if number and word.endswith(number[0])]
    return found[0] if found else ""


def _bits(part: str, allowed: tuple[int, int]) -> int:
    low, high = allowed
    if not low <= int(part) <= high:
        message = f"{part} bits are outside {low}..{high}"
        raise ValueError(message)
    return int(part)


def _sparsity(part: str) -> float:
    """Return a share below 1; 0 is refused once the other parameters are known."""
    share = float(part)
    if share >= 1:
        percent = f" (for {part} percent write {share / 100:g})" if 2 <= share < 100 else ""  # noqa: PLR2004
        message = f"the sparsity {part} is outside (0, 1){percent}"
        raise ValueError(message)
    return share


def _pattern(part: str) -> tuple[int, int]:
    n, m = map(int, part.split(":"))
    if not 0 < n < m:
        message = f"{part} is not N:M: N of every M neighbours become zero, so 0 < N < M"
        raise ValueError(message)
    return n, m


def _group_size(part: str) -> int:
    size = int(part[1:])
    if size < 2:  # noqa: PLR2004 - one weight alone needs no scale
        message = f"the group size {size} is smaller than 2"
        raise ValueError(message)
    return size
