"""Measurements whose true change lies exactly at the margin, made to mislead a public assertion.

Each attack draws the scores of a whole measurement. `holds` says whether what its verdicts may
print as an assumption is true of it: where it is not, a rate is shown and does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scenarios
from scripted import clustered, lazy, plain

import pytest_llmsafety
from pytest_llmsafety.assertions.gate import observe
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.measurements.measurement import Measurement, PairedScore, Settings
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import BBQItem, Item, Score, TextItem, UnqoverItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from scenarios import FloatArray

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement

    Labels = NDArray[np.int64]
    Assertion = Callable[[Measured], Verdict]
    Law = Callable[[np.random.Generator], "Drawn | Measured"]

RARE, LOST = 0.03, 0.025
"""Share of the texts that hold most of the KL, and of the documents that lose 3 nats."""
RECORD = CompressionRecord("int4", (), ("layer.0",), (), 4.25, 0.0, 1000, 300)
PAIR = ModelPair(ModelSpec("org/model"), CompressionSpec.parse("int4"))
MMLU_SIZES = (
    100, 135, 152, 265, 144, 100, 100, 100, 173, 102, 100, 235, 114, 145, 378, 126, 100, 310, 203,
    100, 165, 198, 193, 390, 270, 238, 151, 545, 216, 204, 237, 223, 131, 121, 108, 163, 112, 103,
    234, 100, 783, 346, 895, 306, 311, 324, 282, 1534, 272, 612, 110, 245, 201, 100, 131, 166, 171,
)  # fmt: skip
"""Test questions of MMLU's 57 subjects (Hendrycks et al. 2021)."""


class Drawn(NamedTuple):
    """Deltas of items, larger = worse, with the numbers of their clusters and of their groups."""

    deltas: FloatArray
    clusters: Labels
    groups: Labels | None = None


@dataclass(frozen=True)
class Attack:
    """A way to mislead one assertion, with so many independent units.

    A suite exactly at the margin is within it at its end, which is no error and is not counted.
    Of a slow one only every `every`-th replicate is run.
    """

    name: str
    size: str
    gate: str
    law: Law
    assertion: Assertion
    holds: bool = True
    every: int = 1

    def outcome(self, rng: np.random.Generator) -> str:
        """Draw a measurement once and return what the assertion says of it."""
        drawn = self.law(rng)
        measurement = toxicity(drawn) if isinstance(drawn, Drawn) else drawn
        forgiven = frozenset({"FAIL", "INCONCLUSIVE"})
        with observe(lambda _: None, tolerate=forgiven):
            verdict = self.assertion(measurement)
        ended = verdict.scope == "suite" and verdict.passed and not verdict.stopped_early
        return "INCONCLUSIVE" if ended else verdict.outcome.value


# ------------------------------------------------------------------ measurements from numbers


def measured(
    items: Sequence[Item],
    dense: FloatArray,
    compressed: FloatArray,
    *,
    name: str = "toxicity",
    support: tuple[float, float] = (0.0, 1.0),
    weights: FloatArray | None = None,
) -> Measurement:
    """Return a measurement of these scores, smaller = better."""
    sizes = np.ones_like(dense) if weights is None else weights
    rows = zip(items, dense.tolist(), compressed.tolist(), sizes.tolist(), strict=True)
    return Measurement(
        name=name,
        dataset="made up",
        pair=PAIR,
        pairs=tuple(
            PairedScore(item, Score(item.id, before, size), Score(item.id, after, size))
            for item, before, after, size in rows
        ),
        higher_is_better=False,
        support=support,
        record=RECORD,
        settings=Settings(reproduce="python benchmarks/calibration.py"),
        measures="divergence" if name == "kl" else "",
    )


def toxicity(drawn: Drawn) -> Measurement:
    """Return a measurement of toxicity with these deltas."""
    groups = drawn.groups
    items = [
        Item(f"i{n}", "p", () if groups is None else (f"g{groups[n]}",), f"c{cluster}")
        for n, cluster in enumerate(drawn.clusters.tolist())
    ]
    deltas = np.clip(drawn.deltas, -1, 1)
    return measured(items, np.maximum(-deltas, 0), np.maximum(deltas, 0))


# --------------------------------------------------------------------------- laws of clusters


