"""Models, compressions and margins as the user named them, parsed once.

A compression is one step, or several joined by `+`. A step is a method and its parameters, each
after a colon (`gptq:4:g128`, `checkpoint:PATH+int8`); compressors/parameters.py says which
parameters a method has. `@seed=1` at the very end draws the calibration texts with that seed,
and `@seed=0..2` stands for three compressions. Commas separate compressions. Commas and plus
signs always separate, so a path with one needs a link of another name; a path may have colons.
`alphapruning:wanda:0.7` is another spelling of `wanda:0.7:alpha`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from pathlib import Path

PHANTOM = "phantom"
TRANSFORMERS = "hf"
"""The backend of a model that names none."""
OF_BACKEND = re.compile(r"(?P<backend>[a-z][a-z0-9_-]+):(?P<name>.+)", re.DOTALL)
"""A model of another backend. A folder that looks like one is written with ./ before it."""
DENSE = "dense"
CORE = "core"
"""The word for the packaged data sets, after --llmsafety-data; a folder so named is ./core."""
ALPHAPRUNING = "alphapruning"
DTYPES = ("auto", "float32", "bfloat16", "float16")
SEEDS = re.compile(r"(?P<steps>.*)@seed=(?P<first>[0-9]{1,9})(\.\.(?P<last>[0-9]{1,9}))?")
MOST_SEEDS = 100
DELTA = re.compile(
    r"(?P<base>.+?)(?P<rest>(:([0-9.]+|sign|nearest|(nsamples|seqlen|damp)=[^:]*))*)", re.DOTALL
)


@dataclass(frozen=True)
class ModelSpec:
    """A model as the user named it.

    `name` is a local folder, a hub id (`org/name`, with `revision` after `@`) or `phantom`, or
    whatever the `backend` calls its models. `dtype` is one of DTYPES; `auto` is bfloat16 on a GPU
    and float32 on a CPU. `device` is `auto`, `cpu`, `cuda`, `cuda:1`, ...; `auto:3` is `auto` for
    the fourth of several processes.
    """

    name: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    backend: str = TRANSFORMERS

    @property
    def is_phantom(self) -> bool:
        """Whether this is the built-in model."""
        return self.name == PHANTOM

    def __str__(self) -> str:
        """Return the name as the user types it."""
        name = f"{self.name}@{self.revision}" if self.revision else self.name
        return name if self.backend == TRANSFORMERS else f"{self.backend}:{name}"

    @classmethod
    def parse(
        cls, text: str, *, dtype: str = "auto", device: str = "auto", backend: str = ""
    ) -> ModelSpec:
        """Read `phantom`, a path, `org/name[@revision]`, or `BACKEND:NAME`.

        Where `backend` is given, colons in the text are letters of a path. A backend's name is
        looked up when it is used, not here. Raises ConfigurationError for an empty name or an
        unknown dtype.
        """
        text = text.strip()
        named = None if backend else OF_BACKEND.fullmatch(text)
        backend, text = (named["backend"], named["name"]) if named else (backend, text)
        name, at, revision = text.rpartition("@")
        if not at or name.startswith((".", "/", "~")):
            name, revision = text, ""
        if not name:
            message = "--model is empty. Expected a folder, a hub id such as org/name, or phantom."
            raise ConfigurationError(message)
        if dtype not in DTYPES:
            message = f"unknown dtype '{dtype}'. Known: {', '.join(DTYPES)}."
            raise ConfigurationError(message)
        return cls(name, revision or None, dtype, device, backend or TRANSFORMERS)


@dataclass(frozen=True)
class Step:
    """One method of a compression, and its parameters as one text: `gptq` and `4:g128`."""

    method: str
    parameter: str = ""

    def __str__(self) -> str:
        """Return the step as the user types it."""
        return f"{self.method}:{self.parameter}" if self.parameter else self.method

    @property
    def model(self) -> ModelSpec | None:
        """The other model that the step reads: `checkpoint:MODEL`, `delta:MODEL:...`."""
        if self.method not in ("checkpoint", "delta") or not self.parameter:
            return None
        name = self.before_parts if self.method == "delta" else self.parameter
        return ModelSpec.parse(name, backend=TRANSFORMERS)

    @property
    def before_parts(self) -> str:
        """The parameter up to the parts of `delta` at its end; it may contain colons."""
        found = DELTA.fullmatch(self.parameter)
        return found["base"] if found else ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of `delta` that follow the model: `1`, `sign`, `nsamples=64`, ..."""
        return tuple(self.parameter[len(self.before_parts) :].split(":")[1:])


