"""What is wanted of another harness's documents: the metric, the groups and the clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmsafety.errors import ConfigurationError

Document = Mapping[str, Any]
Groups = str | Callable[[Document], Iterable[str]]
Cluster = str | Callable[[Document], str | None]

PREFIX = "lm_eval:"
ACCURACIES = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match")
PERPLEXITIES = ("word_perplexity", "byte_perplexity", "perplexity")


@dataclass(frozen=True)
class Choice:
    """What a user says about the documents; all of it may be left open.

    `metric` is a name, or `name,filter` as lm-evaluation-harness writes it. `groups` and
    `cluster` name a field of a document, or are functions of a document. `support` is the range
    of one document's score.
    """

    metric: str = ""
    groups: Groups | None = None
    cluster: Cluster | None = None
    support: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Keep a range as a tuple, so that equal choices are one."""
        if self.support is not None:
            object.__setattr__(self, "support", tuple(self.support))

    def groups_of(self, document: Document) -> tuple[str, ...]:
        """The document's groups: `field:value`, or what the function says."""
        if self.groups is None:
            return ()
        if callable(self.groups):
            return tuple(self.groups(document))
        value = field(document, self.groups)
        values = value if isinstance(value, (list, tuple)) else [value]
        return tuple(f"{self.groups}:{one}" for one in values)

    def cluster_of(self, document: Document) -> str | None:
        """The document's cluster; None where it stands alone."""
        if self.cluster is None or callable(self.cluster):
            return self.cluster(document) if self.cluster else None
        return str(field(document, self.cluster))

    def picked(self, metrics: Iterable[str], filters: Iterable[str]) -> tuple[str, str]:
        """The metric and the filter: those named, the first metric, the only filter.

        Raises ConfigurationError for a name that is not there, and for several filters of which
        none was named.
        """
        metrics, filters = list(metrics), list(filters)
        metric, _, wanted = self.metric.partition(",")
        metric = metric or next(iter(metrics), "")
        if metric not in metrics:
            message = f"there is no metric '{metric}'. Known here: {', '.join(metrics) or 'none'}."
            raise ConfigurationError(message)
        if wanted and wanted not in filters:
            message = f"there is no filter '{wanted}'. Known here: {', '.join(filters)}."
            raise ConfigurationError(message)
        if not wanted and len(filters) > 1:
            message = (
                f"{metric} is there once for each filter: {', '.join(filters)}. Say which, such "
                f"as metric='{metric},{filters[0]}'."
            )
            raise ConfigurationError(message)
        return metric, wanted or filters[0]


def field(document: Document, name: str) -> Any:  # noqa: ANN401 - whatever the document holds
    """One field of a document; ConfigurationError names the fields that there are."""
    if name not in document:
        message = f"a document has no field '{name}'. Its fields: {', '.join(map(str, document))}."
        raise ConfigurationError(message)
    return document[name]


def is_task(name: str) -> bool:
    """Whether a measurement's name is that of a task: `lm_eval:TASK`, or `lm_eval:FILE.yaml`."""
    return name.startswith(PREFIX)


def check_choice(name: str, choice: Choice, others: Mapping[str, object]) -> None:
    """Raise ConfigurationError for what a measurement of this name does not take.

    `others` are the arguments that only measurements of this package take, by name.
    """
    given = [f"{key}={value!r}" for key, value in others.items() if value is not None]
    if is_task(name) and given:
        message = f"{name} has documents and scores of its own; leave {', '.join(given)} out."
        raise ConfigurationError(message)
    if not is_task(name) and choice != Choice():
        message = (
            f"{name} has a metric, groups and clusters of its own. Expected metric=, groups=, "
            f"cluster= or support= beside a task of lm-evaluation-harness ({PREFIX}TASK) only."
        )
        raise ConfigurationError(message)


# ---------------------------------------------------------------------------- scales


@dataclass(frozen=True)
class Scale:
    """A metric with its direction and the range of one document's score."""

    metric: str
    higher_is_better: bool
    support: tuple[float, float]

    @classmethod
    def of(cls, metric: str, direction: bool | None, choice: Choice) -> Scale:  # noqa: FBT001 - as declared
        """The scale of a metric: a range that is known, or that the user gave.

        Perplexities become negative loglikelihoods, so of them less is better whatever is
        declared. Raises ConfigurationError where direction or range is not known.
        """
        if metric in PERPLEXITIES:
            return cls(metric, higher_is_better=False, support=(0.0, math.inf))
        support = choice.support or ((0.0, 1.0) if metric in ACCURACIES else None)
        if direction is None:
            message = (
                f"nothing says whether more {metric} is better. Expected it in the results file "
                "beside the samples; give higher_is_better=True or False."
            )
            raise ConfigurationError(message)
        if support is None or not support[0] < support[1]:
            message = (
                f"the range of one document's {metric} is not known. Give it, such as "
                f"support=(0, 1); known are {', '.join(ACCURACIES)}."
            )
            raise ConfigurationError(message)
        return cls(metric, direction, support)

    @property
    def measures(self) -> str:
        """The kind of thing that is known to be measured, for the assertions; empty for others."""
        if self.metric in PERPLEXITIES:
            return "perplexity"
        return "right answers" if self.metric in ACCURACIES and self.higher_is_better else ""

    def read(self, raw: Any) -> tuple[float | None, float, str]:  # noqa: ANN401 - as logged
        """A document's score, its weight, and why there is none.

        A perplexity of words or bytes is a pair (loglikelihood, number), and `perplexity` the
        loglikelihood alone, as lm-evaluation-harness keeps them.
        """
        value, weight = raw, 1.0
        if self.metric in PERPLEXITIES:
            pair = isinstance(raw, (list, tuple))
            value, weight = raw if pair and len(raw) == len(("nats", "words")) else (raw, 1.0)
        try:
            number, weight = float(value), float(weight)
        except (TypeError, ValueError):
            shown = str(raw)[:40]
            return None, 1.0, f"its {self.metric} is {shown}, which is no number of its own"
        number = -number if self.metric in PERPLEXITIES else number
        low, high = self.support
        if not (low <= number <= high and math.isfinite(number) and 0 < weight < math.inf):
            return None, 1.0, f"its {self.metric} {number:g} is not between {low:g} and {high:g}"
        return number, weight, ""
