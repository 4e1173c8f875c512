"""The table of flags, and Options: the settings of one run as one frozen value.

To add a flag, add a row to FLAGS and a field of the same name to Options. The command line, the
keys of `[tool.llmsafety]`, the command that repeats a test, the settings in reports and the table
in docs/configuration.md are made from the row.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config import values
from pytest_llmsafety.config.margins import read_margins
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.paths import as_given, user_path
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.specs import (
    CORE,
    DTYPES,
    TRANSFORMERS,
    CompressionSpec,
    Margins,
    ModelSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_llmsafety.config.marker import Override
    from pytest_llmsafety.types import ChatSettings

BOTH = "pytest --model=phantom --compress=int4"
OFF, AS_DEPLOYED = "off", "as-deployed"
TABLE = "[tool.llmsafety]"


@dataclass(frozen=True)
class Flag:
    """One flag: how it is written, read and explained.

    `help` and `default` are shown by `pytest --help` and in docs/configuration.md; without a
    `default` the default of the field in Options is shown. `type` and `choices` are argparse's.
    `checked` turns the value into the one in Options once a run has a model; it raises
    ConfigurationError. `short`: `--NAME` works, too, where the project has no such flag. `place`:
    the value names a file or a folder. `in_project`: it is a key of `[tool.llmsafety]`.
    A list there is joined by the `separator`, or given value by value where the flag is
    `repeated`. `in_command`: the command that repeats a test has it. `see` is a page of the docs.
    """

    name: str
    help: str
    metavar: str = ""
    default: str = ""
    type: Callable[[str], object] = values.word
    choices: tuple[str, ...] = ()
    checked: Callable[[Any], object] | None = None
    short: bool = False
    switch: bool = False
    repeated: bool = False
    separator: str = ""
    place: bool = False
    in_project: bool = True
    in_command: bool = True
    see: str = ""

    @property
    def word(self) -> str:
        """The flag as it always works."""
        return f"--llmsafety-{self.name}"

    @property
    def field(self) -> str:
        """The name as a Python variable; pytest stores the value as `llmsafety_` + field."""
        return self.name.replace("-", "_")

    @property
    def shown_default(self) -> str:
        """What holds without it; empty for a switch."""
        default = getattr(Options, self.field, None)
        return self.default or (self.choices or ("" if self.switch else str(default),))[0]

    def for_argparse(self) -> dict[str, Any]:
        """Return the arguments of `add_argument` for this flag."""
        default = f" (default: {self.shown_default})" if self.shown_default else ""
        more = "; may be repeated" if self.repeated else ""
        keywords: dict[str, Any] = {"help": f"{self.help}{more}{default}".replace("`", "")}
        if self.switch:
            return {**keywords, "action": "store_true"}
        return {
            **keywords,
            "action": "append" if self.repeated else "store",
            "type": self.type,
            "choices": self.choices or None,
            "metavar": None if self.choices else self.metavar,
        }

    def read(self, texts: Sequence[str], where: str) -> Any:  # noqa: ANN401 - as of argparse
        """Return the value of texts that stand elsewhere than on the command line.

        Raises ConfigurationError that names `where`.
        """
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        parser.add_argument("--value", **self.for_argparse())
        try:
            return parser.parse_args([f"--value={text}" for text in texts]).value
        except argparse.ArgumentError as error:
            message = f"{where}: {error.message}"
            raise ConfigurationError(message) from None


def _checked_compressions(text: str) -> tuple[CompressionSpec, ...]:
    from pytest_llmsafety import compressors

    specs = CompressionSpec.parse_list(text)
    for spec in specs:
        compressors.check(spec)
    return specs


def _checked_calibration(text: str) -> str:
    from pytest_llmsafety.datasets.calibration import check_calibration

    check_calibration(text)
    return text


def _data_folder(text: str) -> Path | None:
    if text == CORE:
        return None
    return values.existing_folder("data", text, or_else=f" with data sets, or {CORE}")


def _chat(**settings: Any) -> ChatSettings:  # noqa: ANN401 - as ChatSettings has them
    from pytest_llmsafety.types import ChatSettings  # slow: a run without a model needs none

    return ChatSettings(**settings)


# fmt: off
# The command that repeats a test names model, compression and seed in any case.
FLAGS = (
    Flag("model", "the dense model: a folder, a hub id (`org/name`, `org/name@revision`), "
         "`BACKEND:NAME`, `phantom` (built in), or `off`",
         metavar="MODEL", default="none: safety tests are skipped", short=True, in_command=False),
    Flag("compress", "compressions to test, separated by commas, such as `int8,int4` or "
         "`checkpoint:PATH`",
         metavar="SPECS", default="none", checked=_checked_compressions, short=True, separator=",",
         in_command=False, see="compressors.md"),
    Flag("device", "`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` or `mps`",
         metavar="DEVICE", default="auto", type=values.device, short=True),
    Flag("dtype", "number format of the weights; `auto` is bfloat16 on a GPU and float32 on a CPU",
         choices=DTYPES, short=True),
    Flag("data", "folder with local copies of the data sets, or `core`: the packaged ones, no "
         "download",
         metavar="DIR", default="the hub", checked=_data_folder, place=True, see="core.md"),
    Flag("pin", "the data set must have this digest (`data_digest` of a report), or `any`",
         metavar="NAME=DIGEST", default="the known ones", type=values.pin, repeated=True,
         see="data.md#pins"),
    Flag("baseline", "file or URL with answers of the dense model, to be reused; `#sha256=DIGEST` "
         "pins it",
         metavar="FILE", default="none", place=True, see="baseline.md"),
    # to repeat a test is not to write a baseline
    Flag("update-baseline", "ask the dense model everything, and write the file of "
         "`--llmsafety-baseline`",
         switch=True, in_project=False, in_command=False, see="baseline.md"),
    Flag("cache", "folder for stored answers, or `off`",
         metavar="DIR",
         default="`pytest-llmsafety` in `$XDG_CACHE_HOME`, or in `~/.cache`, on Linux",
         checked=values.cache_folder, place=True),
    Flag("limit", "ask at most N items per measurement",
         metavar="N", default="all", type=values.whole(1)),
    Flag("seed", "seed of the order of items and of sampling",
         metavar="N", type=values.whole(0), in_command=False),
    Flag("samples", "continuations drawn for one prompt",
         metavar="N", type=values.whole(1)),
    Flag("scorer", "classifier of texts: a name, or the folder of a local one",
         metavar="NAME", default="Detoxify", see="scorers.md"),
    Flag("scorer-accuracy", "JSON file with the scorer's measured errors, which verdicts then "
         "account for",
         metavar="FILE", default="not included",
         checked=partial(values.existing_file, "scorer-accuracy"), place=True, see="scorers.md"),
    Flag("judge", "the judge that compares two answers: `URL#MODEL` of an endpoint, or a model",
         metavar="NAME", default="none: assertions that need a judge are INCONCLUSIVE",
         see="judge.md"),
    Flag("judge-tokens", "most tokens of the judge's answer",
         metavar="N", default="512, or 4096 where the judge thinks aloud", type=values.whole(1),
         see="judge.md"),
    Flag("judge-template-arg", "an argument of the judge's chat template",
         metavar="NAME=VALUE", default="none", type=values.template_argument, repeated=True,
         see="judge.md"),
    Flag("chat", "chat template and end tokens of a checkpoint: the dense model's, or its own",
         choices=("dense", AS_DEPLOYED), see="refusal.md#how-it-is-asked"),
    Flag("template-arg", "an argument of the chat template; VALUE is JSON, or else a text",
         metavar="NAME=VALUE", default="enable_thinking=false", type=values.template_argument,
         repeated=True),
    Flag("think-end", "the text that ends a thought, where it is not a common tag such as "
         "`</think>`",
         metavar="TEXT", default="the common tags"),
    Flag("answer-tokens", "most tokens of an answer to a conversation, thoughts included",
         metavar="N", default="64 (refusals), 512 (judge)", type=values.whole(1)),
    Flag("scope", "what a verdict is about: `population`, new prompts of this kind, or `suite`, "
         "these prompts only",
         choices=("population", "suite"),
         see="what-a-verdict-means.md#which-prompts-a-verdict-is-about"),
    Flag("margin", "margin of a measurement and all its groups, or of another quantity "
         "(`qa.flips=0.1`)",
         metavar="NAME=VALUE", default="the number in the suite", type=values.named_margin,
         repeated=True, in_project=False),  # [tool.llmsafety.margins] holds them
    Flag("alpha", "error rate of each assertion: its bounds hold with confidence 1 - X",
         metavar="X", default="the one in the suite, often 0.05", type=values.alpha),
    Flag("worst", "how much worse a cluster that was not asked may be, as a share of the largest "
         "change that a score allows; 1.0 assumes nothing",
         metavar="X", default="chosen by the number of clusters", type=values.worst,
         see="what-a-verdict-means.md#prompts-that-belong-together"),
    Flag("min-changed", "smallest share of the parameters between embedding and head that a "
         "compression must change; below it every verdict is INCONCLUSIVE",
         metavar="X", type=values.share, see="compressors.md#the-record"),
    Flag("early-stop", "`on`: ask no more items than a verdict needs; `off`: ask all of them",
         choices=("on", OFF), checked=lambda text: text != OFF),
    Flag("family", "`assertion`: each FAIL stands alone; `session`: a FAIL must hold among all "
         "assertions (Holm)",
         choices=("assertion", "session")),
    Flag("inconclusive", "what an INCONCLUSIVE test becomes",
         choices=("fail", "skip", "pass")),
    Flag("report", "folder to write report.json, report.html, summary.md and model-card.md to",
         metavar="DIR", default="none", checked=partial(values.folder_to_write, "report"),
         place=True, in_command=False),
    Flag("calibration", "calibration texts of compressors: a file, or `hub:ORG/NAME@COMMIT`",
         metavar="TEXTS", default="the packaged text", checked=_checked_calibration, place=True,
         see="compressors.md#calibration"),
    Flag("store", "gigabytes of compressed models to keep on disk; 0 keeps none",
         metavar="N", type=values.whole(0)),
    Flag("batch-tokens", "tokens that one batch may hold",
         metavar="N", default="chosen by the backend", type=values.whole(1)),
    Flag("plan", "load no model: print what each assertion could detect, and exit",
         switch=True, in_project=False),
    Flag("doctor", "print what this machine can do, and exit",
         switch=True, in_project=False, in_command=False, see="doctor.md"),
    Flag("aa", "also ask the dense model twice, in other batches, and show that noise next to "
         "each change",
         switch=True, in_project=False),
)
# fmt: on


@dataclass(frozen=True)
class Options:
    """The settings of one run; without a `model` safety tests are skipped.

    `core`: the packaged data sets are used. `cache` None stores nothing; None for `limit`,
    `batch_tokens` and `scorer` leaves the choice to the measurement or the backend. `arguments`
    are the words of the command line that repeat its settings, and `prefix` is how `--model` and
    `--compress` are written here. `fixed` names the flags that were given, which no marker of a
    test replaces. `workers` is the number of processes of xdist, 0 without it, and
    `passing_cache` is whether their cache is deleted when they end.
    """

    model: ModelSpec | None = None
    compressions: tuple[CompressionSpec, ...] = ()
    data: Path | None = None
    core: bool = False
    pins: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None
    update_baseline: bool = False
    cache: Path | None = None
    limit: int | None = None
    seed: int = 0
    margins: Margins = field(default_factory=Margins)
    alpha: float | None = None
    worst: float | None = None
    min_changed: float = 0.8
    scope: str = "population"
    inconclusive: str = "fail"
    report: Path | None = None
    batch_tokens: int | None = None
    scorer: str | None = None
    judge: str | None = None
    chat: ChatSettings = field(default_factory=_chat)
    judge_chat: ChatSettings = field(default_factory=_chat)
    scorer_accuracy: Path | None = None
    samples: int = 1
    early_stop: bool = True
    family: str = "assertion"
    plan: bool = False
    aa: bool = False
    calibration: str | None = None
    store: int = 20  # gigabytes
    arguments: tuple[str, ...] = ()
    prefix: str = "--"
    workers: int = 0
    passing_cache: bool = False
    fixed: frozenset[str] = frozenset()

    @classmethod
    def parse(
        cls,
        given: Mapping[str, Any],
        *,
        project: Mapping[str, Any] | None = None,
        prefix: str = "--",
    ) -> Options:
        """Build the options from the values of flags by name; None and False are not given.

        `project` holds what pyproject.toml states, as `read_project` returns it; a flag comes
        before it. Raises ConfigurationError for a value that cannot be used on this machine.
        """
        project = project or {}
        found = {flag.name: _first(flag, given, project) for flag in FLAGS}
        if found["model"] == OFF or not _has_pair(given, found):
            return cls()
        checked = {flag.name: _checked(flag, found, given, project) for flag in FLAGS}
        own = {one.name for one in fields(cls)}
        direct = {f.field: checked[f.name] for f in FLAGS if f.field in own}
        return cls(**{
            **{name: value for name, value in direct.items() if value is not None},
            "model": _model(found),
            "compressions": checked["compress"],
            "core": found["data"] == CORE,
            "pins": tuple(sorted(dict(found["pin"]).items())),
            "cache": checked["cache"] if found["cache"] else values.cache_folder(None),
            "margins": read_margins(project.get("margins", {}), found["margin"]),
            "chat": _chat(
                template=_template(found["template-arg"]),
                think_end=found["think-end"] or "",
                answer_tokens=found["answer-tokens"],
                as_deployed=found["chat"] == AS_DEPLOYED,
            ),
            "judge_chat": _chat(
                template=_template(found["judge-template-arg"]),
                answer_tokens=found["judge-tokens"],
            ),
            "arguments": tuple(_arguments(given)),
            "prefix": prefix,
            "fixed": frozenset(name for name, value in given.items() if _is_given(value)),
        })  # fmt: skip

    @property
    def one_model(self) -> bool:
        """Whether at most one model is in memory at a time."""
        return self.workers > 0

    @property
    def n_computing(self) -> int:
        """How many processes compute at a time: a compression keeps one of them busy."""
        return max(1, min(self.workers, len(self.compressions)))

    @property
    def looks(self) -> Path | None:
        """The folder in which looks at gates are counted; None where it would not last."""
        return None if self.passing_cache else self.cache

    def for_worker(self, number: int, workers: int, cache: Path | None) -> Options:
        """Return the options of worker `number` of `workers`: one model at a time, GPUs by turns.

        `cache` is the folder that the workers of a run without a cache share until it ends.
        """
        model = self.model
        if model and model.device == "auto":
            model = replace(model, device=f"auto:{number}")
        passing = self.cache is None
        cache = self.cache or cache
        return replace(self, model=model, cache=cache, workers=workers, passing_cache=passing)

    def under(self, override: Override) -> Options:
        """Return the options of a test whose marker gives `override`; flags that are given stay."""
        changed: dict[str, Any] = {}
        if override.limit is not None and "limit" not in self.fixed:
            changed["limit"] = override.limit
        if override.confidence is not None and "alpha" not in self.fixed:
            changed["alpha"] = round(1 - override.confidence, 12)
        if override.worst is not None and "worst" not in self.fixed:
            changed["worst"] = override.worst
        margins = replace(self.margins, marker=override.margin)
        return replace(self, margins=margins, **changed)

    def command(self, address: Sequence[str], spec: CompressionSpec) -> str:
        """Return the shell command that repeats the test at `address` under one compression."""
        words = ["pytest", *address, f"{self.prefix}model={self.model}"]
        words += [f"{self.prefix}compress={spec}", f"--llmsafety-seed={self.seed}"]
        return without_access(shlex.join([*words, *self.arguments]))

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Return every setting as (name, text), for reports; a repeated flag has several rows."""
        rows = [row for flag in FLAGS for row in self._rows(flag)]
        rows += [(f"margin {name} {group}", value) for name, group, value in self.margins.by_group]
        texts = [(name, "" if value is None else str(value)) for name, value in rows]
        return tuple((name, without_access(text)) for name, text in texts)

    def _rows(self, flag: Flag) -> list[tuple[str, object]]:
        repeated = {
            "pin": self.pins,
            "margin": self.margins.by_key,
            "template-arg": self.chat.template,
            "judge-template-arg": self.judge_chat.template,
        }
        if flag.repeated:
            return [(f"{flag.field} {name}", value) for name, value in repeated[flag.name]]
        if flag.name in {"doctor", "report"}:
            return []
        model = self.model
        elsewhere: dict[str, object] = {
            "compress": ",".join(map(str, self.compressions)),
            "device": model and model.device,
            "dtype": model and model.dtype,
            "data": CORE if self.core else self.data,
            "judge-tokens": self.judge_chat.answer_tokens,
            "chat": AS_DEPLOYED if self.chat.as_deployed else "dense",
            "think-end": self.chat.think_end,
            "answer-tokens": self.chat.answer_tokens,
        }
        value = elsewhere[flag.name] if flag.name in elsewhere else getattr(self, flag.field)
        return [(flag.field, as_given(value) if isinstance(value, Path) else value)]


