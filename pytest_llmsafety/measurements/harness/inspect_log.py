"""Read logs of Inspect (`.eval` or `.json`) with its own library, the extra `inspect`."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.measurements.harness.choice import Scale
from pytest_llmsafety.measurements.harness.items import item_of
from pytest_llmsafety.measurements.harness.log import Log, Sample
from pytest_llmsafety.types import Score

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.measurements.harness.choice import Choice

LONGEST = 200
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
INSTALL = "reading '{path}' needs the package of Inspect: pip install 'pytest-llmsafety[inspect]'"


def read_inspect(path: Path, choice: Choice, higher_is_better: bool | None) -> Log:  # noqa: FBT001 - as given
    """Read a finished log. The item is a sample of one epoch, and a sample's epochs are a cluster.

    Letters count as in Inspect: C is 1, P is 0.5, I and N are 0. Raises DatasetError for a log that
    is not finished, and ConfigurationError without the package or for an unknown scorer.
    """
    log = _load(path)
    samples = log.samples or []
    scorers = dict.fromkeys(name for sample in samples for name in sample.scores or {})
    problem = ""
    if log.status != "success":
        problem = (
            f"is not finished: its status is '{log.status}', with {len(samples)} samples. Expected "
            "'success'; run the evaluation to its end."
        )
    elif not samples:
        problem = "has no samples. Run the evaluation again with --log-samples."
    elif not scorers:
        problem = f"has {len(samples)} samples without a score. Score it with 'inspect score'."
    if problem:
        message = f"'{path}' {problem}"
        raise DatasetError(message)
    metric, _ = choice.pick(scorers, [""])
    given = [(sample.scores or {}).get(metric) for sample in samples]
    values = [score.value for score in given if score is not None]
    scale = _scale(metric, values, choice, higher_is_better)
    epochs = max(sample.epoch for sample in samples)
    return Log(
        source=str(path),
        task=log.eval.task,
        model=log.eval.model,
        arguments=shorten(str(log.eval.model_args or ""), LONGEST),
        origin=_origin(log),
        setup=(
            ("task version", log.eval.task_version),
            ("task arguments", log.eval.task_args),
            ("generation", log.plan.config.model_dump(exclude_none=True)),
        ),
        scale=scale,
        samples=tuple(_sample(sample, scale, choice, epochs) for sample in samples),
        run=str(log.eval.eval_id or log.eval.run_id),
    )


def _load(path: Path) -> Any:  # noqa: ANN401 - an EvalLog; the package is optional
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise ConfigurationError(INSTALL.format(path=path)) from error
    try:
        return read_eval_log(str(path))
    except Exception as error:
        message = f"Inspect cannot read '{path}': {error}. Expected a log that it wrote."
        raise DatasetError(message) from error


def _scale(
    metric: str,
    values: list[Any],
    choice: Choice,
    higher_is_better: bool | None,  # noqa: FBT001 - as given
) -> Scale:
    """Return the scale of a scorer, which is known for letters and truth values only."""
    if choice.support is None and all(isinstance(value, (bool, str)) for value in values):
        return Scale(metric, higher_is_better is not False, (0.0, 1.0))
    return Scale.of(metric, higher_is_better, choice)


def _sample(sample: Any, scale: Scale, choice: Choice, epochs: int) -> Sample:  # noqa: ANN401 - an EvalSample
    name = f"{sample.id}#{sample.epoch}" if epochs > 1 else str(sample.id)
    prompt = sample.input if isinstance(sample.input, str) else _written(sample.input)
    item = item_of(name, sample.metadata, choice=choice, prompt=prompt)
    if epochs > 1 and item.cluster is None:
        item = type(item)(item.id, item.prompt, item.groups, str(sample.id))
    score = (sample.scores or {}).get(scale.metric)
    if sample.error is not None or score is None:
        problem = f"the sample ended with an error: {sample.error.message}" if sample.error else ""
        made = Score(name, None, problem=problem or f"{scale.metric} did not score it")
    else:
        raw = LETTERS.get(score.value, score.value) if isinstance(score.value, str) else score.value
        value, _, problem = scale.read(raw)
        made = Score(name, value, text=str(score.answer or ""), problem=problem)
    return Sample(item, made, (("input", prompt), ("target", sample.target)))


def _written(messages: list[Any]) -> str:
    return "\n".join(f"{message.role}: {message.text}" for message in messages)


def _origin(log: Any) -> str:  # noqa: ANN401 - an EvalLog
    commit = log.eval.revision.commit if log.eval.revision else None
    words = {
        "": log.eval.model,
        "inspect_ai": log.eval.packages.get("inspect_ai"),
        "task version": log.eval.task_version,
        "git": commit,
        "date": str(log.eval.created)[:10],
    }
    return ", ".join(
        f"{name} {value}".strip() for name, value in words.items() if value is not None
    )
