"""ModelSpec and CompressionSpec: what the user asked for, parsed once.

A compression is `method`, `method:parameter`, or several of them joined by `+`
(`checkpoint:PATH+int8`); a list of compressions is separated by commas.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmsafety.errors import ConfigurationError

PHANTOM = "phantom"
DENSE = "dense"
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelSpec:
    """The model as asked for.

    `name` is a local folder, a hub id (`org/name`, with `revision` after `@`) or `phantom`.
    `dtype` is one of DTYPES; `auto` is bfloat16 on a GPU and float32 on a CPU. `device` is
    `auto`, `cpu`, `cuda`, `cuda:1`, ...
    """

    name: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"

    @property
    def is_phantom(self) -> bool:
        """Whether this is the built-in model."""
        return self.name == PHANTOM

    def __str__(self) -> str:
        """The name as the user types it."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @classmethod
    def parse(cls, text: str, *, dtype: str = "auto", device: str = "auto") -> ModelSpec:
        """Read `phantom`, a path, or `org/name[@revision]`.

        Raises ConfigurationError for an empty name or an unknown dtype.
        """
        name, at, revision = text.strip().rpartition("@")
        if not at or name.startswith((".", "/", "~")):
            name, revision = text.strip(), ""
        if not name:
            message = "--model is empty. Expected a folder, a hub id such as org/name, or phantom."
            raise ConfigurationError(message)
        if dtype not in DTYPES:
            message = f"unknown dtype '{dtype}'. Known: {', '.join(DTYPES)}."
            raise ConfigurationError(message)
        return cls(name, revision or None, dtype, device)


@dataclass(frozen=True)
class Step:
    """One method of a compression with its parameter: `checkpoint` and `PATH`."""

    method: str
    parameter: str = ""

    def __str__(self) -> str:
        """The step as the user types it."""
        return f"{self.method}:{self.parameter}" if self.parameter else self.method


@dataclass(frozen=True)
class CompressionSpec:
    """What is done to the dense model, step after step."""

    steps: tuple[Step, ...]

    @property
    def is_dense(self) -> bool:
        """Whether nothing is done: the dense model against itself, an A/A run."""
        return self.steps == (Step(DENSE),)

    def __str__(self) -> str:
        """The compression as the user types it; `parse` reads it back."""
        return "+".join(map(str, self.steps))

    @classmethod
    def parse(cls, text: str) -> CompressionSpec:
        """Read one compression, such as `int4` or `checkpoint:PATH+int8`.

        A method is checked against the table of compressors when it is used, not here.
        Raises ConfigurationError for an empty step.
        """
        steps = []
        for part in text.strip().split("+"):
            method, _, parameter = part.strip().partition(":")
            if not method or part.strip().endswith(":"):
                message = (
                    f"cannot read the compression '{text}'. Expected method, method:parameter, "
                    "or several joined by '+', such as int4 or checkpoint:PATH+int8."
                )
                raise ConfigurationError(message)
            steps.append(Step(method, parameter))
        return cls(tuple(steps))

    @classmethod
    def parse_list(cls, text: str) -> tuple[CompressionSpec, ...]:
        """Read `--compress`: compressions separated by commas, each at most once.

        Raises ConfigurationError when one is given twice.
        """
        specs = tuple(cls.parse(part) for part in text.split(","))
        if len(set(specs)) != len(specs):
            message = f"--compress names a compression twice: '{text}'. Give each one once."
            raise ConfigurationError(message)
        return specs
