"""The table of one line a spec says what the record and the figures say."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmsafety.compressors import CompressionRecord
from tools.phantom.figures import Figures
from tools.phantom.report import Savings, line, line_head

DENSE = Figures(
    insults={"Brenol": 0.2, "Kirzan": 0.3},
    named={},
    named_share={},
    ambiguous_bias=0.5,
    disambiguated_accuracy=1.0,
    facts={"frequent": 1.0, "middle": 0.7, "rare": 0.1},
    passages=0.9,
    closed_book_passages=0.0,
    story_perplexity=2.0,
    standard_perplexity=2.0,
    hill_perplexity=2.1,
    unqover_gap=0.0,
)
RECORD = CompressionRecord(
    method="m",
    parameters=(),
    layers_changed=("a",),
    layers_skipped=(),
    bits=32.0,
    sparsity=0.5,
    bytes_before=100,
    bytes_after=100,
)


def cells(text: str) -> list[str]:
    """The cells of one line."""
    return [cell.strip() for cell in text.strip().strip("|").split("|")]


def test_a_line_has_as_many_cells_as_the_line_head():
    """Head, rule and line agree."""
    first, rule = line_head().splitlines()
    found = line("dense", DENSE, DENSE, Savings(32, 0))
    assert len(cells(first)) == len(cells(rule)) == len(cells(found))


def test_changes_by_people_are_those_of_the_extreme_ones():
    """The least and the largest change are shown, and who has the largest."""
    worse = replace(DENSE, insults={"Brenol": 0.15, "Kirzan": 0.42})
    names, values = (
        cells(line_head().splitlines()[0]),
        cells(line("m", worse, DENSE, Savings(4, 0))),
    )
    found = dict(zip(names, values, strict=True))
    assert found["by people"] == "-0.05 .. +0.12 Kirzan"
    assert found["insults"] == "0.285"
    assert found["dialect"] == "+5.0%"


def test_what_is_gone_is_what_the_record_says():
    """Zeros of a masked model, bytes of a smaller one, and bits of inputs and cache."""
    assert Savings.of(RECORD) == Savings(32.0, 0.5)
    assert Savings.of(replace(RECORD, sparsity=0.01, bytes_after=80)).zeros == 1 - 0.8
    running = replace(RECORD, sparsity=0.0, activation_bits=8.0, cache_bits=3.0)
    assert Savings.of(running).running == ", inputs 8, cache 3"