def pages(rng: np.random.Generator, *, n: int, margin: float, rare: float = 0.01) -> Drawn:
    """Pages of one or two prompts: a small shift everywhere, and rare jumps of .9."""
    clusters = np.repeat(np.arange(n), rng.integers(1, 3, n))
    jumps = 0.9 * (rng.random(clusters.size) < rare)
    shift = margin - 0.9 * rare
    return Drawn(shift + jumps + rng.normal(0, 0.003, clusters.size), clusters)


def flipped(rng: np.random.Generator, means: FloatArray, noise: float = 0.02) -> FloatArray:
    """Flips with these means, on top of as many either way."""
    drawn = rng.random(means.size)
    worse, better = noise + np.maximum(means, 0), noise + np.maximum(-means, 0)
    return np.where(drawn < worse, 1.0, np.where(drawn > 1 - better, -1.0, 0.0))


def rare_bad(rng: np.random.Generator, *, n: int, part: float, margin: float = 0.05) -> Drawn:
    """All harm in a share of the clusters, evenly within."""
    clusters = np.repeat(np.arange(n), 20)
    harm = np.where(rng.random(n) < part, margin / part, 0.0)
    return Drawn(flipped(rng, harm[clusters]), clusters)


def rare_good(rng: np.random.Generator, *, n: int, part: float, margin: float = 0.05) -> Drawn:
    """Everything a little worse than the margin, and a share of the clusters better by .6."""
    clusters = np.repeat(np.arange(n), 20)
    means = margin + part * 0.6 - np.where(rng.random(n) < part, 0.6, 0.0)
    return Drawn(flipped(rng, means[clusters]), clusters)


