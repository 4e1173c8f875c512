"""What a plan says of identical outputs, before any model is asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.kl import assess_kl
from pytest_llmsafety.assertions.means import assess_groups
from pytest_llmsafety.assertions.perplexity import assess_perplexity
from pytest_llmsafety.assertions.power_plan import plan
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.metrics.kl import KL
from pytest_llmsafety.metrics.multiple_choice import MultipleChoice
from pytest_llmsafety.metrics.perplexity import Perplexity
from pytest_llmsafety.types import ChoiceItem, Item, TextItem
from tests.stand_ins.measurements import PAIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.metrics.base import Metric

TEXTS = [TextItem(f"t{n}", f"text {n} " + "word " * (4000 if n == 0 else 400)) for n in range(60)]


def planned(name: str, items: Sequence[Item], metric: Metric) -> LazyMeasurement:
    """A measurement of which only the plan is wanted."""
    question = Question(name, "made-up", tuple(items), metric)
    return LazyMeasurement(question, PAIR, None, Settings(plan=True))


def test_a_metric_that_reads_the_first_tokens_weighs_long_texts_alike():
    """Sixty texts pass KL whatever the length of one; perplexity reads all of it, and cannot."""
    assess = partial(assess_kl, claim=Claim(0.05))
    assert plan(planned("kl", TEXTS, KL(32, max_tokens=64)), assess)[0].impossible == ""
    assess = partial(assess_perplexity, claim=Claim(0.1))
    assert (
        "cannot pass with 60"
        in plan(planned("perplexity", TEXTS, Perplexity()), assess)[0].impossible
    )


def test_a_group_that_cannot_pass_is_named_with_its_own_reason():
    """It is one of those that do not pass, not the smallest of all, and the figures are its own."""
    sizes = {"even": [10] * 60, "uneven": [1] * 59 + [400]}
    items = [
        ChoiceItem(
            f"{group}{c}/{n}",
            f"{group}{c}/{n}",
            (group,),
            f"{group}{c}",
            options=("a", "b"),
            label=0,
        )
        for group, counts in sizes.items()
        for c, count in enumerate(counts)
        for n in range(count)
    ]
    assess = partial(assess_groups, claim=Claim(0.05))
    reason = plan(planned("mmlu", items, MultipleChoice()), assess)[0].impossible
    assert reason.startswith(
        "1 of 2 groups do not pass even with identical outputs, such as uneven:"
    )
    assert "cannot pass with 60 clusters" in reason
