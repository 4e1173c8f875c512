"""Load tasks of lm-evaluation-harness, with their documents as items and their own metric."""

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
from pytest_llmsafety.measurements.harness.task_metric import TaskDocument, TaskMetric
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

    `limit`, `seed` and `pins` are the session's. `model` decides how texts are decoded; it is None
    if no model will be asked.
    """

    def __init__(
        self, limit: int | None, seed: int, pins: Mapping[str, str], model: ModelSpec | None
    ) -> None:
        """Load no task yet."""
        self._limit, self._seed, self._pins, self._model = limit, seed, pins, model
        self._known: dict[tuple[str, Choice, int | None], Question] = {}

    def question(self, name: str, choice: Choice, limit: int | None = None) -> Question:
        """Return the items and the metric of a task, or of all tasks of a group.

        Each task of a group is a group of items. `limit` replaces the session's. Prompts have as
        many examples as the task states, drawn in the same way as in lm_eval. Raises
        ConfigurationError without the package and for an unknown name, metric or kind of task, and
        DatasetError if its data are out of reach or differ from the pinned ones.
        """
        limit = limit or self._limit
        if (name, choice, limit) not in self._known:
            self._known[name, choice, limit] = self._read(name, choice, limit)
        return self._known[name, choice, limit]

    def _read(self, name: str, choice: Choice, limit: int | None) -> Question:
        tasks = _loaded(name)
        scale, wanted = _scale(name, tasks, choice)
        documents = {
            f"{label}/{instances[0].doc_id}": TaskDocument(task, label, instances)
            for label, task in tasks.items()
            for instances in _by_document(task)
        }
        alone = len(tasks) == 1
        items = [
            _item(name, one, scale.metric, choice, alone=alone) for name, one in documents.items()
        ]
        metric: Any = TaskMetric(scale, wanted, documents, seed=self._seed)
        if self._model is not None and metric.writes:
            metric = replace(metric, drops_space=_drops_space(self._model))
        return Question(
            name,
            _description(tasks, scale.metric),
            select(items, limit, self._seed),
            metric,
            data_digest=check_pins(name, items, self._pins),
            n_data=len(items),
        )


def _scale(name: str, tasks: Mapping[str, Any], choice: Choice) -> tuple[Scale, str]:
    """Return the metric's scale and the filter. Raises ConfigurationError if the tasks differ."""
    found = set()
    for task in tasks.values():
        declared = task.higher_is_better()
        filters = [one.name for one in task._filters]  # noqa: SLF001 - lm_eval gives no other way
        metric, wanted = choice.pick(declared, filters)
        found.add((Scale.of(metric, declared[metric], choice), wanted))
    if len(found) > 1:
        message = f"the tasks of '{name}' are scored in different ways: {found}. Name one of them."
        raise ConfigurationError(message)
    return found.pop()


def _drops_space(model: ModelSpec) -> bool:
    from pytest_llmsafety.inference.backends.detokenize import drops_space
    from pytest_llmsafety.models.tokenizer import load_tokenizer

    return drops_space(load_tokenizer(locate(model)))


def _loaded(name: str) -> dict[str, Any]:
    """Return the tasks of a name by label, with their requests built."""
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
    if getattr(task, "UNSAFE_CODE", False):
        message = f"{label} runs a model's answers as code, which is not supported."
        raise ConfigurationError(message)
    if getattr(task, "MULTIMODAL", False):
        message = f"{label} has pictures or sound. Expected a task of text only."
        raise ConfigurationError(message)


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed the global generators as lm_eval does, and restore them afterwards."""
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
    """Yield the Instances of each document in the order in which they are scored."""
    found: dict[int, list[Any]] = {}
    for instance in task.instances:
        found.setdefault(instance.doc_id, []).append(instance)
    for instances in found.values():
        yield tuple(sorted(instances, key=lambda instance: instance.idx))


def _item(name: str, given: TaskDocument, metric: str, choice: Choice, *, alone: bool) -> Item:
    task, document = given.task, given.instances[0].doc
    arguments = [instance.args for instance in given.instances]
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
        extra=() if alone else (f"task:{given.label}",),
        options=options,
    )


def _description(tasks: dict[str, Any], metric: str) -> str:
    by = f"{metric} of lm_eval {version('lm_eval')}"
    if len(tasks) > 1:
        return f"{len(tasks)} tasks, {by}"
    (label, task), *_ = tasks.items()
    return f"{label} (version {task.VERSION}, {task.get_config('num_fewshot')}-shot), {by}"
