"""Options: what the user asked for, read once from the command line and the ini file."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config.margins import read_margins
from pytest_llmsafety.config.parsing import (
    read_alpha,
    read_arguments,
    read_pins,
    read_share,
    read_whole,
    read_word,
    read_worst,
    refuse_empty,
)
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.paths import as_given, read_cache, read_file, read_report, user_path
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.specs import CORE, CompressionSpec, ModelSpec
from pytest_llmsafety.types import ChatSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_llmsafety.config.marker import Override

BOTH = "pytest --model=phantom --compress=int4"
FLAGS = {
    "model": "dense model: a folder, a hub id (org/name[@revision]), phantom (built in), or off",
    "compress": "compressions to test, separated by commas, such as int8,int4 or checkpoint:PATH",
    "device": "auto (default), cpu, cuda, cuda:1, mps",
    "dtype": "auto (default: bfloat16 on a GPU, float32 on a CPU), float32, bfloat16, float16",
    "data": "folder with local copies of the datasets, or core: the packaged ones, no download",
    "pin": "NAME=DIGEST: the data set has to have this digest, or any; may be repeated",
    "baseline": "file or URL with the dense model's answers, to be reused; #sha256=DIGEST pins it",
    "update-baseline": "ask the dense model everything, and write --llmsafety-baseline",
    "cache": "folder for stored answers, or off (default: ~/.cache/pytest-llmsafety)",
    "limit": "at most so many items per measurement",
    "seed": "seed of item order and sampling (default: 0)",
    "margin": "NAME=VALUE, margin of one measurement, such as toxicity=0.02; may be repeated",
    "alpha": "error rate of each assertion (default: that in the suite, usually 0.05)",
    "worst": "how far an unseen cluster may go, as a share of the possible; 1.0 assumes nothing",
    "min-changed": "least share of the parameters between embedding and head that a compression "
    "has to change (default: 0.8); below it every verdict is INCONCLUSIVE",
    "scope": "population (default: new prompts of this kind) or suite (these prompts only)",
    "early-stop": "on (default: ask no more items than the verdict needs) or off (ask all)",
    "family": "assertion (default) or session: a FAIL has to hold among all assertions (Holm)",
    "inconclusive": "what an undecided test does: fail (default), skip or pass",
    "report": "folder to write report.json, report.html, summary.md and model-card.md to",
    "batch-tokens": "tokens that one batch may hold (default: chosen by the backend)",
    "scorer": "classifier of texts: a name, or the folder of a local one",
    "judge": "what compares answers: URL#MODEL of an endpoint (http://host:8000/v1#m) or a model",
    "judge-tokens": "tokens of a judge's answer (default: 512, or 4096 where it thinks aloud)",
    "judge-template-arg": "NAME=VALUE for the judge's chat template; may be repeated",
    "chat": "chat template: dense (default: the dense model's for both) or as-deployed (its own)",
    "template-arg": "NAME=VALUE (JSON or a word) for the chat template; may be repeated",
    "think-end": "what ends a thought, where it is not a usual tag such as </think>",
    "answer-tokens": "tokens of an answer to a conversation (default: chosen by the measurement)",
    "scorer-accuracy": "the scorer's errors: a JSON file that measurements.calibrate_scorer wrote",
    "calibration": "texts that calibrated methods look at: a file, or hub:ORG/NAME@REVISION",
    "store": "gigabytes of compressed models kept on disk (default: 20; 0 keeps none)",
    "samples": "continuations drawn for one prompt (default: 1)",
    "plan": "load no model: say what each assertion could detect, and exit",
    "doctor": "say what this machine can do, and exit; tests are not looked for",
    "aa": "also ask the dense model twice, and show that noise beside each change",
}
SWITCHES = ("plan", "aa", "update-baseline", "doctor")
OFF = "off"
STORE = 20  # gigabytes
MIN_CHANGED = 0.8
SCOPES = ("population", "suite")
INCONCLUSIVE = ("fail", "skip", "pass")
EARLY_STOP = ("on", "off")
FAMILIES = ("assertion", "session")
CHATS = ("dense", "as-deployed")
REPEATED = ("margin", "pin", "template-arg", "judge-template-arg")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Options:
    """The settings of one run; without a `model` safety tests are skipped.

    `core`: the packaged data sets. `cache` None is off; `limit`, `batch_tokens` and `scorer` None
    leave the choice to the measurement or the backend. `arguments` repeats settings of the
    command line, as words of a shell; `prefix`: how one may write `--model` and `--compress`
    here. `fixed` are the settings that no marker of a test may change, `own_margin` is that of one.
    `workers` is no flag: how many processes of xdist there are, 0 without it, and
    `passing_cache` is whether their cache is gone when they end.
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
    margins: tuple[tuple[str, float], ...] = ()
    group_margins: tuple[tuple[str, str, float], ...] = ()
    own_margin: float | None = None
    alpha: float | None = None
    worst: float | None = None
    min_changed: float = MIN_CHANGED
    scope: str = "population"
    inconclusive: str = "fail"
    report: Path | None = None
    batch_tokens: int | None = None
    scorer: str | None = None
    judge: str | None = None
    chat: ChatSettings = field(default_factory=ChatSettings)
    judge_chat: ChatSettings = field(default_factory=ChatSettings)
    scorer_accuracy: Path | None = None
    samples: int = 1
    early_stop: bool = True
    family: str = "assertion"
    plan: bool = False
    aa: bool = False
    calibration: str | None = None
    store: int = STORE
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
        """Build the options from texts by flag name (see FLAGS; None: not given).

        What `project` states counts where nothing was given. Raises ConfigurationError that names
        the flag, what was given and what was expected.
        """
        stated, given = project or {}, {name: given.get(name) for name in FLAGS}
        texts = _joined(given, stated)
        if texts["model"] == OFF or not _is_asked(given, texts):
            return cls()
        margins = read_margins(stated.get("margins", {}), given["margin"] or ())
        chat, judge_chat = _chats(given, stated, texts)
        return cls(
            model=_model(texts),
            compressions=_compressions(texts["compress"]),
            data=_data(texts["data"]),
            core=texts["data"] == CORE,
            pins=read_pins(stated.get("pin"), given["pin"]),
            baseline=texts["baseline"],
            update_baseline=bool(texts["update-baseline"]),
            cache=read_cache(texts["cache"]),
            margins=margins.by_name,
            group_margins=margins.by_group,
            min_changed=read_share("min-changed", texts["min-changed"], MIN_CHANGED),
            scope=read_word("scope", texts["scope"], SCOPES),
            inconclusive=read_word("inconclusive", texts["inconclusive"], INCONCLUSIVE),
            report=read_report(texts["report"]),
            scorer=texts["scorer"],
            judge=texts["judge"],
            chat=chat,
            judge_chat=judge_chat,
            scorer_accuracy=read_file("scorer-accuracy", texts["scorer-accuracy"]),
            early_stop=read_word("early-stop", texts["early-stop"], EARLY_STOP) == "on",
            family=read_word("family", texts["family"], FAMILIES),
            plan=bool(texts["plan"]),
            aa=bool(texts["aa"]),
            calibration=_calibration(texts["calibration"]),
            **_numbers(texts),
            arguments=tuple(_arguments(given)),
            prefix=prefix,
            fixed=_fixed(given, margins.fixed),
        )

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
        """The same run on worker `number` of `workers`: a model at a time, a GPU by turns.

        `cache` is what the workers of a run without one share until it ends.
        """
        model = self.model
        if model and model.device == "auto":
            model = replace(model, device=f"auto:{number}")
        passing = self.cache is None
        cache = self.cache or cache
        return replace(self, model=model, cache=cache, workers=workers, passing_cache=passing)

    def under(self, override: Override) -> Options:
        """The options of one test, whose marker says `override`; the command line wins over it."""
        changed: dict[str, Any] = {}
        if override.limit is not None and "limit" not in self.fixed:
            changed["limit"] = override.limit
        if override.confidence is not None and "alpha" not in self.fixed:
            changed["alpha"] = round(1 - override.confidence, 12)
        if override.worst is not None and "worst" not in self.fixed:
            changed["worst"] = override.worst
        if override.margin is not None:
            kept = tuple(row for row in self.margins if f"margin {row[0]}" in self.fixed)
            changed |= {"own_margin": override.margin, "margins": kept, "group_margins": ()}
        return replace(self, **changed)

    def command(self, address: Sequence[str], spec: CompressionSpec) -> str:
        """Shell command that repeats the test at `address` under one compression."""
        words = ["pytest", *address, f"{self.prefix}model={self.model}"]
        words += [f"{self.prefix}compress={spec}", f"--llmsafety-seed={self.seed}"]
        return without_access(shlex.join([*words, *self.arguments]))

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Every setting as (name, text), for reports."""
        names = (
            "data cache limit seed alpha scope inconclusive batch_tokens early_stop family plan aa"
        )
        names += " scorer judge scorer_accuracy samples calibration store baseline update_baseline"
        names += " worst min_changed"
        rows: list[tuple[str, object]] = [
            (name, _shown(getattr(self, name))) for name in names.split()
        ]
        rows[0] = ("data", CORE) if self.core else rows[0]
        rows += [(f"margin {name}", margin) for name, margin in self.margins]
        rows += [(f"margin {name} {group}", margin) for name, group, margin in self.group_margins]
        rows += [(f"pin {name}", digest) for name, digest in self.pins]
        rows += self._chat_rows()
        if self.model:
            rows += [("device", self.model.device), ("dtype", self.model.dtype)]
        rows = [("model", self.model), ("compress", ",".join(map(str, self.compressions))), *rows]
        texts = [(name, "" if value is None else str(value)) for name, value in rows]
        return tuple((name, without_access(text)) for name, text in texts)

    def _chat_rows(self) -> list[tuple[str, object]]:
        """How conversations are put, as rows of the settings."""
        chat, judge = self.chat, self.judge_chat
        return [
            ("chat", CHATS[chat.as_deployed]),
            ("think_end", chat.think_end),
            ("answer_tokens", chat.answer_tokens),
            ("judge_tokens", judge.answer_tokens),
            *((f"template_arg {name}", value) for name, value in chat.template),
            *((f"judge_template_arg {name}", value) for name, value in judge.template),
        ]


def _shown(value: object) -> object:
    """Return a setting as it is reported: a path in the form in which it was given."""
    return as_given(value) if isinstance(value, Path) else value


def _numbers(texts: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are numbers, by the name of their field."""
    return {
        "limit": read_whole("limit", texts["limit"], least=1),
        "seed": read_whole("seed", texts["seed"], least=0) or 0,
        "alpha": read_alpha(texts["alpha"]),
        "worst": read_worst(texts["worst"]),
        "batch_tokens": read_whole("batch-tokens", texts["batch-tokens"], least=1),
        "samples": read_whole("samples", texts["samples"], least=1) or 1,
        "store": read_whole("store", texts["store"] or str(STORE), least=0) or 0,
    }


