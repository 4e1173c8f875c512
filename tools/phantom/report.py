"""Print planted against measured values: ``python -m tools.phantom.report``.

It prints the Markdown tables of docs/phantom.md, for the dense model and under each spec; with
``--lines`` it prints one table with one line a spec.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.phantom.training_text import calibration_texts
from pytest_llmsafety.phantom.weights import model_path
from pytest_llmsafety.phantom.world import PLANTED, WORSE, Planted, pairs_of_peoples
from pytest_llmsafety.types import CalibrationTexts
from tools.phantom.figures import Figures, figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_llmsafety.compressors.record import CompressionRecord

__all__ = [
    "SPECS",
    "Savings",
    "line",
    "line_head",
    "lines",
    "main",
    "measured",
    "planted_bias",
    "tables",
]

SPECS = ("dense", "int8", "int4", "int2", "phantom:same", "phantom:worse")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the specs given (default: all) and print three tables, or one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", default=SPECS)
    parser.add_argument("--lines", action="store_true", help="one line a spec, as it is measured")
    parser.add_argument("--model", default=str(model_path()))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.lines:
        lines(given.specs, given.model)
        return
    columns = {spec: measured(spec, given.model)[0] for spec in given.specs}
    sys.stdout.write(tables(columns))


def lines(specs: Sequence[str], folder: str | Path) -> None:
    """Print a table with one line a spec, each as soon as it is measured; dense comes first."""
    dense, savings = measured("dense", folder)
    sys.stdout.write(line_head() + line("dense", dense, dense, savings))
    for spec in specs:
        if spec != "dense":
            found, savings = measured(spec, folder)
            sys.stdout.write(line(spec, found, dense, savings))
            sys.stdout.flush()


def measured(spec: str, folder: str | Path) -> tuple[Figures, Savings]:
    """Load the model, compress it unless ``spec`` is ``dense``, and measure everything."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    savings = Savings(8.0 * model.dtype.itemsize, 0.0)
    if spec != "dense":
        texts = CalibrationTexts(calibration_texts(), "the phantom's own world")
        savings = Savings.of(compress(model, spec, tokenizer=tokenizer, calibration=texts))
    return figures(model, tokenizer), savings


def planted_bias(planted: Planted = PLANTED) -> float:
    """Return the bias (biased minus counter-biased choices) of the planted most likely answers."""
    pairs = pairs_of_peoples()
    rates = [planted.people(PLANTED.stereotyped(*pair).name).named_rate for pair in pairs]
    return sum(rate > 0.5 for rate in rates) / len(pairs)  # noqa: PLR2004


def tables(columns: dict[str, Figures]) -> str:
    """Return three markdown tables: insults, names in ambiguous questions, everything else."""
    insults, named = [], []
    for people in PLANTED.peoples:
        name = people.name
        found = [column.insults[name] for column in columns.values()]
        insults.append(_row(name, _rates(name, "insult_rate"), found))
        if all(name in column.named for column in columns.values()):
            found = [column.named[name] for column in columns.values()]
            named.append(_row(name, _rates(name, "named_rate"), found))
    parts = (
        ("insulted", insults),
        ("named without evidence", named),
        ("everything else", _others(columns)),
    )
    head = " | ".join(columns)
    rule = "---|" * (len(columns) + 3)
    return "\n".join(
        f"| {title} | planted | planted worse | {head} |\n|{rule}\n" + "\n".join(rows) + "\n"
        for title, rows in parts
    )


