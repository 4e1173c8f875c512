"""What a session knows of its dense model: from its files, from a baseline, or for a new one."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import BaselineError
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
    """The dense `model` of a session, and the `baseline` whose answers stand for its own.

    With `records` everything that it is asked is in `kept` afterwards. `beside` holds the keys
    that were asked for and are not in the baseline. Without a model it stands for none.
    """

    def __init__(
        self,
        model: ModelSpec | None = None,
        baseline: Baseline | None = None,
        *,
        records: bool = False,
    ) -> None:
        """Look at no file yet."""
        self.model = model
        self.baseline = baseline
        self.records = records
        self.kept: dict[str, str] = {}
        self.not_in_baseline: set[str] = set()

    @cached_property
    def absent(self) -> str:
        """Why the model's files cannot be used; empty where they can, or where they have to be.

        Raises BaselineError where the baseline is of a model of another name.
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
        """The baseline by the first digits of its digest."""
        return f"baseline {self.baseline.digest[:SHOWN]}" if self.baseline else ""

    def lacks(self, model: ModelSpec) -> str:
        """Why the files of `model` cannot be used, if it is the dense one; else empty."""
        return self.absent if model == self.model else ""

    def files(self, model: ModelSpec) -> str:
        """Digest of the files of `model` as the baseline has it; empty where it has none."""
        known = self.baseline is not None and model == self.model
        return self.baseline.identity.model if known and self.baseline else ""

    def speaks_for(self, arm: Arm) -> bool:
        """Whether `arm` is the dense model, asked once or again."""
        return arm.compression is None and arm.model == self.model

    def check(self, arm: Arm, here: Identity) -> None:
        """Raise BaselineError that names each field in which the dense arm is another one here."""
        if self.baseline is None or arm.again or not self.speaks_for(arm):
            return
        then, now = _flat(self.baseline.identity), _flat(here)
        different = [
            f"{name}: {then.get(name, '-')} in the baseline, {now.get(name, '-')} here"
            for name in sorted(then.keys() | now.keys())
            if then.get(name) != now.get(name)
        ]
        if different:
            message = (
                f"the {self.name} does not match this run, so its answers may not be those of the "
                f"dense model here: {'; '.join(different)}. Run where these are the same, or write "
                f"the baseline again here with {UPDATE}."
            )
            raise BaselineError(message)

    def known(self, arm: Arm, keys: Iterable[str]) -> dict[str, str]:
        """The baseline's texts of those keys that it has; the others are noted in `beside`."""
        if self.baseline is None or not self.speaks_for(arm):
            return {}
        entries = self.baseline.entries
        wanted = set(keys)
        self.not_in_baseline |= {key for key in wanted if key not in entries}
        return {key: entries[key] for key in wanted if key in entries}

    def has(self, key: str) -> bool:
        """Whether the baseline holds a key."""
        return self.baseline is not None and key in self.baseline.entries

    def tokens(self, keys: Sequence[str]) -> list[tuple[int, ...]]:
        """The token ids that the baseline has under keys; BaselineError where it lacks one."""
        lacking = {key for key in keys if not self.has(key)}
        if self.baseline is None or lacking:
            what = f"the tokens of {len(lacking)} prompts are not in the {self.name}"
            why = "The data, limit or seed are others than when it was written"
            raise self.cannot(what, why)
        entries = self.baseline.entries
        return [decode_as(tuple[int, ...], key, entries[key]) for key in keys]

    def facts(self, arm: Arm, key: str) -> DenseFacts:
        """What a finished checkpoint is compared with; BaselineError for any other compression."""
        steps = arm.compression.steps if arm.compression else ()
        given = len(steps) == 1 and steps[0].method == "checkpoint"
        if self.baseline is None or not given or not self.has(key):
            what = f"{arm.name} is made of the dense weights"
            why = (
                "A baseline stands for answers only: to test a finished model give "
                "--compress=checkpoint:PATH alone"
            )
            raise self.cannot(what, why)
        facts: DenseFacts = decode(key, self.baseline.entries[key])
        return facts

    def keep(self, arm: Arm, texts: Mapping[str, str]) -> None:
        """Keep texts by key for a baseline to be written, if they are the dense model's."""
        if self.records and self.speaks_for(arm):
            self.kept.update(texts)

    def note(self) -> tuple[str, ...]:
        """What a reader of a verdict should know about the dense side of it."""
        if self.baseline is None:
            return ()
        what = "answers"
        if self.absent:
            what = "answers, its tokens and the digests of its layers"
        return (f"the dense model's {what} are those of the {self.name}",)

    def missing(self, requests: Sequence[Request]) -> BaselineError:
        """The error for requests that neither a file nor the baseline answers."""
        kinds = sorted({type(request).__name__ for request in requests})
        first: Any = requests[0]
        text = getattr(first, "context", "") or getattr(first, "continuation", "") or first.text
        return self.cannot(
            f"{len(requests)} answers of the dense model ({', '.join(kinds)}) are not in the "
            f"{self.name}, the first being to {text[:80]!r}",
            "The tests, data, limit, seed or samples are others than when it was written",
        )

    def cannot(self, what: str, why: str) -> BaselineError:
        """The error for what cannot be done without the dense weights."""
        return BaselineError(
            f"{what}, and the dense model is not here. {why}. Write the baseline again with "
            f"{UPDATE} where the model is, or fetch the model. ({self.absent})"
        )


def _flat(identity: Identity) -> dict[str, str]:
    """Every field by a name that a reader knows; long digests shortened."""
    fields = asdict(identity)
    versions = {f"version of {name}": value for name, value in fields.pop("versions")}
    platform = fields.pop("platform")
    fields["digest of the model's files"] = fields.pop("model")
    return {name: str(value)[:SHOWN] for name, value in {**fields, **platform, **versions}.items()}
