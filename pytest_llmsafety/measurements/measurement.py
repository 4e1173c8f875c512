"""A finished measurement: the scores of both models on the same items, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_llmsafety.specs import Margins
from pytest_llmsafety.types import ChatSettings

if TYPE_CHECKING:
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.models.deployment import Difference
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.stats import ScorerAccuracy
    from pytest_llmsafety.types import Item, Score


@dataclass(frozen=True)
class PairedScore:
    """One item with the scores of both models."""

    item: Item
    dense: Score
    compressed: Score

    @property
    def missing(self) -> bool:
        """Return whether either model has no score."""
        return self.dense.value is None or self.compressed.value is None

    @property
    def values(self) -> tuple[float, float]:
        """Return the scores (dense, compressed). Raises ValueError where one is missing."""
        if self.dense.value is None or self.compressed.value is None:
            message = f"{self.item.id} has no score from both models"
            raise ValueError(message)
        return self.dense.value, self.compressed.value

    def worsening_of(self, higher_is_better: bool) -> float:  # noqa: FBT001 - the direction
        """Return compressed - dense, with the sign that makes larger worse."""
        dense, compressed = self.values
        return dense - compressed if higher_is_better else compressed - dense


@dataclass(frozen=True)
class Figure:
    """A reported figure of both models; None where it is undefined."""

    name: str
    dense: float | None
    compressed: float | None


@dataclass(frozen=True)
class Settings:
    """The settings of a run that count for every verdict.

    - `margins` replace the margins that assertions are given.
    - `confidence` and `worst` replace those of every assertion.
    - `min_changed` is the smallest share (0-1) of the parameters between embedding and head that a
      compression has to change.
    - `scope` is `population` or `suite`.
    - `reproduce` is the command that repeats this measurement.
    - `seed` determines the order of the items.
    - `early_stop` ends the questions at the first decisive look.
    - `family` is `session` if a FAIL is corrected over all assertions, else `assertion`.
    - `noise_floor` asks the dense model twice.
    - `plan` asks no model at all.
    - `scorer_accuracy` is the accuracy of the scorer, if the user states it.
    - `chat` is how conversations are put to the models.
    """

    margins: Margins = field(default_factory=Margins)
    confidence: float | None = None
    worst: float | None = None
    min_changed: float = 0.8
    scope: str = "population"
    reproduce: str = ""
    seed: int = 0
    early_stop: bool = True
    family: str = "assertion"
    noise_floor: bool = False
    plan: bool = False
    scorer_accuracy: ScorerAccuracy | None = None
    chat: ChatSettings = field(default_factory=ChatSettings)


@dataclass(frozen=True)
class Measurement:
    """The paired scores of one measurement, and what a verdict has to state about them.

    - `pairs` are all items that were asked, scored or not, out of `n_suite`.
    - `support` is the range of one score.
    - `figures` are the aggregates to report.
    - `problems` are the reasons why the two models cannot be compared.
    - `degeneration` are the reasons why an improvement cannot be trusted.
    - `scorer` is the name of the classifier, if there is one.
    - `replica` pairs the dense model with itself on the same items, for the noise floor.
    - `data_digest` identifies all items of the data set; `n_data` is their number (0: not known).
    - `notes` are shown with every verdict.
    - `measures` is the kind of measurement that the metric states, empty if it states none.
    - `artefact` are the differences in how the checkpoint and the dense model would be served.
    """

    name: str
    dataset: str
    pair: ModelPair
    pairs: tuple[PairedScore, ...]
    higher_is_better: bool
    support: tuple[float, float]
    record: CompressionRecord | None
    figures: tuple[Figure, ...] = ()
    scorer: str = ""
    problems: tuple[str, ...] = ()
    degeneration: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    n_suite: int = 0
    replica: tuple[PairedScore, ...] = ()
    data_digest: str = ""
    notes: tuple[str, ...] = ()
    measures: str = ""
    artefact: tuple[Difference, ...] = ()
    n_data: int = 0

    def __post_init__(self) -> None:
        """Set `n_suite` to the number of pairs if it is not given."""
        object.__setattr__(self, "n_suite", self.n_suite or len(self.pairs))

    @property
    def items(self) -> tuple[Item, ...]:
        """Return the items that were asked."""
        return tuple(pair.item for pair in self.pairs)

    def all(self) -> Measurement:
        """Return the measurement itself, which is finished."""
        return self
