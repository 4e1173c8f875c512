"""How often the gates err when the truth is known by construction, beside naive gates.

    python benchmarks/calibration.py [--replicates 2000] [--only fixed,sequential,...]

Prints markdown tables. Every rate at which a test of ours errs, with the true change at the
margin, has to stay at or below .05 + 3 * sqrt(.05 * .95 / replicates). The last lines name each
one that does not, and the script exits with 1 then. The same seed gives the same tables.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from attacks import attacks
from gates import (
    ALPHA,
    Stops,
    enumerate_names,
    fixed,
    group_looks,
    paired_t_alarms,
    peeking,
    sequential,
    unpaired_alarms,
    z_passes,
)
from scenarios import SCENARIOS, flips, harmful_flips, toxicity

from pytest_llmsafety.stats import holm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scenarios import FloatArray, Law

SEED = 20261101
MARGIN = 0.02
AT_ONCE = 4_000_000


@dataclass
class Table:
    """Rows to print, and the error rates of ours (label, rate, replicates) to judge."""

    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    judged: list[tuple[str, float, int]] = field(default_factory=list)

    def judge(self, label: str, wrong: NDArray[np.bool_]) -> str:
        """Note one error rate and return it as text."""
        self.judged.append((f"{self.title}: {label}", float(wrong.mean()), wrong.size))
        return share(wrong)

    def broken(self) -> list[str]:
        """Return a line for each rate that is not accepted."""
        return [
            f"{label}: {rate:.3f} is above {accepted(runs):.3f}"
            for label, rate, runs in self.judged
            if rate > accepted(runs)
        ]

    def __str__(self) -> str:
        """Return the table in markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join([f"### {self.title}", "", *(f"| {' | '.join(row)} |" for row in lines)])


def accepted(runs: int) -> float:
    """Return the largest rate that 5% and the noise of so many runs explain."""
    return ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


def share(hits: NDArray[np.bool_] | float) -> str:
    """Return a fraction with three digits."""
    return f"{float(np.mean(hits)):.3f}"


def fixed_n(runs: int, rng: np.random.Generator) -> Table:
    """Judge once, with the true change at the margin."""
    header = ["change = margin = .02", "n", "false PASS", "false FAIL", "z interval's false PASS"]
    table = Table("Fixed n", header)
    for scenario in SCENARIOS:
        law = scenario(MARGIN)
        for n in (50, 200, 1000):
            drawn = law.draw(rng, (runs, n))
            false_pass, false_fail = fixed(drawn, MARGIN) <= ALPHA
            rates = [
                table.judge(f"{law.name}, n = {n}, false PASS", false_pass),
                table.judge(f"{law.name}, n = {n}, false FAIL", false_fail),
            ]
            table.rows.append([law.name, str(n), *rates, share(z_passes(drawn, MARGIN))])
    return table


def looks(runs: int, rng: np.random.Generator) -> Table:
    """Look at N = 2,000 after every 64, with the true change at the margin in both scopes."""
    n = 2000
    header = ["change = margin = .02", "scope", "false PASS", "false FAIL"]
    table = Table("Sequential, N = 2,000, a look every 64", [*header, "peeking: PASS", "FAIL"])
    for scenario in SCENARIOS:
        law = scenario(MARGIN)
        suite = np.broadcast_to(law.suite(n), (runs, n))
        samples = {"population": law.draw(rng, (runs, n)), "suite": rng.permuted(suite, axis=1)}
        for kind, drawn in samples.items():
            stops = sequential(drawn, MARGIN, finite=kind == "suite")
            # A suite exactly at the margin is within it at its end, which is no error.
            early = stops.n < n if kind == "suite" else True
            rates = [
                table.judge(f"{law.name}, {kind}, false PASS", stops.passed & early),
                table.judge(f"{law.name}, {kind}, false FAIL", stops.failed),
            ]
            naive = [share(hits) for hits in peeking(drawn, MARGIN)]
            table.rows.append([law.name, kind, *rates, *naive])
    return table