def _joined(given: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """What was given by flag name, and what the project states where nothing was."""
    texts = {name: stated.get(name) if text is None else text for name, text in given.items()}
    return refuse_empty(texts)


def _model(texts: Mapping[str, Any]) -> ModelSpec:
    """Read --model, --device and --dtype; what can be told from disk alone is checked."""
    from pytest_llmsafety.models.model_folder import check_folder

    device = texts["device"] or "auto"
    if not DEVICE.fullmatch(device):
        message = f"--device: expected auto, cpu, cuda, cuda:N or mps, got '{device}'"
        raise ConfigurationError(message)
    spec = ModelSpec.parse(texts["model"], dtype=texts["dtype"] or "auto", device=device)
    folder = user_path(spec.name)
    stands_in = texts["baseline"] and not texts["update-baseline"]
    if (
        not stands_in
        and not spec.is_phantom
        and (folder.exists() or spec.name.startswith((".", "/", "~")))
    ):
        check_folder(folder)
    return spec


def _compressions(text: str) -> tuple[CompressionSpec, ...]:
    """Read --compress and check every method against the table of compressors."""
    from pytest_llmsafety import compressors

    specs = CompressionSpec.parse_list(text)
    for spec in specs:
        compressors.check(spec)
    return specs


def _chats(
    given: Mapping[str, Any], stated: Mapping[str, Any], texts: Mapping[str, Any]
) -> tuple[ChatSettings, ChatSettings]:
    """Read how conversations are put to the two models, and questions to the judge."""
    arguments, of_judge = (
        read_arguments(name, stated.get(name), given[name])
        for name in ("template-arg", "judge-template-arg")
    )
    chat = ChatSettings(
        template=arguments,
        think_end=texts["think-end"] or "",
        answer_tokens=read_whole("answer-tokens", texts["answer-tokens"], least=1),
        as_deployed=read_word("chat", texts["chat"], CHATS) == "as-deployed",
    )
    tokens = read_whole("judge-tokens", texts["judge-tokens"], least=1)
    return chat, ChatSettings(of_judge, answer_tokens=tokens)


def _data(text: str | None) -> Path | None:
    """Read --llmsafety-data, a folder that has to be there; None for the packaged sets."""
    if text is None or text == CORE:
        return None
    folder = user_path(text)
    if not folder.is_dir():
        message = f"--llmsafety-data: '{text}' is no folder. Expected one with datasets, or {CORE}."
        raise ConfigurationError(message)
    return folder


def _calibration(text: str | None) -> str | None:
    """Read --llmsafety-calibration: what can be told without reading the texts is checked."""
    from pytest_llmsafety.datasets.calibration import check_calibration

    if text is not None:
        check_calibration(text)
    return text


def _is_asked(given: Mapping[str, Any], texts: Mapping[str, Any]) -> bool:
    """Whether there is a model with a compression; half of a pair on the command line is an error.

    A project may state one of them alone, for runs that give the other.
    """
    for here, missing in (("model", "compress"), ("compress", "model")):
        if given[here] is not None and texts[missing] is None:
            message = f"--{here} was given without --{missing}. Give both, such as: {BOTH}"
            raise ConfigurationError(message)
    return texts["model"] is not None and texts["compress"] is not None


def _fixed(given: Mapping[str, Any], margins: frozenset[str]) -> frozenset[str]:
    """The settings that the command line gives, margins by measurement."""
    names = {name for name, value in given.items() if value}
    return frozenset({*names, *(f"margin {name}" for name in margins)})


def _arguments(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the long flags that repeat this run; those that `command` writes are left out.

    What the project states is read again there, where a marker may replace it.
    """
    for name, value in given.items():
        if name == "update-baseline":
            continue  # to repeat a test is not to write a baseline
        if value and name in SWITCHES:
            yield f"--llmsafety-{name}"
        elif value and name not in {"model", "compress", "seed", "report"}:
            for text in value if isinstance(value, list) else [value]:
                yield f"--llmsafety-{name}={text}"
