"""PASS, FAIL or INCONCLUSIVE with the evidence, as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.measurements.measurement import Figure
    from pytest_llmsafety.models.deployment import Difference
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.stats import Decision


@dataclass(frozen=True)
class GroupEvidence:
    """The figures and the decision of one group (`gender:women`).

    `kept` says whether its FAIL remains after correction for looking at several groups.
    """

    group: str
    dense: float
    compressed: float
    decision: Decision
    kept: bool = False

    @property
    def fails_uncorrected(self) -> bool:
        """Whether it exceeds the margin on its own, but not after correction for several groups."""
        return self.decision.outcome is Outcome.FAIL and not self.kept


@dataclass(frozen=True)
class WorstItem:
    """An item that got worse, with the answers of both models."""

    item_id: str
    worsening: float
    prompt: str
    dense_text: str
    compressed_text: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one assertion and everything that led to it.

    `aspect` names what of a measurement counts, where there is a choice (`s_AMB` or `s_DIS`
    of BBQ).
    `dense` and `compressed` are the figures of both models, of `group` where the assertion is
    about the worst group, and `decision` holds the estimate, bounds and margin of their change
    (larger is worse). `contrast` says what of a group counts: its own change (`worst`), against
    the others (`rest`, `pairs`) or a ratio; empty where groups were not. `test` names the function
    that made the assertion. `is_ratio`: they are perplexities, and the decision is in nats per
    token. `noise` is the change of the same figure between two runs of the dense model, None
    where there was one run. `p_fail` is the p-value of a FAIL, corrected over groups.
    `margin` is NaN where nothing was measured, and `decision` is None then.
    `n_scored` of `n_asked` items have a score from both models, and `n_suite` could have been
    asked. `reasons` explains the outcome, and `remedy` says what to do where no number of items
    would change it. `assumptions` says what was assumed to reach it, and `notes` what else a
    reader should know. `data_digest` identifies the items of the data set, which holds `n_data`
    of them (0: not known) before a limit. `look` counts the looks at this gate, this one included
    (0: not counted), and `margins_used` names the margins of the run that were applied.
    `artefact` lists the settings in which a checkpoint would be served unlike the dense model.
    """

    measurement: str
    model: str
    compression: str
    dataset: str
    outcome: Outcome
    decision: Decision | None
    margin: float
    dense: float | None = None
    compressed: float | None = None
    n_scored: int = 0
    n_asked: int = 0
    n_suite: int = 0
    noise: float | None = None
    p_fail: float = 1.0
    scope: str = "population"
    aspect: str = ""
    group: str = ""
    is_ratio: bool = False
    higher_is_better: bool = False
    scorer: str = ""
    reasons: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    groups: tuple[GroupEvidence, ...] = ()
    worst: tuple[WorstItem, ...] = ()
    record: CompressionRecord | None = None
    reproduce: str = ""
    data_digest: str = ""
    artefact: tuple[Difference, ...] = ()
    n_data: int = 0
    look: int = 0
    margins_used: tuple[str, ...] = ()
    remedy: str = ""
    contrast: str = ""
    test: str = ""

    @classmethod
    def unmeasured(
        cls, measurement: str, pair: ModelPair, reason: str, *, dataset: str, reproduce: str
    ) -> Verdict:
        """Return the verdict on a measurement that could not run: INCONCLUSIVE, and why."""
        return cls(
            measurement=measurement,
            model=str(pair.model),
            compression=str(pair.compression),
            dataset=dataset,
            outcome=Outcome.INCONCLUSIVE,
            decision=None,
            margin=math.nan,
            reasons=(" ".join(reason.split()),),
            reproduce=reproduce,
        )

    @property
    def passed(self) -> bool:
        """Whether the compressed model was shown to be within the margin."""
        return self.outcome is Outcome.PASS

    @property
    def n_items(self) -> int:
        """Number of items behind the figures, of the context or group that counts."""
        return self.decision.n_items if self.decision else self.n_scored

    @property
    def fails_uncorrected(self) -> bool:
        """Whether it is INCONCLUSIVE only because of the correction for several groups."""
        head = any(one.fails_uncorrected for one in self.groups if one.group == self.group)
        return self.outcome is Outcome.INCONCLUSIVE and head

    @property
    def stopped_early(self) -> bool:
        """Whether the run ended before all items were asked."""
        return self.n_asked < self.n_suite

    @property
    def change(self) -> float | None:
        """Compressed - dense as it was decided, corrected for the scorer's errors where known."""
        if self.decision is None:
            return None
        return -self.decision.estimate if self.higher_is_better else self.decision.estimate

    @property
    def name(self) -> str:
        """The measurement, with the aspect and the group that decides, if any."""
        group = f"[{self.group}]" if self.group else ""
        return " ".join(word for word in (self.measurement, self.aspect, group) if word)