def seen(runs: int, rng: np.random.Generator) -> Table:
    """Share of the items that a sequential gate needs, by true change."""
    header = ["margin .02, a look every 64", "scope", "0", "half", "1.5 times", "3 times"]
    table = Table("Share of the suite seen (share INCONCLUSIVE), by change in margins", header)
    for scenario, n in ((flips, 2000), (toxicity, 2000), (flips, 10_000)):
        for kind in ("suite", "population"):
            cells = []
            for change in (0, 0.5, 1.5, 3):
                law = scenario(change * MARGIN)
                stops, within = _in_chunks(law, (runs, n), rng, finite=kind == "suite")
                wrong = np.where(within, stops.failed, stops.passed)
                label = f"{law.name}, N = {n}, {kind}, {change} margins, wrong"
                table.judge(label, wrong)
                open_ = ~(stops.passed | stops.failed)
                cells.append(f"{np.mean(stops.n) / n:.2f} ({np.mean(open_):.2f})")
            table.rows.append([f"{law.name}, N = {n:,}", kind, *cells])
    return table


def _in_chunks(
    law: Law, shape: tuple[int, int], rng: np.random.Generator, *, finite: bool
) -> tuple[Stops, NDArray[np.bool_]]:
    """Run tests on some millions of deltas at a time; return also what is truly within."""
    runs, n = shape
    size, parts, within = max(AT_ONCE // n, 1), [], []
    for start in range(0, runs, size):
        drawn = law.draw(rng, (min(size, runs - start), n))
        parts.append(sequential(drawn, MARGIN, finite=finite))
        truth = drawn.mean(axis=1) if finite else np.full(len(drawn), law.mean)
        within.append(truth <= MARGIN * (1 + 1e-9))
    joined = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Stops(*joined), np.concatenate(within)


def public_assertions(runs: int, rng: np.random.Generator) -> Table:
    """Attack the public assertions, with the true change at the margin.

    Each attack has its own random numbers, and its row is shown as soon as it is there.
    """
    header = ["change = margin", "n", "gate", "R", "false PASS", "false FAIL"]
    table = Table("Attacks on the public assertions (*: breaks the assumption printed)", header)
    found = attacks()
    for attack, own in zip(found, rng.spawn(len(found)), strict=True):
        replicates = max(runs // attack.every, 1)
        outcomes = np.array([attack.outcome(own) for _ in range(replicates)], dtype=object)
        label = f"{attack.name}, {attack.size}, {attack.gate}"
        passed, failed = outcomes == "PASS", outcomes == "FAIL"
        false_pass = (
            table.judge(f"{label}, false PASS", passed) if attack.holds else f"{share(passed)} (*)"
        )
        false_fail = table.judge(f"{label}, false FAIL", failed)
        what = [attack.name, attack.size, attack.gate, str(replicates)]
        table.rows.append([*what, false_pass, false_fail])
        print(*table.rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return table


def worst_group(runs: int, rng: np.random.Generator) -> Table:
    """Errors over several groups, and what comparing the largest mean would do."""
    margin, n = 0.05, 100
    header = ["groups of 100 prompts, margin .05", "all at the margin: false FAIL by Holm"]
    header += ["by e-Holm at looks", "one at the margin: false PASS", "no change: FAIL by Holm"]
    table = Table("Groups", [*header, "no change: largest mean above the margin"])
    for groups in (1, 10, 60):
        shape = (runs, groups, n)
        at, none = flips(margin).draw(rng, shape), flips(0.0).draw(rng, shape)
        # Quiet groups pass easily, so that the one at the margin decides.
        one = harmful_flips(0.0).draw(rng, shape)
        one[:, 0] = at[:, 0]
        cells = [
            table.judge(f"{groups} groups, Holm", _holm_fails(at, margin)),
            table.judge(f"{groups} groups, e-Holm", group_looks(at, margin, every=10)),
            table.judge(f"{groups} groups, false PASS", _all_pass(one, margin)),
            table.judge(f"{groups} groups without change, FAIL", _holm_fails(none, margin)),
        ]
        alarm = none.mean(axis=2).max(axis=1) > margin
        table.rows.append([str(groups), *cells, share(alarm)])
    return table


def _group_p_values(drawn: FloatArray, margin: float) -> FloatArray:
    """Return (2, replicates, groups) p-values of PASS and FAIL."""
    runs, groups, n = drawn.shape
    return fixed(drawn.reshape(-1, n), margin).reshape(2, runs, groups)


def _holm_fails(drawn: FloatArray, margin: float) -> NDArray[np.bool_]:
    """Return where Holm finds some group beyond the margin."""
    p_fail = _group_p_values(drawn, margin)[1]
    return np.array([bool(holm(dict(enumerate_names(row)), ALPHA)) for row in p_fail])


def _all_pass(drawn: FloatArray, margin: float) -> NDArray[np.bool_]:
    """Return where every group is shown within the margin."""
    passed: NDArray[np.bool_] = (_group_p_values(drawn, margin)[0] <= ALPHA).all(axis=1)
    return passed


def naive(runs: int, rng: np.random.Generator) -> Table:
    """Gates side by side at n = 200: alarms at half the margin, passes at 1.5 times."""
    n, header = 200, ["QA (4% flips each way), margin .02, n = 200", "alarm at half the margin"]
    table = Table("Naive gates", [*header, "pass at 1.5 times the margin"])
    half, more = (flips(change * MARGIN).draw(rng, (runs, n)) for change in (0.5, 1.5))
    unpaired = [_unpaired(drawn, rng) for drawn in (half, more)]
    p_half, p_more = fixed(half, MARGIN), fixed(more, MARGIN)
    ours = [
        table.judge("FAIL at half the margin", p_half[1] <= ALPHA),
        table.judge("PASS at 1.5 times the margin", p_more[0] <= ALPHA),
    ]
    above = [drawn.mean(axis=1) > MARGIN for drawn in (half, more)]
    table.rows = [
        ["mean at most the margin", share(above[0]), share(~above[1])],
        ["not significantly worse, unpaired", share(unpaired[0]), share(~unpaired[1])],
        ["not significantly worse, paired t", *_paired(half, more)],
        ["ours (else INCONCLUSIVE)", *ours],
    ]
    return table


def _paired(half: FloatArray, more: FloatArray) -> list[str]:
    return [share(paired_t_alarms(half)), share(~paired_t_alarms(more))]


def _unpaired(drawn: FloatArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the alarms when 60% of the answers that did not flip are right."""
    same = (rng.random(drawn.shape) < 0.6).astype(float)  # noqa: PLR2004 - see above
    dense = np.where(drawn > 0, 1.0, np.where(drawn < 0, 0.0, same))
    return unpaired_alarms(dense, dense - drawn)


TABLES: dict[str, Callable[[int, np.random.Generator], Table]] = {
    "fixed": fixed_n,
    "sequential": looks,
    "share": seen,
    "assertions": public_assertions,
    "groups": worst_group,
    "naive": naive,
}


def main() -> int:
    """Print the tables; return 1 when a rate of ours is not accepted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--only", default=",".join(TABLES), help=f"of {', '.join(TABLES)}")
    options = parser.parse_args()
    broken: list[str] = []
    for number, (name, make) in enumerate(TABLES.items()):
        if name not in options.only.split(","):
            continue
        start = time.perf_counter()
        table = make(options.replicates, np.random.default_rng([SEED, number]))
        print(f"{table}\n\n{options.replicates} replicates, {time.perf_counter() - start:.0f} s\n")
        broken += table.broken()
    print("\n".join(broken) or "Every rate of ours is accepted.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
