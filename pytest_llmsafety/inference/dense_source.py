"""Where the dense model's answers come from: its files, or a baseline."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import BaselineError, number_of
from pytest_llmsafety.inference.baseline_file import SHOWN, UPDATE, Baseline
from pytest_llmsafety.inference.codec import decode, decode_as
from pytest_llmsafety.models.locate import why_absent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
    from pytest_llmsafety.models.identity import Identity
    from pytest_llmsafety.specs import Arm, ModelSpec
    from pytest_llmsafety.types import Request


class DenseSource:
    """The dense `model` of a session, and the `baseline` whose answers replace its own.

    With `collects`, all that the dense model answers is in `kept` afterwards, for a new baseline.
    `not_in_baseline` holds the keys that were looked up and are not in the baseline.
    """

    def __init__(
        self,
        model: ModelSpec | None = None,
        baseline: Baseline | None = None,
        *,
        collects: bool = False,
    ) -> None:
        """Take a model and a baseline; no file is read yet."""
        self.model = model
        self.baseline = baseline
        self.collects = collects
        self.kept: dict[str, str] = {}
        self.not_in_baseline: set[str] = set()

    @cached_property
    def absence(self) -> str:
        """Return why the model's files cannot be used; empty where they can.

        Empty without a baseline, too: the files are then required. Raises BaselineError where the
        baseline is of a model of another name.
        """
        if self.baseline is None or self.model is None:
            return ""
        why = why_absent(self.model)
        if why and str(self.model) != self.baseline.model:
            message = (
                f"the baseline is of the model '{self.baseline.model}', and '{self.model}' is not "
                f"here to be compared with it. Give --model={self.baseline.model}. ({why})"
            )
            raise BaselineError(message)
        return why

    @cached_property
    def name(self) -> str:
        """Return the name of the baseline: the first digits of its digest."""
        return f"baseline {self.baseline.digest[:SHOWN]}" if self.baseline else ""

    def absence_of(self, model: ModelSpec) -> str:
        """Return `absence` if `model` is the dense one; else an empty text."""
        return self.absence if model == self.model else ""

    def files(self, model: ModelSpec) -> str:
        """Return the digest of the files of `model` that the baseline has; empty without one."""
        known = self.baseline is not None and model == self.model
        return self.baseline.identity.model if known and self.baseline else ""

    def is_dense(self, arm: Arm) -> bool:
        """Return whether `arm` is the dense model, in its first or its second run."""
        return arm.compression is None and arm.model == self.model

    def check(self, arm: Arm, here: Identity) -> None:
        """Raise BaselineError that names each field in which the dense arm is another one here."""
        if self.baseline is None or arm.again or not self.is_dense(arm):
            return
        then, now = _flat(self.baseline.identity), _flat(here)
        different = [
            f"{name}: {then.get(name, '-')} in the baseline, {now.get(name, '-')} here"
            for name in sorted(then.keys() | now.keys())
            if then.get(name) != now.get(name)
        ]
        if different:
            message = (
                f"the {self.name} does not match this run, so the dense model here may answer "
                f"otherwise: {'; '.join(different)}. Run where these are the same, or write "
                f"the baseline again here with {UPDATE}."
            )
            raise BaselineError(message)

    def answers(self, arm: Arm, keys: Iterable[str]) -> dict[str, str]:
        """Return the baseline's texts of `keys`; note the others in `not_in_baseline`."""
        if self.baseline is None or not self.is_dense(arm):
            return {}
        entries = self.baseline.entries
        wanted = set(keys)
        self.not_in_baseline |= {key for key in wanted if key not in entries}
        return {key: entries[key] for key in wanted if key in entries}

    def has(self, key: str) -> bool:
        """Return whether the baseline holds a key."""
        return self.baseline is not None and key in self.baseline.entries

    def tokens(self, keys: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids under `keys`. Raises BaselineError where the baseline lacks one."""
        lacking = {key for key in keys if not self.has(key)}
        if self.baseline is None or lacking:
            what = f"the tokens of {number_of(len(lacking), 'prompt')} are not in the {self.name}"
            why = "The data, limit or seed are others than when it was written"
            raise self.unavailable_error(what, why)
        entries = self.baseline.entries
        return [decode_as(tuple[int, ...], key, entries[key]) for key in keys]

    def facts(self, arm: Arm, key: str) -> DenseFacts:
        """Return the facts about the dense model that a finished checkpoint is compared with.

        Raises BaselineError for any other compression.
        """
        steps = arm.compression.steps if arm.compression else ()
        given = len(steps) == 1 and steps[0].method == "checkpoint"
        if self.baseline is None or not given or not self.has(key):
            what = f"{arm.name} is made of the dense weights"
            why = (
                "A baseline stands for answers only: to test a finished model give "
                "--compress=checkpoint:PATH alone"
            )
            raise self.unavailable_error(what, why)
        facts: DenseFacts = decode(key, self.baseline.entries[key])
        return facts

    def keep(self, arm: Arm, texts: Mapping[str, str]) -> None:
        """Keep texts by key for a baseline to be written, if they are the dense model's."""
        if self.collects and self.is_dense(arm):
            self.kept.update(texts)

    def notes(self) -> tuple[str, ...]:
        """Return what a verdict says about its dense side; empty without a baseline."""
        if self.baseline is None:
            return ()
        what = "answers"
        if self.absence:
            what = "answers, its tokens and the digests of its layers"
        return (f"the dense model's {what} are those of the {self.name}",)

    def missing_error(self, requests: Sequence[Request]) -> BaselineError:
        """Return the error for requests that neither a file nor the baseline answers."""
        kinds = sorted({type(request).__name__ for request in requests})
        first: Any = requests[0]
        text = getattr(first, "context", "") or getattr(first, "continuation", "") or first.text
        return self.unavailable_error(
            f"{len(requests)} answers of the dense model ({', '.join(kinds)}) are not in the "
            f"{self.name}, the first being to {text[:80]!r}",
            "The tests, data, limit, seed or samples are others than when it was written",
        )

    def unavailable_error(self, what: str, why: str) -> BaselineError:
        """Return the error for what cannot be done without the dense weights."""
        return BaselineError(
            f"{what}, and the dense model is not here. {why}. Write the baseline again with "
            f"{UPDATE} where the model is, or fetch the model. ({self.absence})"
        )


def _flat(identity: Identity) -> dict[str, str]:
    """Return every field by a name that a reader knows, with long digests shortened."""
    fields = asdict(identity)
    versions = {f"version of {name}": value for name, value in fields.pop("versions")}
    platform = fields.pop("platform")
    fields["digest of the model's files"] = fields.pop("model")
    return {name: str(value)[:SHOWN] for name, value in {**fields, **platform, **versions}.items()}
