"""Read logs of lm-evaluation-harness: `samples_TASK_DATE.jsonl` and the results file with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.files import read_json, read_jsonl
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.measurements.harness.choice import Scale
from pytest_llmsafety.measurements.harness.items import item_of, options_of, prompt_of
from pytest_llmsafety.measurements.harness.log import Log, Sample
from pytest_llmsafety.models.digests import digest_json, file_digest
from pytest_llmsafety.types import Score

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_llmsafety.measurements.harness.choice import Choice

    Row = dict[str, Any]

NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.-]+)\.jsonl")
INPUTS = ("doc", "doc_hash", "target", "target_hash", "arguments", "prompt_hash")
OTHERS = {*INPUTS, "doc_id", "resps", "filtered_resps", "filter", "metrics"}


@dataclass(frozen=True)
class Run:
    """The entries of the results file about one task; empty without such a file."""

    task: str
    results: Row = field(default_factory=dict)

    def of(self, name: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return one entry about the task."""
        return (self.results.get(name) or {}).get(self.task)

    def direction(self, metric: str) -> bool | None:
        """Return whether more of a metric is better; None if it is not stated."""
        return (self.of("higher_is_better") or {}).get(metric)

    @property
    def model(self) -> str:
        """Return the model's name."""
        return str(self.results.get("model_name") or "")

    @property
    def arguments(self) -> str:
        """Return the arguments with which the model was loaded."""
        given = (self.results.get("config") or {}).get("model_args")
        if isinstance(given, dict):
            return ",".join(f"{name}={value}" for name, value in given.items())
        return str(given or "")

    @property
    def origin(self) -> str:
        """Describe the run in a few words: model, versions, date."""
        config = self.results.get("config") or {}
        date = self.results.get("date")
        words = {
            "": f"{config.get('model', '')} {self.arguments}".strip(),
            "sha": config.get("model_sha"),
            "lm_eval": self.results.get("lm_eval_version"),
            "task version": self.of("versions"),
            "few-shot": self.of("n-shot"),
            "git": self.results.get("git_hash"),
            "date": date and datetime.fromtimestamp(date, timezone.utc).date().isoformat(),
        }
        known = [f"{name} {word}".strip() for name, word in words.items() if word not in (None, "")]
        return ", ".join(known) or "no results file with the samples"


def read_lm_eval(path: Path, choice: Choice, higher_is_better: bool | None) -> Log:  # noqa: FBT001 - as given
    """Read one file of samples, or all files of a folder, where each task becomes a group.

    Raises DatasetError for files that are not such logs, and ConfigurationError for an unknown
    metric or filter.
    """
    files = sorted(path.glob("samples_*.jsonl")) if path.is_dir() else [path]
    runs = [_run(file) for file in files]
    names = [run.task for run in runs]
    if not files or len(set(names)) < len(names):
        message = (
            f"'{path}' has {len(files)} files samples_*.jsonl of {len(set(names))} tasks. "
            "Expected one of each task: give a folder of one run, or the file."
        )
        raise DatasetError(message)
    samples: list[Sample] = []
    scales: list[Scale] = []
    for file, run in zip(files, runs, strict=True):
        rows = _rows(file)
        metric, wanted = choice.pick(_metrics(rows), _filters(rows))
        direction = run.direction(metric) if higher_is_better is None else higher_is_better
        scales.append(Scale.of(metric, direction, choice))
        kept = [row for row in rows if row.get("filter", "none") == wanted]
        task = run.task if len(files) > 1 else ""
        samples += [_sample(row, task, scales[-1], choice) for row in kept]
    if len(set(scales)) > 1:
        message = f"the tasks of '{path}' differ in whether more {scales[0].metric} is better."
        raise DatasetError(message)
    first = runs[0]
    return Log(
        source=str(path),
        task=first.task if len(files) == 1 else f"{len(files)} tasks",
        model=first.model or path.stem,
        arguments=first.arguments,
        origin=first.origin,
        setup=tuple(
            (f"{name} of {run.task}", run.of(name))
            for run in runs
            for name in ("versions", "n-shot")
        ),
        scale=scales[0],
        samples=tuple(samples),
        run=digest_json([file_digest(file) for file in files]),
    )


def _run(file: Path) -> Run:
    found = NAME.fullmatch(file.name)
    if found is None:
        return Run("")
    results = file.with_name(f"results_{found['date']}.json")
    return Run(found["task"], read_json(results) if results.is_file() else {})


def _rows(file: Path) -> list[Row]:
    rows = read_jsonl(file)
    for number, row in enumerate(rows, start=1):
        if "doc_id" not in row or not isinstance(row.get("doc"), dict):
            message = (
                f"'{file}' row {number} has no doc_id or no doc. Expected a file that "
                "lm_eval --log_samples wrote."
            )
            raise DatasetError(message)
    if not rows:
        message = f"'{file}' is empty."
        raise DatasetError(message)
    return rows


def _metrics(rows: Sequence[Row]) -> list[str]:
    named = rows[0].get("metrics")
    return list(named) if named else [name for name in rows[0] if name not in OTHERS]


def _filters(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row.get("filter", "none")) for row in rows))


def _sample(row: Row, task: str, scale: Scale, choice: Choice) -> Sample:
    extra = (f"task:{task}",) if task else ()
    arguments = _pairs(row.get("arguments"))
    name = "/".join(filter(None, (task, str(row["doc_id"]))))
    options = options_of(scale.metric, arguments, row.get("target"))
    item = item_of(
        name, row["doc"], choice=choice, prompt=prompt_of(arguments), extra=extra, options=options
    )
    value, weight, problem = scale.read(row.get(scale.metric))
    if unanswered := _unanswered(row):
        value, problem = None, unanswered
    score = Score(name, value, weight, text=_text(row, options), problem=problem)
    return Sample(item, score, tuple((key, row.get(key)) for key in INPUTS))


def _unanswered(row: Row) -> str:
    """Return why the model gave no answer to a document; empty if it gave one.

    lm-evaluation-harness scores a likelihood of NaN, too, as the less likely option.
    """
    given = [answer for each in row.get("resps") or () for answer in each or [None]]
    if "resps" in row and (not given or None in given):
        return "the log has no answer to it"
    likelihoods = [answer[0] for answer in given if isinstance(answer, list) and answer]
    wrong = [value for value in likelihoods if not _is_finite(value)]
    return f"a likelihood of it is {wrong[0]}" if wrong else ""


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - a number, or its text
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _pairs(arguments: Any) -> list[list[Any]]:  # noqa: ANN401 - lists, or tables by the version
    if isinstance(arguments, dict):
        return [list(one.values()) for one in arguments.values()]
    return [list(one) for one in arguments or ()]


def _text(row: Row, options: tuple[tuple[str, ...], int] | None) -> str:
    """Return the generated text, or the most likely option."""
    answers = row.get("filtered_resps") or []
    if answers and isinstance(answers[0], str):
        return answers[0]
    try:
        values = [float(answer[0]) for answer in answers]
    except (TypeError, ValueError, IndexError):
        return ""
    if options is None or len(values) < len(options[0]):
        return ""
    return options[0][max(range(len(options[0])), key=values.__getitem__)]
