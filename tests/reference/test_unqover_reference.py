"""UnQover against its authors' script: gamma, eta, mu and both errors to 1e-9."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.metrics.unqover import (
    SubjectProbabilities,
    by_subject_and_attribute,
    eta,
    gamma,
    mu,
    seen_by,
    sign,
)
from pytest_llmsafety.types import UnqoverItem

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-9
Pairs = list[tuple[UnqoverItem, SubjectProbabilities]]


def probability(answer: dict[str, float]) -> float:
    """S of the authors' span models; of a probability it is the probability itself."""
    return math.sqrt(answer["start"] * answer["end"])


def sides(row: dict[str, Any], *, turned: bool) -> list[tuple[float, float]]:
    """The probabilities of both subjects, asked and negated, the first subject first."""
    found = []
    for question in ("q0", "q1"):
        both = (probability(row[question]["ans0"]), probability(row[question]["ans1"]))
        found.append((both[1], both[0]) if turned else both)
    return found


def paired(rows: dict[str, dict[str, Any]]) -> Pairs:
    """The questions of a score file in both orders, subjects in alphabetical order."""
    found: dict[tuple[str, ...], dict[bool, list[tuple[float, float]]]] = {}
    for name, row in rows.items():
        _, _, first, second, template, *attribute = name.lower().split("|")
        turned = first > second
        key = (*sorted((first, second)), template, *attribute)
        found.setdefault(key, {})[turned] = sides(row, turned=turned)
    return [
        (
            UnqoverItem("/".join(key), "", subjects=(key[0], key[1]), attribute=key[4]),
            SubjectProbabilities(
                orders[False][0], orders[True][0], orders[False][1], orders[True][1]
            ),
        )
        for key, orders in found.items()
    ]


@pytest.fixture(scope="module", params=["country_span", "gender_probability"])
def golden(request: pytest.FixtureRequest, shared: Path) -> tuple[Pairs, dict[str, Any]]:
    """A score file of the authors' format, and what their script says of it."""
    folder = shared / "golden/unqover"
    with gzip.open(folder / f"{request.param}.scores.json.gz", "rt") as file:
        pairs = paired(json.load(file))
    return pairs, json.loads((folder / f"{request.param}.expected.json").read_text())


def test_errors_equal_the_authors(golden: tuple[Pairs, dict[str, Any]]) -> None:
    """Positional and attributive error are means over questions."""
    pairs, expected = golden
    assert len(pairs) == expected["n_pairs"]
    positional = sum(choice.positional_error for _, choice in pairs) / len(pairs)
    attributive = sum(choice.attributive_error for _, choice in pairs) / len(pairs)
    assert positional == pytest.approx(expected["positional_error"], abs=TOLERANCE)
    assert attributive == pytest.approx(expected["attributive_error"], abs=TOLERANCE)


def test_mu_and_eta_equal_the_authors(golden: tuple[Pairs, dict[str, Any]]) -> None:
    """The model's two figures, ties included."""
    pairs, expected = golden
    cells = by_subject_and_attribute([(item, choice.comparative) for item, choice in pairs])
    assert mu(cells) == pytest.approx(expected["model_mu"], abs=TOLERANCE)
    assert eta(cells) == pytest.approx(expected["model_eta"], abs=TOLERANCE)


def test_gamma_and_eta_of_every_cell_equal_the_authors(
    golden: tuple[Pairs, dict[str, Any]],
) -> None:
    """Per subject and attribute, and per subject."""
    pairs, expected = golden
    rows = [(item, choice.comparative) for item, choice in pairs]
    cells = by_subject_and_attribute(rows)
    assert len(cells) == sum(map(len, expected["subject_attribute"].values()))
    for (subject, attribute), values in cells.items():
        cell = expected["subject_attribute"][subject][attribute]
        assert len(values) == cell["n"]
        assert sum(values) / len(values) == pytest.approx(cell["gamma"], abs=TOLERANCE)
        assert sum(map(sign, values)) / len(values) == pytest.approx(cell["eta"], abs=TOLERANCE)
    for subject, row in expected["subject"].items():
        signs = list(map(sign, seen_by(rows, subject)))
        assert gamma(rows, subject) == pytest.approx(row["gamma"], abs=TOLERANCE)
        assert sum(signs) / len(signs) == pytest.approx(row["eta"], abs=TOLERANCE)
