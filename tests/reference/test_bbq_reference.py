"""BBQ against the authors' scripts: the biased option, and the bias scores to 1e-9."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.files import read_jsonl
from pytest_llmsafety.datasets.sources import bbq
from pytest_llmsafety.datasets.sources.bbq import derive_target, label_type
from pytest_llmsafety.metrics.bbq import BBQ, by_category, s_dis
from pytest_llmsafety.types import BBQItem, Likelihood, Score

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOCAL = ("Age", "Disability_status", "Nationality", "Physical_appearance")
ARMS = (
    "synthetic_A",
    "synthetic_B",
    "synthetic_C_edge",
    "synthetic_D",
    "unifiedqa_format_arc",
    "unifiedqa_format_race",
    "unifiedqa_qonly",
)
TOLERANCE = 1e-9


def item(row: dict[str, Any]) -> BBQItem:
    """An item of a row of the reference: no texts, only what scoring needs."""
    target, unknown = row["target_loc"], row.get("unknown_idx")
    names = row["label_type"] == "name"
    return BBQItem(
        f"{row['category']}/{row['example_id']}",
        "",
        options=("", "", ""),
        label=int(row["label"]),
        category=row["category"] + (" (names)" if names else ""),
        ambiguous=row["context_condition"] == "ambig",
        target=None if target in {None, "", "NA"} else int(target),
        unknown=int(unknown),
    )


def scored(answered: Iterable[tuple[BBQItem, int]]) -> tuple[list[BBQItem], list[Score]]:
    """Scores of answers given as option numbers, through the metric itself."""
    pairs = list(answered)
    likelihoods = [
        tuple(Likelihood(0.0 if i == choice else -1.0, 1) for i in range(3)) for _, choice in pairs
    ]
    items = [asked for asked, _ in pairs]
    return items, BBQ().scores(items, likelihoods)


@pytest.fixture(scope="module")
def predictions(shared: Path) -> list[dict[str, str]]:
    """The reference's questions with the answers of seven arms."""
    with gzip.open(shared / "golden/bbq/predictions.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[tuple[str, str, bool], dict[str, Any]]:
    """The authors' figures by arm, category and context."""
    rows = json.loads((shared / "golden/bbq/expected.json").read_text())["rows"]
    return {(row["arm"], row["category"], row["context"] == "ambig"): row for row in rows}


@pytest.mark.parametrize("arm", ARMS)
def test_scores_equal_the_authors(
    arm: str,
    predictions: list[dict[str, str]],
    expected: dict[tuple[str, str, bool], dict[str, Any]],
) -> None:
    """Six categories, two contexts: counts, accuracy and bias, undefined where theirs is."""
    items, scores = scored((item(row), int(row[arm])) for row in predictions if row[arm] != "")
    cells = by_category(items, scores)
    wanted = {key: row for key, row in expected.items() if key[0] == arm}
    assert {(arm, cell.category, cell.ambiguous) for cell in cells} == set(wanted)
    for cell in cells:
        row = wanted[arm, cell.category, cell.ambiguous]
        assert (cell.n, cell.n_not_unknown) == (row["n"], row["n_non_unknown"])
        assert cell.accuracy == pytest.approx(row["accuracy"], abs=TOLERANCE)
        assert (cell.bias is None) == (row["bias"] is None)
        if cell.bias is not None:
            assert cell.bias == pytest.approx(row["bias"], abs=TOLERANCE)


def test_the_reference_has_undefined_scores(
    expected: dict[tuple[str, str, bool], dict[str, Any]],
) -> None:
    """The check above is a check: some of the authors' scores are undefined."""
    assert sum(row["bias"] is None for row in expected.values()) >= 2


def test_edge_cases_equal_the_authors(shared: Path) -> None:
    """Names apart, questions without a target in no number, single questions."""
    golden = json.loads((shared / "golden/bbq/edge_cases.json").read_text())
    items, scores = scored((item(row), int(row["pred"])) for row in golden["items"])
    assert sum(score.value is None for score in scores) == golden["dropped_items"]
    found = {
        (c.category, "ambig" if c.ambiguous else "disambig"): c for c in by_category(items, scores)
    }
    assert set(found) == {(row["category"], row["context"]) for row in golden["expected"]}
    for row in golden["expected"]:
        cell = found[row["category"], row["context"]]
        assert (cell.n, cell.n_not_unknown) == (row["n"], row["n_non_unknown"])
        assert cell.accuracy == pytest.approx(row["accuracy"], abs=TOLERANCE)
        wanted = row["bias"]
        assert cell.bias == (None if wanted is None else pytest.approx(wanted, abs=TOLERANCE))


@pytest.mark.parametrize("category", LOCAL)
def test_the_rule_finds_the_authors_target(category: str, shared: Path) -> None:
    """Derived from the questions alone, the biased option is the authors' in every question."""
    folder = shared / "data/bbq"
    with (folder / "target_loc_derived.csv").open(newline="") as file:
        table = {
            int(row["example_id"]): (int(row["target_loc"]), row["label_type"])
            for row in csv.DictReader(file)
            if row["category"] == category
        }
    rows = read_jsonl(folder / f"{category}.jsonl")
    derived = {row["example_id"]: (derive_target(row), label_type(row)) for row in rows}
    assert derived == table


def test_items_agree_with_the_reference(predictions: list[dict[str, str]], shared: Path) -> None:
    """Label, unknown option, target, context and polarity of 9,892 loaded questions."""
    loaded = {asked.id: asked for asked in bbq.BBQ().load(DataSource(shared / "data"))}
    rows = [row for row in predictions if row["category"] in LOCAL]
    assert len(rows) == len(loaded) == 9892
    for row in rows:
        asked = loaded[f"bbq/{row['category']}/{row['example_id']}"]
        assert (asked.label, asked.unknown, asked.target) == (
            int(row["label"]),
            int(row["unknown_idx"]),
            int(row["target_loc"]),
        )
        assert asked.ambiguous == (row["context_condition"] == "ambig")
        assert asked.negative == (row["question_polarity"] == "neg")
        assert asked.cluster == f"{row['category']}/{row['question_index']}"


def by_substring(row: dict[str, Any]) -> int | None:
    """The mistaken rule: the person whose group has no "non" in it, next to one that has."""
    groups = {i: row["answer_info"][f"ans{i}"][1].lower() for i in range(3)}
    persons = {i: group for i, group in groups.items() if group != "unknown"}
    plain = [i for i, group in persons.items() if not group.startswith(("non", "not"))]
    return plain[0] if len(plain) == 1 else None


@pytest.mark.parametrize(
    ("category", "found", "right"),
    [
        ("Age", 1.0, 0.5),
        ("Disability_status", 1.0, 0.5),
        ("Nationality", 0.0, 0.0),
        ("Physical_appearance", 936 / 1576, 936 / 1576 / 2),
    ],
)
def test_a_target_found_by_substring_is_wrong(
    category: str, found: float, right: float, shared: Path
) -> None:
    """Mistake 1: "non" in a label finds no target in many questions, and the wrong one in half.

    Without a target no answer counts as biased, and the bias is -1 whatever the model says.
    """
    rows = read_jsonl(shared / f"data/bbq/{category}.jsonl")
    mistaken = [by_substring(row) for row in rows]
    agreeing = sum(wrong == derive_target(row) for wrong, row in zip(mistaken, rows, strict=True))
    assert sum(target is not None for target in mistaken) / len(rows) == pytest.approx(found)
    assert agreeing / len(rows) == pytest.approx(right)
    if not found:
        answers = [-1.0 if row["label"] != bbq.unknown_option(row) else 0.0 for row in rows]
        assert s_dis(answers) == -1.0
