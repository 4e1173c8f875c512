"""The resources of a session: engine, items, scorers and judge, and measurements made of them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import check, looks_at_texts
from pytest_llmsafety.compressors.model_store import GIGABYTE, Store
from pytest_llmsafety.datasets import check_dataset
from pytest_llmsafety.datasets.calibration import load_calibration
from pytest_llmsafety.datasets.few_shot import EXAMPLES
from pytest_llmsafety.datasets.item_kinds import require_items
from pytest_llmsafety.errors import BaselineError, ConfigurationError, NoJudgeError
from pytest_llmsafety.inference.baseline_file import UPDATE, Baseline, read
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.ask_both import AskBoth
from pytest_llmsafety.measurements.catalog import RULES, TOXICITY, check_margin, recipe_of
from pytest_llmsafety.measurements.harness.tasks import Tasks
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.look_history import LOOKS_FILE, Looks
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.measurements.scorer_accuracy import load
from pytest_llmsafety.metrics import METRICS
from pytest_llmsafety.metrics.scorers import check_scorer
from pytest_llmsafety.models.device import resolve
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.paths import CACHE_FILE, MODELS_FOLDER
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.session.items import SessionItems
from pytest_llmsafety.session.judge import check_judge, judge_client
from pytest_llmsafety.session.scorers import SessionScorers
from pytest_llmsafety.specs import CORE, Arm, ModelPair
from pytest_llmsafety.types import CalibrationTexts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmsafety.config.options import Options
    from pytest_llmsafety.inference.baseline_file import Row
    from pytest_llmsafety.measurements.catalog import Recipe
    from pytest_llmsafety.measurements.harness.choice import Choice
    from pytest_llmsafety.metrics.scorers.base import Scorer
    from pytest_llmsafety.progress import Progress
    from pytest_llmsafety.session.judge import AskJudge
    from pytest_llmsafety.specs import CompressionSpec, ModelSpec
    from pytest_llmsafety.stats import ScorerAccuracy
    from pytest_llmsafety.types import Item


class Resources:
    """Holds what all tests of a session share: the engine, items and scorers."""

    def __init__(self, options: Options, progress: Progress | None = None) -> None:
        """Open the cache; models are loaded when they are needed."""
        self.options = options
        self.cache = Cache(options.cache and options.cache / CACHE_FILE)
        self.engine = Engine(
            self.cache,
            batch_tokens=options.batch_tokens,
            seed=options.seed,
            calibration=calibration_texts(options),
            store=store(options),
            progress=progress,
        )
        self.engine.one_model = options.one_model
        self.engine.only_plans = options.plan
        self.engine.dense_source = dense_source(options)
        self.scorers = SessionScorers(options.model, options.scorer)
        self._items = SessionItems(options.data, dict(options.pins), options.seed)
        self._tasks = Tasks(
            options.limit, options.seed, dict(options.pins), None if options.plan else options.model
        )
        self._threads: int | None = None
        self.looks = Looks(options.looks and options.looks / LOOKS_FILE)

    @property
    def model(self) -> ModelSpec:
        """Return the model of this session. Raises ConfigurationError when none was named."""
        if self.options.model is None:
            message = "no model: pass --model and --compress."
            raise ConfigurationError(message)
        return self.options.model

    def preflight(self, specs: Sequence[CompressionSpec]) -> None:
        """Find the model and check every name that the user gave, before any test runs.

        Raises ConfigurationError or ModelError.
        """
        for spec in specs:
            check(spec)
        margins = self.options.margins
        of_groups = [(name, margin) for name, _, margin in margins.by_group]
        for name, margin in (*margins.by_key, *of_groups):
            check_margin(name, margin)
        for name, _ in self.options.pins:
            check_dataset(name.removesuffix(EXAMPLES))
        if self.options.scorer:
            check_scorer(self.options.scorer)
        _ = self.scorer_accuracy
        resolve(self.model)
        if self.options.core and self.model.is_phantom:
            message = (
                f"--llmsafety-data={CORE} holds English for real models, and the built-in model "
                "knows its own world alone. Leave the flag out."
            )
            raise ConfigurationError(message)
        if not self.options.plan:
            self._find_models(specs)

    def _find_models(self, specs: Sequence[CompressionSpec]) -> None:
        """Find the dense model, or the baseline that stands for it, the judge and checkpoints."""
        if self.options.update_baseline and not self.options.baseline:
            message = "--llmsafety-update-baseline names no file. Add --llmsafety-baseline=FILE."
            raise ConfigurationError(message)
        if not self.engine.dense_source.absence:
            self.engine.folder(self.model)
        if self.engine.dense_source.baseline:
            self.engine.digest(Arm(self.model))
        check_judge(self.options.judge, self.engine)
        for other in (step.model for spec in specs for step in spec.steps):
            if other is not None:
                locate(other, tokenizer=False)

    def pair(self, spec: CompressionSpec) -> ModelPair:
        """Return the dense model and the same model under `spec`."""
        return ModelPair(self.model, spec)

    def ask_both(self, spec: CompressionSpec) -> AskBoth:
        """Return the function that asks both models one prompt at a time."""
        self.share_threads()
        return AskBoth(self.pair(spec), self.engine)

    def measure(
        self,
        name: str,
        spec: CompressionSpec,
        *,
        dataset: str | None = None,
        scorer: str | None = None,
        shots: int | None = None,
        reproduce: str = "",
        options: Options | None = None,
    ) -> LazyMeasurement:
        """Return the measurement `name` for one compression, which asks items as they are needed.

        `dataset` and `scorer` replace the measurement's defaults, `options` those of the session
        for a test with settings of its own (`Options.under`). Each prompt follows `shots` solved
        examples. Raises UnknownNameError for a name in no table, ConfigurationError for a data set
        of items that the metric does not take, NoCounterpartError, DatasetError or ScorerError.
        """
        recipe, pair = recipe_of(name), self.pair(spec)
        dataset = dataset or recipe.default_dataset(
            name, on_phantom=self.model.is_phantom, core=self.options.core
        )
        self.share_threads()
        options = options or self.options
        drawn = self._items.of(dataset, options.limit, shots)
        require_items(name, METRICS.load(recipe.metric), dataset, drawn.items)
        named = self.scorers.choose(name, recipe.scorer, scorer)
        metric, scorer = self.metric(recipe, named)
        settings = self.settings(spec, reproduce, options)
        if recipe.scorer != TOXICITY or named != self.scorers.toxicity:
            settings = replace(settings, scorer_accuracy=None)
        question = Question(
            name, dataset, drawn.items, metric, scorer, drawn.digest, drawn.notes, drawn.n_data
        )
        return LazyMeasurement(question, pair, self.engine, settings, self.looks)

    def measure_task(
        self,
        name: str,
        spec: CompressionSpec,
        choice: Choice,
        *,
        reproduce: str = "",
        options: Options | None = None,
    ) -> LazyMeasurement:
        """Return the measurement of a task of lm-evaluation-harness (`lm_eval:TASK`).

        Raises ConfigurationError or DatasetError as `Tasks.question`.
        """
        options = options or self.options
        question = self._tasks.question(name, choice, options.limit)
        self.share_threads()
        settings = self.settings(spec, reproduce, options)
        return LazyMeasurement(question, self.pair(spec), self.engine, settings, self.looks)

    def settings(self, spec: CompressionSpec, reproduce: str, options: Options) -> Settings:
        """Return what the options fix for every verdict on one compression."""
        return Settings(
            margins=options.margins,
            confidence=None if options.alpha is None else round(1 - options.alpha, 12),
            worst=options.worst,
            min_changed=options.min_changed,
            scope=options.scope,
            reproduce=reproduce,
            seed=options.seed,
            early_stop=options.early_stop,
            family=options.family,
            noise_floor=options.aa and not spec.is_dense,
            plan=options.plan,
            scorer_accuracy=self.scorer_accuracy,
            chat=options.chat,
        )

    @cached_property
    def scorer_accuracy(self) -> ScorerAccuracy | None:
        """Return the scorer's measured accuracy, where the user names a file of it.

        Raises ConfigurationError for a file that does not fit this run.
        """
        path = self.options.scorer_accuracy
        if path is None:
            return None
        accuracy = load(path, self._loaded(self.scorers.toxicity))
        if accuracy.threshold is not None or self.options.scope == "suite":
            why = (
                "was measured for decisions (--threshold), and gates judge mean scores. Measure "
                "it without"
                if accuracy.threshold is not None
                else "says nothing about these prompts only. Use --llmsafety-scope=population"
            )
            message = f"--llmsafety-scorer-accuracy: {path} {why}."
            raise ConfigurationError(message)
        return accuracy

    def share_threads(self) -> None:
        """Give torch this process's share of the CPU threads, or what OMP_NUM_THREADS says.

        That is one for the built-in model, which is too small to share out: on two busy cores its
        threads wait for each other, and a gate takes five times as long.
        """
        if self._threads is None and "OMP_NUM_THREADS" not in os.environ and not self.options.plan:
            import torch

            self._threads = torch.get_num_threads()
            share = 1 if self.model.is_phantom else self._threads // self.options.n_computing
            torch.set_num_threads(max(1, share))

    def items(self, dataset: str, limit: int | None) -> tuple[Item, ...]:
        """Return at most `limit` items of a data set, read once a session for each limit."""
        return self._items.of(dataset, limit).items

    def metric(self, recipe: Recipe, scorer: str) -> tuple[Any, str]:
        """Return the metric of a recipe, and the name of its scorer, empty without one."""
        arguments = dict(recipe.phantom_arguments) if self.model.is_phantom else {}
        if recipe.metric == "judge":
            arguments["ask_judge"] = self.ask_judge()
        if scorer in {"", RULES}:
            return METRICS.load(recipe.metric)(**arguments), ""
        arguments["classify"] = lambda texts: self.engine.classify(self.scorers.load(scorer), texts)
        if recipe.scorer != RULES:
            arguments |= {"samples": self.options.samples, "seed": self.options.seed}
        loaded = self._loaded(scorer)
        return METRICS.load(recipe.metric)(**arguments), loaded.name if loaded else scorer

    def _loaded(self, scorer: str) -> Scorer | None:
        """Return the loaded scorer; None where the session only plans."""
        return None if self.options.plan else self.scorers.load(scorer)

    def ask_judge(self) -> AskJudge:
        """Return the function that asks the session's judge. Raises NoJudgeError without one."""
        if self.options.judge is None:
            message = (
                "no judge was named. Name one with --llmsafety-judge: URL#MODEL of an endpoint, or "
                "a model of its own; or leave the gate out, of the packaged suites with -k 'not "
                "instructions'."
            )
            raise NoJudgeError(message)
        chat = self.options.judge_chat
        return judge_client(self.options.judge, self.engine, self.model, chat)

    def baseline(self, rows: tuple[Row, ...], entries: Mapping[str, str]) -> Baseline:
        """Return a baseline of this session's dense model, with these verdicts and entries."""
        identity = self.engine.identity(Arm(self.model))
        return Baseline(str(self.model), identity, rows, entries, self.options.seed)

    def close(self) -> None:
        """Free the models and close the cache."""
        self.engine.close()
        self.cache.close()
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)


