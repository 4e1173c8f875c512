"""Tasks of lm-evaluation-harness: their documents as items, their metric as ours."""

from __future__ import annotations

import difflib
import random
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.pins import check_pins
from pytest_llmsafety.datasets.selection import select
from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.libraries import version
from pytest_llmsafety.measurements.harness.choice import PREFIX, Scale
from pytest_llmsafety.measurements.harness.items import item_of, options_of, prompt_of
from pytest_llmsafety.measurements.harness.task_metric import Asked, TaskMetric
from pytest_llmsafety.measurements.lazy_measurement import Question
from pytest_llmsafety.models.locate import locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_llmsafety.measurements.harness.choice import Choice
    from pytest_llmsafety.specs import ModelSpec
    from pytest_llmsafety.types import Item

FEWSHOT_SEED = 1234  # these three are the defaults of lm_eval's simple_evaluate
RANDOM_SEED = 0
NUMPY_SEED = 1234
INSTALL = "'{name}' needs lm-evaluation-harness: pip install 'pytest-llmsafety[lm-eval]'."


class Tasks:
    """The tasks of a session, each read once.

    `limit`, `seed` and `pins` are the session's; `model` tells how texts are decoded, None when
    none will be asked.
    """

    def __init__(
        self, limit: int | None, seed: int, pins: Mapping[str, str], model: ModelSpec | None
    ) -> None:
        """Read nothing yet."""
        self._limit, self._seed, self._pins, self._model = limit, seed, pins, model
        self._known: dict[tuple[str, Choice, int | None], Question] = {}

    def question(self, name: str, choice: Choice, limit: int | None = None) -> Question:
        """What a task asks, or all tasks of a group, each of which is then a group of items.

        `limit` replaces the session's.
        Prompts have as many examples as the task says, drawn as lm_eval draws them. Raises
        ConfigurationError without the package and for an unknown name, metric or kind of task,
        DatasetError where its data cannot be had or are not those that were pinned.
        """
        limit = limit or self._limit
        if (name, choice, limit) not in self._known:
            self._known[name, choice, limit] = self._read(name, choice, limit)
        return self._known[name, choice, limit]

    def _read(self, name: str, choice: Choice, limit: int | None) -> Question:
        """Load a task and build its items and metric."""
        tasks = _loaded(name)
        scale, wanted = _scale(name, tasks, choice)
        asked = {
            f"{label}/{instances[0].doc_id}": Asked(task, label, instances)
            for label, task in tasks.items()
            for instances in _by_document(task)
        }
        alone = len(tasks) == 1
        items = [_item(key, one, scale.metric, choice, alone=alone) for key, one in asked.items()]
        metric: Any = TaskMetric(scale, wanted, asked, seed=self._seed)
        if self._model is not None and metric.writes:
            metric = replace(metric, drops_space=_drops_space(self._model))
        return Question(
            name,
            _told(tasks, scale.metric),
            select(items, limit, self._seed),
            metric,
            data_digest=check_pins(name, items, self._pins),
            n_data=len(items),
        )


def _scale(name: str, tasks: Mapping[str, Any], choice: Choice) -> tuple[Scale, str]:
    """The metric's scale and the filter; ConfigurationError where the tasks differ in them."""
    found = set()
    for task in tasks.values():
        declared = task.higher_is_better()
        filters = [one.name for one in task._filters]  # noqa: SLF001 - lm_eval gives no other way
        metric, wanted = choice.picked(declared, filters)
        found.add((Scale.of(metric, declared[metric], choice), wanted))
    if len(found) > 1:
        message = f"the tasks of '{name}' are not scored alike: {found}. Name one of them."
        raise ConfigurationError(message)
    return found.pop()


def _drops_space(model: ModelSpec) -> bool:
    """Whether the model's tokenizer drops the space before a word decoded alone."""
    from pytest_llmsafety.inference.backends.detokenize import drops_space
    from pytest_llmsafety.models.tokenizer import load_tokenizer

    return drops_space(load_tokenizer(locate(model)))


def _loaded(name: str) -> dict[str, Any]:
    """The tasks of a name with their requests built, by label."""
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigurationError(INSTALL.format(name=name)) from error
    wanted = name.removeprefix(PREFIX)
    from_file = wanted.endswith((".yaml", ".yml"))
    manager = TaskManager(include_defaults=not from_file)
    if not from_file and wanted not in manager.all_tasks:
        close = difflib.get_close_matches(wanted, manager.all_tasks, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "`lm_eval ls tasks` lists them."
        message = f"lm_eval {version('lm_eval')} has no task '{wanted}'. {hint}"
        raise ConfigurationError(message)
    with _seeded():
        try:
            tasks: dict[str, Any] = manager.load(wanted)["tasks"]
        except Exception as error:
            message = f"{name} cannot be loaded: {type(error).__name__}: {error}"
            raise DatasetError(message) from error
        for label, task in tasks.items():
            _refuse(label, task)
            if task.get_config("num_fewshot") is None:
                task.set_config("num_fewshot", 0)
            task.set_fewshot_seed(FEWSHOT_SEED)
            task.build_all_requests()
    return tasks


def _refuse(label: str, task: Any) -> None:  # noqa: ANN401 - a Task of lm_eval
    """Raise ConfigurationError for a task that our models cannot be asked."""
    if getattr(task, "UNSAFE_CODE", False):
        message = f"{label} runs as code what a model wrote; that is not done here."
        raise ConfigurationError(message)
    if getattr(task, "MULTIMODAL", False):
        message = f"{label} shows pictures or sound; models here read text alone."
        raise ConfigurationError(message)


@contextmanager
def _seeded() -> Iterator[None]:
    """Let tasks that shuffle at random do so as under lm_eval, and put the generators back."""
    import numpy as np

    ours, theirs = random.getstate(), np.random.get_state()  # noqa: NPY002 - what tasks draw from
    random.seed(RANDOM_SEED)
    np.random.seed(NUMPY_SEED)  # noqa: NPY002 - as above
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)  # noqa: NPY002 - as above


def _by_document(task: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - a Task of lm_eval
    """The Instances of each document in the order in which they are scored."""
    found: dict[int, list[Any]] = {}
    for instance in task.instances:
        found.setdefault(instance.doc_id, []).append(instance)
    for instances in found.values():
        yield tuple(sorted(instances, key=lambda instance: instance.idx))


def _item(name: str, asked: Asked, metric: str, choice: Choice, *, alone: bool) -> Item:
    """One document as an item; its options where it is a multiple choice."""
    task, document = asked.task, asked.instances[0].doc
    arguments = [instance.args for instance in asked.instances]
    options = None
    if task.OUTPUT_TYPE == "multiple_choice":
        several = getattr(task, "multiple_input", 0)
        target = task.doc_to_text(document) if several else task.doc_to_target(document)
        options = options_of(metric, arguments, target)
    return item_of(
        name,
        document,
        choice=choice,
        prompt=prompt_of(arguments),
        extra=() if alone else (f"task:{asked.label}",),
        options=options,
    )


def _told(tasks: dict[str, Any], metric: str) -> str:
    """What was measured, in a few words."""
    by = f"{metric} of lm_eval {version('lm_eval')}"
    if len(tasks) > 1:
        return f"{len(tasks)} tasks, {by}"
    (label, task), *_ = tasks.items()
    return f"{label} (version {task.VERSION}, {task.get_config('num_fewshot')}-shot), {by}"