def _others(columns: dict[str, Figures]) -> list[str]:
    wrong = f"{1 - len(WORSE.wrong_facts) / PLANTED.frequent_facts:.3f}"
    bias = (f"{planted_bias():.3f}", f"{planted_bias(WORSE):.3f}")
    slips = f"about x {1 / (1 - WORSE.slip_rate):.2f}"
    rows: tuple[tuple[str, tuple[str, str], Callable[[Figures], float]], ...] = (
        ("ambiguous BBQ, bias of the most likely answer", bias, lambda f: f.ambiguous_bias),
        ("disambiguated BBQ, accuracy", ("1", "1"), lambda f: f.disambiguated_accuracy),
        ("frequent facts (rank < 100)", ("1", wrong), lambda f: f.facts["frequent"]),
        ("middle facts", ("some", "some"), lambda f: f.facts["middle"]),
        ("rare facts (rank >= 220)", ("few", "few"), lambda f: f.facts["rare"]),
        ("answers from the passage", ("1", "1"), lambda f: f.passages),
        ("the same without the passage", ("0", "0"), lambda f: f.closed_book_passages),
        ("perplexity of stories", ("", slips), lambda f: f.story_perplexity),
        ("perplexity of standard Ostran", ("", ""), lambda f: f.standard_perplexity),
        ("perplexity of hill Ostran", ("higher", "higher"), lambda f: f.hill_perplexity),
        ("two-choice questions, distance from planted", ("0", ""), lambda f: f.unqover_gap),
    )
    return [
        _row(title, planted, [value(found) for found in columns.values()])
        for title, planted, value in rows
    ]


def _rates(name: str, field: str) -> tuple[str, str]:
    """Return a rate of a people in the dense and in the regressed world."""
    dense, worse = (getattr(world.people(name), field) for world in (PLANTED, WORSE))
    return f"{dense:.3f}", f"{worse:.3f}"


def _row(title: str, planted: tuple[str, str], found: Sequence[float]) -> str:
    cells = " | ".join(f"{value:.3f}" for value in found)
    return f"| {title} | {planted[0]} | {planted[1]} | {cells} |"


COLUMNS = (
    "spec",
    "bits",
    "zeros",
    "insults",
    "by people",
    "frequent",
    "middle",
    "rare",
    "passages",
    "bias",
    "with evidence",
    "perplexity",
    "dialect",
)
DENSE_BITS = 32


@dataclass(frozen=True)
class Savings:
    """What a compression saved.

    ``bits`` a weight; ``zeros`` as a share of the weights (for a smaller model: the share of the
    bytes that it no longer has); ``running``: bits of inputs and of the cache, if they are rounded.
    """

    bits: float
    zeros: float
    running: str = ""

    @classmethod
    def of(cls, record: CompressionRecord) -> Savings:
        """Return the savings that a record states."""
        smaller = record.bits >= DENSE_BITS and record.bytes_after < record.bytes_before
        zeros = 1 - record.bytes_after / record.bytes_before if smaller else record.sparsity
        inputs, cache = record.activation_bits, record.cache_bits
        running = f", inputs {inputs:.3g}" if inputs is not None else ""
        running += f", cache {cache:.3g}" if cache is not None else ""
        return cls(record.bits, zeros, running)


def line_head() -> str:
    """Return the head of the table of lines."""
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"


def line(spec: str, found: Figures, dense: Figures, savings: Savings) -> str:
    """Return the line of one spec.

    Insults are the mean rate over the peoples, followed by the least and the largest change of one
    people's rate, and the name of that people. *dialect* is the perplexity of hill Ostran over the
    perplexity of standard Ostran, minus one.
    """
    changes = {name: rate - dense.insults[name] for name, rate in found.insults.items()}
    low, high = min(changes.values()), max(changes.values())
    most = max(changes, key=lambda name: changes[name])
    cells = (
        f"`{spec}`" if spec != "dense" else spec,
        f"{savings.bits:.3g}{savings.running}",
        f"{savings.zeros:.2f}",
        f"{sum(found.insults.values()) / len(found.insults):.3f}",
        f"{low:+.2f} .. {high:+.2f} {most}" if found is not dense else "",
        *(f"{found.facts[tier]:.2f}" for tier in ("frequent", "middle", "rare")),
        f"{found.passages:.2f}",
        f"{found.ambiguous_bias:+.2f}",
        f"{found.disambiguated_accuracy:.2f}",
        f"{found.story_perplexity:.2f}",
        f"{found.hill_perplexity / found.standard_perplexity - 1:+.1%}",
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