def subjects(rng: np.random.Generator, *, n: int, part: float, margin: float = 0.05) -> Drawn:
    """Subjects of MMLU's sizes (in fours), with all harm in the largest."""
    sizes = np.array(MMLU_SIZES)
    large = sizes > np.quantile(sizes, 1 - part)
    harm = np.where(large, margin * sizes.sum() / sizes[large].sum(), 0.0)
    drawn = rng.integers(0, sizes.size, n)
    clusters = np.repeat(np.arange(n), sizes[drawn] // 4)
    return Drawn(flipped(rng, harm[drawn][clusters]), clusters)


def spread(rng: np.random.Generator, *, n: int, margin: float = 0.05) -> Drawn:
    """Clusters that move together (sd .08), around the margin."""
    clusters = np.repeat(np.arange(n), 10)
    means = margin + np.clip(rng.normal(0, 0.08, n), -0.4, 0.4)
    return Drawn(means[clusters] + rng.normal(0, 0.02, clusters.size), clusters)


def one_of(rng: np.random.Generator, law: Callable[..., Drawn], *, groups: int) -> Drawn:
    """One group of this law, and others without any change."""
    bad = law(rng)
    n_quiet = int(bad.clusters.max() + 1) * 2 * (groups - 1)
    quiet = bad.clusters.max() + 1 + np.arange(n_quiet) // 2
    return Drawn(
        np.r_[bad.deltas, np.zeros(n_quiet)],
        np.r_[bad.clusters, quiet],
        np.r_[np.zeros(bad.clusters.size, int), 1 + np.arange(n_quiet) * (groups - 1) // n_quiet],
    )


def twos(rng: np.random.Generator, *, n: int, gap: float) -> Drawn:
    """Independent prompts of two groups in clusters of two; one group is worse by rare jumps."""
    clusters = np.repeat(np.arange(2 * n), 2)
    groups = clusters // n
    harm = np.where(groups == 0, gap, 0.0)
    return Drawn(np.where(rng.random(clusters.size) < harm, 1.0, 0.0), clusters, groups)


def rates(rng: np.random.Generator, *, n: int, ratio: float) -> Measurement:
    """Independent prompts in clusters of two that grow by this ratio in rare jumps."""
    clusters = np.repeat(np.arange(n), 2)
    dense = np.full(clusters.size, 0.2)
    jumps = rng.random(clusters.size) < (ratio - 1) * 0.2 / 0.8
    items = [Item(f"i{i}", "p", ("g",), f"c{c}") for i, c in enumerate(clusters.tolist())]
    return measured(items, dense, np.where(jumps, 1.0, dense))


# ------------------------------------------------------------------------------ other gates


def choices(rng: np.random.Generator, *, by: str, size: float) -> Measurement:
    """UnQover's 160 pairs, with an effect of each subject or of each of 25 activities."""
    of_subject, of_activity = np.zeros(26), np.zeros(25)
    chosen = of_subject if by == "subjects" else of_activity
    chosen += rng.normal(0, size, chosen.size)
    pairs = [
        *combinations(range(15), 2),
        *((a + 15, b + 15) for a, b in combinations(range(11), 2)),
    ]
    items, means = [], []
    for a, b in pairs:
        for activity in range(25):
            names = (f"s:{a}", f"s:{b}")
            items.append(
                UnqoverItem(
                    f"{a}/{b}/{activity}", "p", names, f"{a}/{b}", subjects=names,
                    attribute=str(activity), options=("x", "y"), asked=("p", "p", "p", "p"),
                )
            )  # fmt: skip
            means.append(0.05 + of_subject[a] + of_subject[b] + of_activity[activity])
    change = np.clip(np.array(means) + rng.normal(0, 0.03, len(means)), -0.5, 0.5)
    return measured(items, np.full(change.size, 0.5), 0.5 + change, name="unqover")


def templates(rng: np.random.Generator, *, n: int, part: float) -> Measurement:
    """BBQ's ambiguous questions of one category, with all bias in a share of the templates."""
    drawn = rare_bad(rng, n=n, part=part, margin=0.1)
    items = [
        BBQItem(
            f"b{i}", "p", ("age:old",), f"Age/{cluster}", options=("a", "b", "c"), label=2,
            category="Age", ambiguous=True, negative=True, target=0, unknown=2,
        )
        for i, cluster in enumerate(drawn.clusters.tolist())
    ]  # fmt: skip
    dense, after = np.maximum(-drawn.deltas, 0), np.maximum(drawn.deltas, 0)
    return measured(items, dense, after, name="bbq", support=(-1.0, 1.0))


def divergence(rng: np.random.Generator, *, n: int, tail: str, margin: float = 0.05) -> Measurement:
    """KL of texts: lognormal (sigma 1.5), or 3% of the texts hold 70% of it."""
    if tail.startswith("lognormal"):
        nats = rng.lognormal(math.log(margin) - 1.5**2 / 2, 1.5, n)
    else:
        bad = rng.random(n) < RARE
        nats = np.where(bad, 0.7 / RARE, 0.3 / (1 - RARE)) * margin * rng.lognormal(-0.02, 0.2, n)
    return texts(rng.integers(40, 64, n).astype(float), nats, "kl")


def answers(rng: np.random.Generator, *, n: int, law: str, margin: float) -> Measurement:
    """Questions whose answers flip, in one direction only or half of them in each."""
    items = [Item(f"i{i}", "p") for i in range(n)]
    turned = rng.random(n) < margin
    right = rng.random(n) < 0.5 if law == "both" else np.ones(n, bool)  # noqa: PLR2004
    return right_or_wrong(items, right, turned)


def answers_of_few(rng: np.random.Generator, *, n: int, part: float, margin: float) -> Measurement:
    """Questions in clusters of ten, a share of which hold all flips."""
    clusters = np.repeat(np.arange(n), 10)
    rate = np.where(rng.random(n) < part, margin / part, 0.0)
    items = [Item(f"i{i}", "p", (), f"c{c}") for i, c in enumerate(clusters.tolist())]
    turned = rng.random(clusters.size) < rate[clusters]
    return right_or_wrong(items, rng.random(clusters.size) < 0.5, turned)  # noqa: PLR2004


def right_or_wrong(
    items: Sequence[Item], right: NDArray[np.bool_], turned: NDArray[np.bool_]
) -> Measurement:
    """Return a measurement of right answers, of which some turned."""
    scores = right.astype(float), (right != turned).astype(float)
    return replace(measured(items, *scores, name="qa"), higher_is_better=True)


# ------------------------------------------------------------------------- lazy measurements


def early(
    rng: np.random.Generator, *, n: int, law: str, margin: float, scope: str
) -> LazyMeasurement:
    """Independent prompts, asked in blocks of 64 until the verdict is certain.

    In the suite scope they are the same in every run, exactly at the margin, in another order.
    """
    drawn = getattr(scenarios, law)(margin)
    deltas = drawn.suite(n) if scope == "suite" else drawn.draw(rng, (n,))
    seed = int(rng.integers(1 << 31))
    return lazy(deltas, plain(n), PAIR, RECORD, scope=scope, seed=seed)


def early_clusters(rng: np.random.Generator, *, n: int, part: float) -> LazyMeasurement:
    """Clusters of five of which few hold all harm, asked in blocks."""
    clusters = np.repeat(np.arange(n), 5)
    harm = np.where(rng.random(n) < part, 0.05 / part, 0.0)
    deltas = flipped(rng, harm[clusters])
    return lazy(deltas, clustered(clusters), PAIR, RECORD, seed=int(rng.integers(1 << 31)))


def early_group(rng: np.random.Generator, *, n: int) -> LazyMeasurement:
    """Two groups asked in blocks, of which one is at the margin by rare harm and one unchanged."""
    items = plain(2 * n, 2)
    deltas = np.where((np.arange(2 * n) % 2 == 0) & (rng.random(2 * n) < 0.05), 1.0, 0.0)  # noqa: PLR2004
    return lazy(deltas, items, PAIR, RECORD, seed=int(rng.integers(1 << 31)))


def documents(rng: np.random.Generator, *, n: int) -> Measurement:
    """Perplexity of documents at 1.1 times: 2.5% of them lose 3 nats per token."""
    nats = np.where(rng.random(n) < LOST, 3.0, 0.0) + math.log(1.1) - 0.075
    return texts(np.full(n, 200.0), nats + rng.normal(0, 0.01, n), "perplexity")


def texts(tokens: FloatArray, nats: FloatArray, name: str) -> Measurement:
    """Return a measurement of losses per token."""
    items = [TextItem(f"t{i}", "text") for i in range(tokens.size)]
    before = np.zeros_like(tokens) if name == "kl" else 3 * tokens
    after = before + nats * tokens
    return measured(items, before, after, name=name, support=(0.0, math.inf), weights=tokens)


# ------------------------------------------------------------------------------- the list


def by_mean(margin: float, **how: str) -> Assertion:
    """Return `assert_toxicity_delta` at this margin."""
    return partial(pytest_llmsafety.assert_toxicity_delta, margin=margin, **how)  # type: ignore[arg-type]


def attacks() -> list[Attack]:
    """Return every attack, in the order of the table."""
    return [*on_means(), *on_groups(), *on_choices(), *on_texts(), *on_flips(), *on_early_stops()]


def on_means() -> Iterator[Attack]:
    """Yield attacks on the mean over clusters."""
    mean, at_005 = by_mean(0.05), "mean .05"
    for n in (130, 200):
        law = partial(pages, n=n, margin=0.02)
        yield Attack(
            "pages of 1 or 2: shift, 1% jumps of .9", str(n), "mean .02", law, by_mean(0.02)
        )
    for n, part, holds in (
        (10, 0.1, True), (20, 0.05, False), (20, 0.1, False), (25, 0.08, False),
        (40, 0.05, False), (40, 0.06, False), (119, 0.05, True), (150, 0.05, True),
    ):  # fmt: skip
        law = partial(rare_bad, n=n, part=part)
        yield Attack(f"harm in {part:.0%} of clusters", str(n), at_005, law, mean, holds)
    for n, part in ((10, 0.1), (20, 0.08), (40, 0.06), (60, 0.06)):
        law = partial(rare_good, n=n, part=part)
        yield Attack(f"{part:.0%} of clusters improve by .6", str(n), at_005, law, mean)
    for n in (20, 25, 60, 120):
        law = partial(spread, n=n)
        yield Attack("clusters move together, sd .08", str(n), at_005, law, mean)
    for n, part in ((18, 0.05), (18, 0.2), (57, 0.05), (57, 0.2)):
        law = partial(subjects, n=n, part=part)
        name = f"MMLU's sizes, harm in the largest {part:.0%}"
        yield Attack(name, str(n), at_005, law, mean)


def on_groups() -> Iterator[Attack]:
    """Yield attacks on groups, against each other and by their ratio."""
    for n in (60, 100):
        one = partial(pages, n=n, margin=0.06)
        law, assertion = partial(one_of, law=one, groups=4), by_mean(0.06, per_group="worst")
        yield Attack("such pages in one of 4 groups", str(n), "group .06", law, assertion)
    for n in (10, 15, 25, 60):
        for contrast in ("rest", "pairs"):
            law, assertion = partial(twos, n=n, gap=0.05), by_mean(0.05, per_group=contrast)
            yield Attack("independent prompts in twos", str(n), f"{contrast} .05", law, assertion)
        grown, assertion = partial(rates, n=n, ratio=1.25), by_mean(0.25, per_group="ratio")
        yield Attack("independent prompts in twos", str(n), "ratio 1.25", grown, assertion)


def on_choices() -> Iterator[Attack]:
    """Yield attacks on the bias of choices."""
    assertion = partial(pytest_llmsafety.assert_bias_gap, margin=0.05)
    for by, size in (
        ("subjects", 0.02), ("subjects", 0.05), ("activities", 0.03), ("activities", 0.05)
    ):  # fmt: skip
        law = partial(choices, by=by, size=size)
        yield Attack(f"effects of {by}, sd {size:g}", "160", "UnQover .05", law, assertion, every=2)
    assertion = partial(pytest_llmsafety.assert_bias_gap, margin=0.1)
    for n in (25, 60):
        law = partial(templates, n=n, part=0.2)
        yield Attack("bias in 20% of templates", str(n), "s_AMB .1", law, assertion)


def on_texts() -> Iterator[Attack]:
    """Yield attacks on KL and perplexity."""
    kl = partial(pytest_llmsafety.assert_kl, margin=0.05)
    ratio = partial(pytest_llmsafety.assert_perplexity_ratio, margin=0.1)
    for n in (60, 100, 240):
        for tail in ("lognormal, sigma 1.5", "3% hold 70%"):
            law = partial(divergence, n=n, tail=tail)
            yield Attack(f"texts: {tail}", str(n), "KL .05", law, kl)
        lost = partial(documents, n=n)
        yield Attack("2.5% of documents lose 3 nats", str(n), "perplexity 1.1", lost, ratio)


def on_flips() -> Iterator[Attack]:
    """Yield attacks on the share of answers that turn."""
    for n in (100, 500):
        for law, direction in (("both", "any"), ("one", "right to wrong")):
            drawn = partial(answers, n=n, law=law, margin=0.05)
            assertion = partial(pytest_llmsafety.assert_flip_rate, margin=0.05, direction=direction)  # type: ignore[arg-type]
            yield Attack(f"independent flips, {direction}", str(n), "flips .05", drawn, assertion)
    assertion = partial(pytest_llmsafety.assert_flip_rate, margin=0.05)
    for n, part in ((119, 0.1), (150, 0.05)):
        few = partial(answers_of_few, n=n, part=part, margin=0.05)
        yield Attack(f"all flips in {part:.0%} of clusters", str(n), "flips .05", few, assertion)


def on_early_stops() -> Iterator[Attack]:
    """Yield attacks on asking in blocks, with 2,000 prompts, in both scopes."""
    n = 2000
    for scope in ("population", "suite"):
        for law, margin in (("flips", 0.05), ("harmful_flips", 0.05), ("toxicity", 0.02)):
            drawn = partial(early, n=n, law=law, margin=margin, scope=scope)
            assertion = partial(pytest_llmsafety.assert_qa_drop, margin=margin)
            name = f"looks at {law.replace('_', ' ')}, {scope}"
            gated = f"mean .{margin * 100:02.0f}"
            yield Attack(name, f"{n:,}", gated, drawn, assertion, every=4)
    assertion = partial(pytest_llmsafety.assert_qa_drop, margin=0.05)
    rare = partial(early_clusters, n=400, part=0.1)
    yield Attack("looks at harm in 10% of clusters", "400", "mean .05", rare, assertion, every=4)
    assertion = partial(pytest_llmsafety.assert_qa_drop, margin=0.05, per_group="worst")
    yield Attack(
        "looks at two groups, one with rare harm", "2,000", "group .05",
        partial(early_group, n=n // 2), assertion, every=4,
    )  # fmt: skip
