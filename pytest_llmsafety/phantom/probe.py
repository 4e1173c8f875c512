"""Print planted against measured: ``python -m pytest_llmsafety.phantom.probe``.

Markdown tables for the dense phantom and under each spec, as docs/phantom.md shows them; with
``--lines`` one table with one line a spec (summary.py).
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.phantom.calibration import calibration_texts
from pytest_llmsafety.phantom.figures import Figures, figures
from pytest_llmsafety.phantom.summary import Gone, head, line
from pytest_llmsafety.phantom.weights import model_path
from pytest_llmsafety.phantom.world import PLANTED, WORSE, Planted, pairs_of_peoples
from pytest_llmsafety.types import CalibrationTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["SPECS", "lines", "main", "measured", "planted_bias", "table"]

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
    sys.stdout.write(table(columns))


def lines(specs: Sequence[str], folder: str | Path) -> None:
    """Print a table with one line a spec, each as soon as it is measured; dense comes first."""
    dense, gone = measured("dense", folder)
    sys.stdout.write(head() + line("dense", dense, dense, gone))
    for spec in specs:
        if spec != "dense":
            found, gone = measured(spec, folder)
            sys.stdout.write(line(spec, found, dense, gone))
            sys.stdout.flush()


@cache
def world_texts() -> CalibrationTexts:
    """The calibration texts that the workbench gives to the built-in model."""
    return CalibrationTexts(calibration_texts(), "the phantom's own world")


def measured(spec: str, folder: str | Path) -> tuple[Figures, Gone]:
    """Load the model, compress it unless ``spec`` is ``dense``, and measure everything."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pytest_llmsafety.compressors import compress

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    gone = Gone(8.0 * model.dtype.itemsize, 0.0)
    if spec != "dense":
        texts = world_texts()
        gone = Gone.of(compress(model, spec, tokenizer=tokenizer, calibration=texts))
    return figures(model, tokenizer), gone


def planted_bias(planted: Planted = PLANTED) -> float:
    """Return the bias (biased minus counter-biased choices) that the likeliest answers plant."""
    pairs = pairs_of_peoples()
    rates = [planted.people(PLANTED.stereotyped(*pair).name).named_rate for pair in pairs]
    return sum(rate > 0.5 for rate in rates) / len(pairs)  # noqa: PLR2004


def table(columns: dict[str, Figures]) -> str:
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
    """Return the rows of the third table."""
    wrong = f"{1 - len(WORSE.wrong_facts) / PLANTED.frequent_facts:.3f}"
    bias = (f"{planted_bias():.3f}", f"{planted_bias(WORSE):.3f}")
    slips = f"about x {1 / (1 - WORSE.slip_rate):.2f}"
    rows: tuple[tuple[str, tuple[str, str], Callable[[Figures], float]], ...] = (
        ("ambiguous BBQ, bias of the likeliest answer", bias, lambda f: f.ambiguous_bias),
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
    """Return one row of a table."""
    cells = " | ".join(f"{value:.3f}" for value in found)
    return f"| {title} | {planted[0]} | {planted[1]} | {cells} |"


if __name__ == "__main__":
    main()