@dataclass(frozen=True)
class CompressionSpec:
    """The steps that compress the dense model, in order.

    `seed` draws the calibration texts of every step; None stands for the run's seed.
    """

    steps: tuple[Step, ...]
    seed: int | None = None

    @property
    def is_dense(self) -> bool:
        """Whether this is an A/A run: the dense model is compared with itself."""
        return self.steps == (Step(DENSE),)

    def __str__(self) -> str:
        """Return the compression as the user types it; `parse` reads it back."""
        seed = "" if self.seed is None else f"@seed={self.seed}"
        return "+".join(map(str, self.steps)) + seed

    @classmethod
    def parse(cls, text: str) -> CompressionSpec:
        """Read one compression, such as `int4` or `wanda:2:4+int8@seed=1`.

        A method is checked against the table of compressors when it is used, not here.
        Raises ConfigurationError for an empty step, and for a range of seeds.
        """
        specs = cls._parse(text)
        if len(specs) > 1:
            message = (
                f"'{text}' stands for {len(specs)} compressions. Expected one, such as {specs[0]}; "
                "a range of seeds works in --compress only."
            )
            raise ConfigurationError(message)
        return specs[0]

    @classmethod
    def parse_list(cls, text: str) -> tuple[CompressionSpec, ...]:
        """Read `--compress`: compressions separated by commas, each at most once.

        `wanda:0.5@seed=0..2` becomes three. Raises ConfigurationError for one that is given
        twice, and for a comma inside a fraction (`wanda:0,5`) or a compression.
        """
        first, *others = text.split(",")
        for part in (other.strip() for other in others):
            if part[:1].isdigit():
                message = (
                    f"--compress: '{part}' in '{text}' names no method. A comma separates "
                    "compressions: a fraction has a dot (wanda:0.5), and each compression is "
                    "written in full (wanda:0.5,wanda:0.6)."
                )
                raise ConfigurationError(message)
        specs = tuple(spec for part in (first, *others) for spec in cls._parse(part))
        if len(set(specs)) != len(specs):
            message = f"--compress names a compression twice: '{text}'. Give each one once."
            raise ConfigurationError(message)
        return specs

    @classmethod
    def _parse(cls, text: str) -> list[CompressionSpec]:
        """Read one compression with its seeds: one spec for each seed."""
        listed, seeds = _seeds(text.strip())
        steps = []
        for part in listed.split("+"):
            method, _, parameter = part.strip().partition(":")
            if not method or part.strip().endswith(":"):
                message = (
                    f"cannot read the compression '{text}'. Expected method, method:parameter, "
                    "or several joined by '+', without blanks, such as int4 or "
                    "checkpoint:PATH+int8."
                )
                raise ConfigurationError(message)
            step = Step(method, parameter)
            steps.append(_alpha(step) if method == ALPHAPRUNING else step)
        spec = cls(tuple(steps))
        return [replace(spec, seed=seed) for seed in seeds]


def _alpha(step: Step) -> Step:
    method, _, parameter = step.parameter.partition(":")
    if not method[:1].isalpha() or not parameter:
        message = (
            f"'{step}': {ALPHAPRUNING} needs a pruning method with its sparsity. Write it like "
            f"{ALPHAPRUNING}:wanda:0.7, or wanda:0.7:alpha, which is the same."
        )
        raise ConfigurationError(message)
    return Step(method, f"{parameter}:alpha")