def calibration_texts(options: Options) -> CalibrationTexts | None:
    """Return the calibration texts, where a compression looks at any; None for the packaged ones.

    The built-in model knows no English, so by default it gets texts of its own world.
    """
    if not any(map(looks_at_texts, options.compressions)):
        return None
    if options.calibration:
        return load_calibration(options.calibration)
    if options.model and options.model.is_phantom:
        from pytest_llmsafety.phantom import training_text

        return CalibrationTexts(training_text.calibration_texts(), "the phantom's own world")
    return None


def dense_source(options: Options) -> DenseSource:
    """Return where the dense model's answers come from: its baseline, unless that is written anew.

    Raises BaselineError for a baseline that cannot be read, or that was written with another seed:
    other items would then be drawn and other texts sampled, and none of its answers would be used.
    """
    if options.baseline is None or options.plan:
        return DenseSource(options.model)
    if options.update_baseline:
        return DenseSource(options.model, collects=True)
    baseline = read(options.baseline)
    if baseline.seed not in (None, options.seed):
        message = (
            f"--llmsafety-baseline: '{without_access(options.baseline)}' was written with seed "
            f"{baseline.seed}, and this run has seed {options.seed}. Run with --llmsafety-seed="
            f"{baseline.seed}, or write the baseline again with {UPDATE}."
        )
        raise BaselineError(message)
    return DenseSource(options.model, baseline)


def store(options: Options) -> Store | None:
    """Return where compressed models are kept; None where none are."""
    if options.cache is None or not options.store:
        return None
    return Store(options.cache / MODELS_FOLDER, options.store * GIGABYTE)
