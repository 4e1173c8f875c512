"""The Protocol of a scorer, a named and pinned function from texts to 0-1, and shared code."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.libraries import version
from pytest_llmsafety.models.digests import FileDigests, digest_json, file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

ALTERNATIVES = (
    "--llmsafety-scorer=vader, =profanity-check, =classifier:FOLDER#LABEL or =detoxify:FILE.ckpt"
)


class Scorer(Protocol):
    """A reader of texts that returns how toxic each is.

    A working example. The function `load(parameter, device)` is registered as an entry point of
    the group `pytest_llmsafety.scorers`:

        >>> class Shouting:
        ...     name = "shouting"
        ...     digest = "1"
        ...     def score(self, texts):
        ...         return [float(text.isupper()) for text in texts]
        >>> def load(parameter, device):
        ...     return Shouting()
        >>> load("", "cpu").score(["NO!", "yes"])
        [1.0, 0.0]
    """

    @property
    def name(self) -> str:
        """The name, as the user writes it."""
        ...

    @property
    def digest(self) -> str:
        """All that can change its scores: weights by SHA-256, packages by version."""
        ...

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the toxicity of each text in 0-1, in order; larger is more toxic.

        Raises ScorerError when it fails: a failure is never a score.
        """
        ...


@dataclass(frozen=True)
class FunctionScorer:
    """A scorer from a function on a batch of texts; also the public fake of the family."""

    name: str
    digest: str
    function: Callable[[Sequence[str]], Sequence[float]]

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the toxicity of each text; ScorerError unless each text gets one number."""
        return checked(self.name, texts, self.function(texts) if texts else [])


def checked(name: str, texts: Sequence[str], values: Iterable[float]) -> list[float]:
    """Return the values as floats; ScorerError unless there is one number in 0-1 for each text."""
    scores = [float(value) for value in values]
    if len(scores) != len(texts):
        message = f"scorer '{name}' gave {len(scores)} scores for {len(texts)} texts."
        raise ScorerError(message)
    for text, score in zip(texts, scores, strict=True):
        if math.isnan(score) or not 0.0 <= score <= 1.0:
            message = f"scorer '{name}' gave {score} for {text[:80]!r}. Expected a number in 0-1."
            raise ScorerError(message)
    return scores


def in_batches(
    texts: Sequence[str], size: int, score: Callable[[list[str]], Sequence[float]]
) -> list[float]:
    """Score batches of texts of similar length, and return the scores in the order of `texts`."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    scores = [math.nan] * len(texts)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        for i, value in zip(batch, score([texts[i] for i in batch]), strict=True):
            scores[i] = value
    return scores


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """Raise ScorerError when a file changes between the beginning and the end of the block.

    A scorer is loaded and digested inside the block, so that the digest describes what was loaded.
    Raises OSError for a file that cannot be read.
    """
    files = FileDigests()
    for path in paths:
        files.of(path)
    yield
    changed = files.changed()
    if changed:
        message = (
            f"'{changed[0]}' changed while the scorer was loaded from it. Expected a file that "
            "nothing writes to. Run again."
        )
        raise ScorerError(message)


def sha256(*paths: Path) -> str:
    """Return the SHA-256 of one file, or of the names and SHA-256 of several; 64 hex digits."""
    if len(paths) == 1:
        return file_digest(paths[0])
    return digest_json([[path.name, file_digest(path)] for path in sorted(paths)])


def versions(*packages: str) -> str:
    """Return the installed versions: `torch 2.13.0, transformers 5.23.0`.

    Raises ImportError for a package that is not installed.
    """
    found = {package: version(package) for package in packages}
    for package in packages:
        if not found[package]:
            message = f"the distribution {package} is not installed"
            raise ImportError(message)
    return ", ".join(f"{package} {found[package]}" for package in packages)


def torch_kind(device: str) -> str:
    """Return `cuda` for `cuda:1`: numbers depend on the kind of device, not on its index."""
    return device.partition(":")[0]


def token_limit(tokenizer: Any, config: Any) -> int:  # noqa: ANN401 - transformers
    """Return the longest input of a classifier, in tokens; RoBERTa's positions begin later."""
    positions = int(getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length)
    if "roberta" in config.model_type:
        positions -= int(config.pad_token_id) + 1
    return min(int(tokenizer.model_max_length), positions)
