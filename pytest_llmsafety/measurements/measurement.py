"""A measurement: the scores of both models on the same items, as plain values."""

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
        """Whether either model has no score."""
        return self.dense.value is None or self.compressed.value is None

    @property
    def values(self) -> tuple[float, float]:
        """Both scores of a pair that is not missing; ValueError for one that is."""
        if self.dense.value is None or self.compressed.value is None:
            message = f"{self.item.id} has no score from both models"
            raise ValueError(message)
        return self.dense.value, self.compressed.value

    def worsening_of(self, higher_is_better: bool) -> float:  # noqa: FBT001 - the direction
        """Compressed - dense, turned so that larger is worse."""
        dense, compressed = self.values
        return dense - compressed if higher_is_better else compressed - dense


@dataclass(frozen=True)
class Figure:
    """One reported figure of both models; None where it is undefined."""

    name: str
    dense: float | None
    compressed: float | None


@dataclass(frozen=True)
class Settings:
    """What a run fixes for every verdict.

    `margins` replaces margins that assertions were given; `confidence` and `worst` replace theirs
    in every assertion. `scope` is
    `population` or `suite`; `reproduce` is the command that repeats this measurement. `seed`
    fixes the order in which items are asked, and `early_stop` whether asking ends at the first
    decisive look. `family` is what a FAIL is corrected over: `assertion` (nothing) or
    `session`. `noise_floor` also asks the dense model twice; `plan` asks no model at all.
    `scorer_accuracy` is how often the scorer is right, where the user says so; `chat` is how
    conversations are put to the models. `min_changed` is the least share (0-1) of the parameters
    between embedding and head that a compression has to change.
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
    """Paired scores of one measurement, with all that a verdict needs to know about them.

    `pairs` holds every item that was asked, scored or not, of the `n_suite` that there are.
    `support` is the range of one score; `figures` the aggregates to report. `problems` says why
    the pair may not be judged (integrity); `degeneration` why an improvement may not be
    believed. `scorer` names the classifier, where there is one. `replica` pairs the dense model
    with itself on the same items, where the noise floor is wanted. `data_digest` is that of all
    items of the data set, and `n_data` their number (0: not known). `notes` is what else a reader
    of any verdict on it should know.
    `measures` is the kind of thing that the metric states to measure, empty where it states none.
    `artefact` is what a checkpoint would be served with otherwise than the dense model.
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
        """Take the pairs for the whole suite when its size is not given."""
        object.__setattr__(self, "n_suite", self.n_suite or len(self.pairs))

    @property
    def items(self) -> tuple[Item, ...]:
        """The items that were asked."""
        return tuple(pair.item for pair in self.pairs)

    def all(self) -> Measurement:
        """The measurement itself: it is finished."""
        return self
