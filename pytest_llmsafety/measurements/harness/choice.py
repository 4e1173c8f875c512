"""What a user chooses of another harness's documents: the metric, the groups and the clusters."""

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
    """The user's choices about the documents, each of which may be left out.

    `metric` is a name, or `name,filter` as in lm-evaluation-harness. `groups` and `cluster` name a
    field of a document, or are functions of a document. `support` is the range of one document's
    score.
    """

    metric: str = ""
    groups: Groups | None = None
    cluster: Cluster | None = None
    support: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Make the range a tuple, so that equal choices compare equal."""
        if self.support is not None:
            object.__setattr__(self, "support", tuple(self.support))

    def groups_of(self, document: Document) -> tuple[str, ...]:
        """Return the document's groups: `field:value`, or the result of the function."""
        if self.groups is None:
            return ()
        if callable(self.groups):
            return tuple(self.groups(document))
        value = field(document, self.groups)
        values = value if isinstance(value, (list, tuple)) else [value]
        return tuple(f"{self.groups}:{one}" for one in values)

    def cluster_of(self, document: Document) -> str | None:
        """Return the document's cluster; None if it is alone."""
        if self.cluster is None or callable(self.cluster):
            return self.cluster(document) if self.cluster else None
        return str(field(document, self.cluster))

    def pick(self, metrics: Iterable[str], filters: Iterable[str]) -> tuple[str, str]:
        """Return the chosen metric and filter, else the first metric and the only filter.

        Raises ConfigurationError for an unknown name, and if no filter was chosen out of several.
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
                f"{metric} has several filters: {', '.join(filters)}. Choose one, such as "
                f"metric='{metric},{filters[0]}'."
            )
            raise ConfigurationError(message)
        return metric, wanted or filters[0]


def field(document: Document, name: str) -> Any:  # noqa: ANN401 - whatever the document holds
    """Return a field of a document. Raises ConfigurationError with the fields of the document."""
    if name not in document:
        message = f"a document has no field '{name}'. Its fields: {', '.join(map(str, document))}."
        raise ConfigurationError(message)
    return document[name]


def is_task(name: str) -> bool:
    """Return whether a measurement is a task: `lm_eval:TASK`, or `lm_eval:FILE.yaml`."""
    return name.startswith(PREFIX)


def check_choice(name: str, choice: Choice, others: Mapping[str, object]) -> None:
    """Raise ConfigurationError for arguments that a measurement of this name does not have.

    `others` are the arguments that only measurements of this package have, by name.
    """
    given = [f"{key}={value!r}" for key, value in others.items() if value is not None]
    if is_task(name) and given:
        message = f"{name} has its own documents and scores; leave {', '.join(given)} out."
        raise ConfigurationError(message)
    if not is_task(name) and choice != Choice():
        message = (
            f"{name} has its own metric, groups and clusters. Expected metric=, groups=, cluster= "
            f"and support= only with a task of lm-evaluation-harness ({PREFIX}TASK)."
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
        """Return the scale of a metric, with a range that is known or chosen by the user.

        Perplexities become negative log-likelihoods, so less is better whatever is declared. Raises
        ConfigurationError where direction or range is not known.
        """
        if metric in PERPLEXITIES:
            return cls(metric, higher_is_better=False, support=(0.0, math.inf))
        support = choice.support or ((0.0, 1.0) if metric in ACCURACIES else None)
        if direction is None:
            message = (
                f"it is not known whether more {metric} is better. Expected it in the results file "
                "next to the samples; give higher_is_better=True or False."
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
        """Return the kind of measurement, which assertions look at; empty if it is not known."""
        if self.metric in PERPLEXITIES:
            return "perplexity"
        return "right answers" if self.metric in ACCURACIES and self.higher_is_better else ""

    def read(self, raw: Any) -> tuple[float | None, float, str]:  # noqa: ANN401 - as logged
        """Return a document's score (None if there is none), its weight, and the problem.

        lm-evaluation-harness logs a perplexity of words or bytes as a pair (log-likelihood,
        number), and `perplexity` as the log-likelihood alone.
        """
        value, weight = raw, 1.0
        if self.metric in PERPLEXITIES:
            pair = isinstance(raw, (list, tuple))
            value, weight = raw if pair and len(raw) == len(("nats", "words")) else (raw, 1.0)
        try:
            number, weight = float(value), float(weight)
        except (TypeError, ValueError):
            shown = str(raw)[:40]
            return None, 1.0, f"its {self.metric} is {shown}, which is not a number"
        number = -number if self.metric in PERPLEXITIES else number
        low, high = self.support
        if not (low <= number <= high and math.isfinite(number) and 0 < weight < math.inf):
            return None, 1.0, f"its {self.metric} {number:g} is not between {low:g} and {high:g}"
        return number, weight, ""
