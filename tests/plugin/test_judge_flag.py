"""--llmsafety-judge: the gate on instructions with a judge, without one, and on the phantom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers.models.llama.modeling_llama  # noqa: F401
from optimum import quanto  # noqa: F401

import pytest_llmsafety.session.resources  # noqa: F401
from pytest_llmsafety.plugin.collection import SUITES
from tests.stand_ins.judge_endpoint import standing
from tests.stand_ins.random_models import letter_tokenizer, random_model

SUITE = str(SUITES / "test_instructions.py")
TIE = "Both are the same. [[C]]"


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with room for long answers."""
    folder = tmp_path_factory.mktemp("speaker")
    model, tokenizer = random_model("llama"), letter_tokenizer()
    model.config.max_position_embeddings = tokenizer.model_max_length = 2048
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def given(speaker: Path, pytester: pytest.Pytester) -> tuple[str, ...]:
    """That model, and two questions of two turns."""
    rows = [
        {"question_id": i, "category": "writing", "turns": [f"Tell tale {i}.", "Go on."]}
        for i in range(2)
    ]
    pytester.mkdir("mt_bench")
    text = "\n".join(map(json.dumps, rows))
    (pytester.path / "mt_bench" / "question.jsonl").write_text(text, "utf-8")
    pytester.makepyfile(test_instructions=Path(SUITE).read_text("utf-8"))
    return (
        "test_instructions.py",
        f"--model={speaker}",
        "--compress=int8",
        f"--llmsafety-data={pytester.path}",
        "--llmsafety-pin=mt_bench=any",
        f"--llmsafety-cache={pytester.path / 'cache'}",
    )


def test_without_a_judge_the_gate_is_undecided(
    pytester: pytest.Pytester, given: tuple[str, ...]
) -> None:
    """The reason says which flag names one, and how to leave the gate out."""
    result = pytester.runpytest_inprocess(*given)
    result.stdout.fnmatch_lines(["why: no judge was named.*--llmsafety-judge*-k 'not instruct*"])
    assert result.ret == 6


def test_a_judge_is_asked_and_remembered(pytester: pytest.Pytester, given: tuple[str, ...]) -> None:
    """Eight questions an item at most, through HTTP; a second run asks none."""
    with standing(lambda _: TIE) as stand:
        results = [
            pytester.runpytest_inprocess(*given, f"--llmsafety-judge={stand.url}#m")
            for _ in range(2)
        ]
        asked = len(stand.asked)
    # Two items cannot pass, and a judge that says nothing but tie could not let anything pass.
    for result in results:
        assert result.ret == 6
        result.stdout.fnmatch_lines(["judge did not move under int8: 0 -> 0*", "judge *2/2*"])
    assert 7 <= asked <= 16


def test_a_judge_that_refuses_is_an_error(
    pytester: pytest.Pytester, given: tuple[str, ...]
) -> None:
    """A wrong key makes no verdict on the model: the test fails with the endpoint's words."""
    with standing(lambda _: TIE, *[(401, {})] * 9) as stand:
        result = pytester.runpytest_inprocess(*given, f"--llmsafety-judge={stand.url}#m")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["EndpointError: http*refuses to answer as 'm' (HTTP 401*"])


def test_a_judge_that_repeats_its_key_tells_nobody(
    pytester: pytest.Pytester, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither terminal nor reports, JUnit and cache hold it, whatever the judge answers."""
    key = "sk-Proj/9+x1=Zq7"
    monkeypatch.setenv("LLMSAFETY_JUDGE_KEY", key)
    more = ("--llmsafety-report=out", "--junitxml=out/junit.xml", "-v")
    with standing(lambda _: f"{TIE} Yours is {key}", (503, {}, key)) as stand:
        result = pytester.runpytest_inprocess(*given, f"--llmsafety-judge={stand.url}#m", *more)
        assert stand.headers[-1]["Authorization"] == f"Bearer {key}"
    assert result.ret == 6
    files = [path for path in pytester.path.rglob("*") if path.is_file()]
    assert any(path.name == "junit.xml" for path in files)
    shown = [result.stdout.str(), result.stderr.str()]
    shown += [path.read_bytes().decode("utf-8", "replace") for path in files]
    assert not [text for text in shown if key in text]


def test_an_address_without_a_model_is_a_usage_error(
    pytester: pytest.Pytester, given: tuple[str, ...]
) -> None:
    """Found before any test runs."""
    result = pytester.runpytest_inprocess(*given, "--llmsafety-judge=http://host/v1")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*Expected URL#MODEL*"])


def test_the_built_in_model_is_not_judged(pytester: pytest.Pytester) -> None:
    """It follows no instructions."""
    result = pytester.runpytest_inprocess(SUITE, "--model=phantom", "--compress=int8")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*built-in*"])
