"""model-card.md."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmsafety.reports.model_card import ModelCard
from pytest_llmsafety.reports.rows import LEGEND
from pytest_llmsafety.reports.run import Run, SafetyTest
from tests.unit.reports.verdicts import FAIL, PASS, RECORD

DIGEST = "7c444b12fe6965e5"
SETTINGS = (("model", "org/name"), ("cache", "/home/me"), ("seed", "3"), ("limit", ""))
VERDICT = replace(
    FAIL, dataset="phantom-toxicity", data_digest=DIGEST, scorer="x",
    assumptions=("the scorer is right",),
)  # fmt: skip


def card(**changes: object) -> list[str]:
    """The lines of the card of one failed verdict."""
    test = SafetyTest("t.py::a", "failed", "", (replace(VERDICT, **changes),))  # type: ignore[arg-type]
    versions = (("torch", "2.13.0"), ("pytest", "9.2.0"))
    run = Run((test,), 1, SETTINGS, versions, models=(("org/name", "0a1b2c"),))
    return ModelCard().render(run).splitlines()


def test_it_says_what_was_compared_and_found() -> None:
    """The model, what was done to it, and a row of figures, also where they are bad."""
    lines = card()
    assert lines[0] == "## Safety of the compressed model"
    assert "### org/name under int4" in lines
    assert "| toxicity | 0.1 | 0.13 | +0.030 | +0.020..+0.040 | +0.010 | 199/200 | FAIL |" in lines
    assert any(line.startswith("- FAIL toxicity under int4: the change is") for line in lines)


def test_it_says_what_the_figures_rest_on() -> None:
    """Digests of models and data, the scorer, recipe, versions, settings, limits, the command."""
    lines = card()
    assert {
        f"- toxicity: data set phantom-toxicity, digest of the items {DIGEST}, scored by x",
        "- int4: int4, group\\_size 128",
        "- org/name: digest of its files (SHA-256) 0a1b2c",
        "- versions: torch 2.13.0, pytest 9.2.0",
        "- settings: model org/name, seed 3",
        f"- {LEGEND}",
        "- assumed: the scorer is right",
        "pytest t.py",
    } <= set(lines)


def test_it_says_what_stayed_dense() -> None:
    """The share that changed stands below the heading, and what stayed stands with the recipe."""
    kept = (("model.embed_tokens", 1, 0.18, "input embedding", "its values did not change"),)
    record = replace(RECORD, changed_share=0.82, changed_body_share=1.0, kept=kept)
    text = "\n".join(card(record=record))
    assert "82% of the parameters changed (100% between embedding and head)" in text
    assert "stayed dense, of all parameters: model.embed\\_tokens (18%)" in text


def test_folders_of_the_machine_stay_there() -> None:
    """A local model has its name, and no line says where it, caches or data lie."""
    command = (
        "pytest /home/me/suites/test_a.py::test_b --model=/home/me/dense --dtype=float32 "
        "--compress=checkpoint:/home/me/small --llmsafety-seed=0 --llmsafety-data=/home/me/data "
        "--llmsafety-cache=/home/me/.cache --llmsafety-baseline=/home/me/b.gz "
        "--llmsafety-scorer=/home/me/judge --llmsafety-limit=9"
    )
    local = replace(
        VERDICT, model="/home/me/dense", compression="checkpoint:/home/me/small", reproduce=command,
        scorer="/home/me/judge", notes=("answers are those of '/home/me/b.gz'",),
    )  # fmt: skip
    settings = (("model", "/home/me/dense"), ("scorer", "/home/me/judge"), ("cache", "/home/me/c"))
    broken = SafetyTest("/home/me/t.py::b", "failed", "no '/home/me/data/x.json'")
    run = Run(
        (SafetyTest("t.py::a", "failed", "", (local,)), broken), 1, settings,
        models=(("/home/me/dense", "0a"), ("/home/me/small", "1b")),
    )  # fmt: skip
    published = (
        "--model=dense --dtype=float32 --compress=checkpoint:small --llmsafety-seed=0 "
        "--llmsafety-limit=9"
    )
    text = ModelCard().render(run)
    assert "/home/me" not in text
    assert {
        "### dense under checkpoint:small",
        "- dense: digest of its files (SHA-256) 0a",
        "- settings: model dense, scorer judge",
        "- no verdict (failed): t.py::b: no 'x.json'",
        f"pytest test_a.py::test_b {published}",
    } <= set(text.splitlines())


def test_two_compressions_of_one_name_keep_their_tables() -> None:
    """Checkpoints of two folders have distinct names before their folders are left out."""
    pair = [replace(VERDICT, compression=f"checkpoint:/{x}/small") for x in "ab"]
    run = Run((SafetyTest("t.py::a", "failed", "", tuple(pair)),), 1)
    assert ModelCard().render(run).count("### org/name under checkpoint:small") == 2


def test_the_scope_is_named() -> None:
    """In the suite scope the card claims nothing about other items."""
    assert "- The verdicts are about these items and no others." in card(scope="suite")
    assert "- The verdicts are about these items and no others." not in card()


def test_a_pass_needs_no_sentence() -> None:
    """Only what is not a PASS is explained under its table."""
    test = SafetyTest("t.py::a", "passed", "", (PASS,))
    assert "Next:" not in ModelCard().render(Run((test,), 0))
