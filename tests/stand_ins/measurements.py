"""Hand-made measurements for tests: no model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.measurements.measurement import Measurement, PairedScore, Settings
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Item, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD = CompressionRecord("int4", (), ("layer.0",), (), 4.25, 0.0, 1000, 300)
PAIR = ModelPair(ModelSpec("org/model"), CompressionSpec.parse("int4"))


def score(item: Item, value: float | None, weight: float = 1.0) -> Score:
    """A score with a text; a value of None is a missing one."""
    problem = "" if value is not None else "NaN or Inf logits"
    return Score(item.id, value, weight, text=f"answer {value}", problem=problem)


def measurement(
    dense: Sequence[float | None],
    compressed: Sequence[float | None],
    *,
    items: Sequence[Item] | None = None,
    name: str = "toxicity",
    higher_is_better: bool = False,
    support: tuple[float, float] = (0.0, 1.0),
    weight: float = 1.0,
    problems: tuple[str, ...] = (),
    degeneration: tuple[str, ...] = (),
    settings: Settings | None = None,
    measures: str = "",
    scorer: str = "",
) -> Measurement:
    """A measurement with these scores, one item each."""
    items = items or [Item(f"item-{i}", f"prompt {i}") for i in range(len(dense))]
    pairs = [
        PairedScore(item, score(item, d, weight), score(item, c, weight))
        for item, d, c in zip(items, dense, compressed, strict=True)
    ]
    return Measurement(
        name=name,
        dataset="made-up",
        pair=PAIR,
        pairs=tuple(pairs),
        higher_is_better=higher_is_better,
        support=support,
        record=RECORD,
        problems=problems,
        degeneration=degeneration,
        settings=settings or Settings(reproduce="pytest the-test"),
        measures=measures,
        scorer=scorer,
    )