def _seeds(text: str) -> tuple[str, list[int] | list[None]]:
    """Split `steps@seed=0..2` into the steps and the seeds; without seeds into [None]."""
    if "@seed=" not in text:
        return text, [None]
    found = SEEDS.fullmatch(text)
    first = int(found["first"]) if found else 1
    last = int(found["last"] or first) if found else 0
    if not found or "@seed=" in found["steps"] or not 0 <= last - first < MOST_SEEDS:
        message = (
            f"cannot read the seeds of '{text}'. Expected @seed=N or @seed=FIRST..LAST once, at "
            f"the very end, with at most {MOST_SEEDS} seeds, such as wanda:0.5+int8@seed=0..2."
        )
        raise ConfigurationError(message)
    return found["steps"], list(range(first, last + 1))


@dataclass(frozen=True)
class AppliedMargin:
    """The margin of one assertion; `by_name`: the command line or pyproject.toml gives it.

    `by_group` holds (group, margin) of the groups that have a margin of their own.
    """

    margin: float
    by_group: tuple[tuple[str, float], ...] = ()
    by_name: bool = False


@dataclass(frozen=True)
class Margins:
    """The margins of a run by the place where each stands; `of` chooses the one that counts.

    `flags` holds (key, margin) of --llmsafety-margin, `marker` the margin of the test's marker,
    and `file` (key, margin) and `groups` (measurement, group, margin) of pyproject.toml. A key is
    the name of a measurement, or `NAME.flips` for another quantity of it than its score.
    """

    flags: tuple[tuple[str, float], ...] = ()
    marker: float | None = None
    file: tuple[tuple[str, float], ...] = ()
    groups: tuple[tuple[str, str, float], ...] = ()

    def of(self, key: str, own: float) -> AppliedMargin:
        """Return the margin of `key`, and the margins of single groups that replace it.

        The first of these counts: the command line, the marker, pyproject.toml, and `own`, the
        number that the assertion was given. Only pyproject.toml has margins of groups.
        """
        flags, file = dict(self.flags), dict(self.file)
        if key in flags:
            return AppliedMargin(flags[key], by_name=True)
        if self.marker is not None:
            return AppliedMargin(self.marker)
        by_group = tuple((group, margin) for name, group, margin in self.groups if name == key)
        return AppliedMargin(file.get(key, own), by_group, by_name=key in file)

    @property
    def by_key(self) -> tuple[tuple[str, float], ...]:
        """Every (key, margin) of flags and pyproject.toml; of the same key, that of the flag."""
        return tuple(sorted({**dict(self.file), **dict(self.flags)}.items()))

    @property
    def by_group(self) -> tuple[tuple[str, str, float], ...]:
        """The margins of groups of those measurements that no flag gives a margin."""
        return tuple(row for row in self.groups if row[0] not in dict(self.flags))


@dataclass(frozen=True)
class Arm:
    """One side of a pair: a model and its compression, None for the dense model.

    `again` is the dense model asked a second time, in other batches, with answers of its own.
    """

    model: ModelSpec
    compression: CompressionSpec | None = None
    again: bool = False

    @property
    def name(self) -> str:
        """The word `dense`, or the compression as the user wrote it."""
        if self.compression is None:
            return "dense again" if self.again else "dense"
        return str(self.compression)

    @property
    def checkpoint(self) -> ModelSpec | None:
        """The finished model that this arm begins with, whose files say how it is served."""
        step = self.compression.steps[0] if self.compression else None
        return step.model if step is not None and step.method == "checkpoint" else None

    @property
    def gguf(self) -> Path | None:
        """The GGUF file that this arm begins with."""
        step = self.compression.steps[0] if self.compression else None
        named = step is not None and step.method == "gguf"
        return user_path(step.parameter) if step is not None and named else None


@dataclass(frozen=True)
class ModelPair:
    """The two models that are compared; `dense` and `compressed` are arms of one model."""

    model: ModelSpec
    compression: CompressionSpec

    @property
    def dense(self) -> Arm:
        """The reference model."""
        return Arm(self.model)

    @property
    def compressed(self) -> Arm:
        """The model under test; for the compression `dense`, the dense one again."""
        return self.again if self.compression.is_dense else Arm(self.model, self.compression)

    @property
    def again(self) -> Arm:
        """The reference model in other batches: what an A/A run compares it with."""
        return Arm(self.model, again=True)