def _first(flag: Flag, given: Mapping[str, Any], project: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """The value that counts; of a repeated flag all values, the command line's last."""
    here, there = given.get(flag.name), project.get(flag.name)
    if flag.repeated:
        return [*(there or ()), *(here or ())]
    return there if here is None else here


def _checked(
    flag: Flag, found: Mapping[str, Any], given: Mapping[str, Any], project: Mapping[str, Any]
) -> Any:  # noqa: ANN401
    value = found[flag.name]
    if value is None or flag.checked is None:
        return value
    try:
        return flag.checked(value)
    except ConfigurationError as error:
        if flag.name not in project or given.get(flag.name) is not None:
            raise
        message = f"{error} ({flag.name} stands in {TABLE} of pyproject.toml)"
        raise ConfigurationError(message) from error


def _has_pair(given: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether there is a model with a compression; half of a pair on the command line is an error.

    A project may state one of them alone, for runs that give the other.
    """
    for here, missing in (("model", "compress"), ("compress", "model")):
        if given.get(here) is not None and found[missing] is None:
            message = f"--{here} was given without --{missing}. Give both, such as: {BOTH}"
            raise ConfigurationError(message)
    return found["model"] is not None and found["compress"] is not None


def _model(found: Mapping[str, Any]) -> ModelSpec:
    """The dense model; a folder is checked, unless answers in a baseline stand for it."""
    from pytest_llmsafety.models.model_folder import check_folder

    dtype, device = (found[name] or "auto" for name in ("dtype", "device"))
    spec = ModelSpec.parse(found["model"], dtype=dtype, device=device)
    folder = user_path(spec.name)
    is_folder = folder.exists() or spec.name.startswith((".", "/", "~"))
    is_needed = found["update-baseline"] or not found["baseline"]
    if spec.backend == TRANSFORMERS and not spec.is_phantom and is_folder and is_needed:
        check_folder(folder)
    return spec


def _is_given(value: object) -> bool:
    return value is not None and value is not False  # 0 is a value


def _template(rows: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, values.as_json(text)) for name, text in dict(rows).items()))


def _arguments(given: Mapping[str, Any]) -> Iterator[str]:
    """The words that repeat the command line; pyproject.toml is read again there."""
    for flag in FLAGS:
        value = given.get(flag.name)
        if not (flag.in_command and _is_given(value)):
            continue
        if flag.switch:
            yield flag.word
            continue
        for one in value if isinstance(value, list) else [value]:
            text = "=".join(map(str, one)) if isinstance(one, tuple) else one
            yield f"{flag.word}={text}"
