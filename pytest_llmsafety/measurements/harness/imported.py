"""Pair two logs of another harness, document by document, as one finished measurement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.pins import digest_of
from pytest_llmsafety.errors import ConfigurationError, DatasetError, NotComparableError
from pytest_llmsafety.measurements.duplicates import together
from pytest_llmsafety.measurements.harness.choice import PERPLEXITIES, Choice
from pytest_llmsafety.measurements.harness.inspect_log import read_inspect
from pytest_llmsafety.measurements.harness.lm_eval_log import read_lm_eval
from pytest_llmsafety.measurements.measurement import Figure, Measurement, PairedScore
from pytest_llmsafety.metrics.base import mean
from pytest_llmsafety.metrics.perplexity import perplexity
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec, Step
from pytest_llmsafety.types import Score

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from pytest_llmsafety.measurements.harness.choice import Cluster, Groups
    from pytest_llmsafety.measurements.harness.log import Log, Sample

UNCHECKED = (
    "imported: the models are named by the logs; it was not checked that the second model is the "
    "first one compressed, that both read the same tokens, or that neither text is broken"
)
ALIKE = "both logs name the same model with the same arguments"


def import_samples(
    dense: str | os.PathLike[str],
    compressed: str | os.PathLike[str],
    *,
    metric: str = "",
    groups: Groups | None = None,
    cluster: Cluster | None = None,
    higher_is_better: bool | None = None,
    support: tuple[float, float] | None = None,
) -> Measurement:
    """Pair two logs of one task by document, and return a measurement for assertions.

    A log is a `.jsonl` of `lm_eval --log_samples` (or the folder of a run of several tasks), or an
    `.eval` or `.json` of Inspect. `metric` is the name of a metric (`acc`, or `name,filter` if
    there are several filters) or of a scorer; the default is the first one. `groups` and `cluster`
    name a field of a document (Inspect: of a sample's metadata) or are functions of it.
    `higher_is_better` and `support`, the range of one score, are needed if the metric is not a
    known one and the logs do not state them.

    A document that is in only one log, or was not scored, has no score in the pair, so that no
    verdict is a PASS. Raises NotComparableError for logs of different documents, prompts or
    versions, DatasetError for files that are not logs, and ConfigurationError for a metric, filter
    or field that they do not have.
    """
    choice = Choice(metric, groups, cluster, support)
    if Path(dense).resolve() == Path(compressed).resolve():
        message = f"'{dense}' is given as both logs. Expected one of each model."
        raise ConfigurationError(message)
    logs = [_read(Path(path), choice, higher_is_better) for path in (dense, compressed)]
    return pair_of(logs[0], logs[1])


def _read(path: Path, choice: Choice, higher_is_better: bool | None) -> Log:  # noqa: FBT001 - as given
    if not path.exists():
        message = f"there is no log '{path}'."
        raise DatasetError(message)
    if path.is_dir() or path.suffix == ".jsonl":
        return read_lm_eval(path, choice, higher_is_better)
    if path.suffix in (".eval", ".json"):
        return read_inspect(path, choice, higher_is_better)
    message = f"'{path}' is not a known log. Expected .jsonl (lm_eval), .eval or .json (Inspect)."
    raise DatasetError(message)


def pair_of(dense: Log, compressed: Log) -> Measurement:
    """Return the measurement of two logs. Raises NotComparableError for different documents."""
    require_two_runs(dense, compressed)
    require_same(dense, compressed)
    one, other = by_name(dense), by_name(compressed)
    samples = {**one, **other}
    items, repeated = together(
        [sample.item for sample in samples.values()], [_request(one) for one in samples.values()]
    )
    pairs = tuple(
        PairedScore(
            item,
            one[item.id].score if item.id in one else _absent(item.id, "dense"),
            other[item.id].score if item.id in other else _absent(item.id, "compressed"),
        )
        for item in items
    )
    label = compressed.model if compressed.model != dense.model else compressed.arguments
    return Measurement(
        name=dense.task or compressed.task or "imported",
        dataset=f"{dense.source} and {compressed.source}",
        pair=ModelPair(
            ModelSpec(dense.model), CompressionSpec((Step("imported", label or compressed.model),))
        ),
        pairs=pairs,
        higher_is_better=dense.scale.higher_is_better,
        support=dense.scale.support,
        measures=dense.scale.measures,
        record=None,
        data_digest=digest_of([pair.item for pair in pairs]),
        figures=(_figure(dense.scale.metric, pairs),),
        notes=(
            *_doubts(dense, compressed),
            *repeated,
            f"dense: {dense.origin}",
            f"compressed: {compressed.origin}",
        ),
    )


def _request(sample: Sample) -> str:
    """Return the request about a document if the log has it, else the document itself."""
    inputs = dict(sample.inputs)
    request = inputs.get("arguments") or inputs.get("input")
    return json.dumps(request or ["document", sample.item.id], sort_keys=True, default=str)


def _doubts(dense: Log, compressed: Log) -> tuple[str, ...]:
    alike = (dense.model, dense.arguments) == (compressed.model, compressed.arguments)
    return (UNCHECKED, ALIKE) if alike else (UNCHECKED,)


def by_name(log: Log) -> dict[str, Sample]:
    """Return the samples by the id of their item. Raises DatasetError for a repeated id."""
    found: dict[str, Sample] = {}
    for sample in log.samples:
        if sample.item.id in found:
            message = f"'{log.source}' holds {sample.item.id} twice. Expected one run's samples."
            raise DatasetError(message)
        found[sample.item.id] = sample
    return found


def require_two_runs(dense: Log, compressed: Log) -> None:
    """Raise NotComparableError for one log under two names, which would always agree."""
    if dense.run and dense.run == compressed.run:
        message = (
            f"'{dense.source}' and '{compressed.source}' are the same run, with the same answers. "
            "Expected the log of the dense model and the log of the compressed model."
        )
        raise NotComparableError(message)


def require_same(dense: Log, compressed: Log) -> None:
    """Raise NotComparableError where task, metric, set-up, documents or prompts differ."""
    one, other = (
        {"task": log.task or None, "metric": log.scale, **dict(log.setup)}
        for log in (dense, compressed)
    )
    for name in {**one, **other}:
        facts = (one.get(name), other.get(name))
        if None not in facts and facts[0] != facts[1]:
            message = (
                f"the logs differ in the {name}: {facts[0]} (dense) and {facts[1]} (compressed). "
                "Expected two runs that differ only in the model."
            )
            raise NotComparableError(message)
    others = by_name(compressed)
    different = [
        (sample.item.id, parts)
        for sample in dense.samples
        if (parts := _differences(sample, others.get(sample.item.id, sample)))
    ]
    if different:
        name, parts = different[0]
        message = (
            f"{len(different)} of {len(dense.samples)} documents differ between the logs; the "
            f"first, {name}, differs in {', '.join(parts)}. Expected equal documents and prompts."
        )
        raise NotComparableError(message)


def _differences(one: Sample, other: Sample) -> list[str]:
    theirs = dict(other.inputs)
    return [name for name, value in one.inputs if value != theirs.get(name)]


def _absent(name: str, side: str) -> Score:
    return Score(name, None, problem=f"it is not in the log of the {side} model")


def _figure(metric: str, pairs: Sequence[PairedScore]) -> Figure:
    dense, compressed = (
        perplexity(side)
        if metric in PERPLEXITIES
        else mean([score.value for score in side if score.value is not None])
        for side in ([pair.dense for pair in pairs], [pair.compressed for pair in pairs])
    )
    return Figure(metric, dense, compressed)
