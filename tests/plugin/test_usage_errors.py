"""What cannot be done as written ends in exit status 4 and one plain message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = ("--model=phantom", "--compress=int4")
CASES = {
    ("--model=phantom",): "--model was given without --compress. *--model=phantom --compress=int4",
    ("--compress=int4",): "--compress was given without --model. *--model=phantom --compress=int4",
    ("--model=phantom", "--compress=int5"): "unknown compressor 'int5'. *Did you mean 'int?'?",
    ("--model=phantom", "--compress=int4,int4"): "--compress names a compression twice*",
    ("--model=phantom", "--compress=int4,"): "cannot read the compression ''*",
    ("--model=phantom", "--compress=checkpoint:./nowhere"): "*nowhere does not exist*",
    ("--model=", "--compress=int4"): "*argument --model: expected a value, got ''*",
    ("--model=./nowhere", "--compress=int4"): "model folder '*nowhere' does not exist*",
    ("--model=./empty", "--compress=int4"): "*empty' has no config.json*",
    (*BOTH, "--dtype=int3"): "*argument --dtype: invalid choice: 'int3' (*float16*",
    (*BOTH, "--device=tpu"): "*argument --device: expected *got 'tpu'",
    (
        *BOTH,
        "--llmsafety-limit=many",
    ): "*argument --llmsafety-limit: *whole number*got 'many'",
    (
        *BOTH,
        "--llmsafety-limit=0",
    ): "*argument --llmsafety-limit: *whole number from 1 on*",
    (*BOTH, "--llmsafety-seed=-1"): "*argument --llmsafety-seed: expected a whole number*",
    (*BOTH, "--llmsafety-samples=x"): "*argument --llmsafety-samples: expected *",
    (*BOTH, "--llmsafety-batch-tokens=x"): "*argument --llmsafety-batch-tokens: expected *",
    (
        *BOTH,
        "--llmsafety-margin=toxicity",
    ): "*argument --llmsafety-margin: expected NAME=VALUE*",
    (
        *BOTH,
        "--llmsafety-margin=toxicity=-1",
    ): "*argument --llmsafety-margin: *above 0*got '-1'",
    (
        *BOTH,
        "--llmsafety-margin=toxicity=nan",
    ): "*argument --llmsafety-margin: toxicity: *got 'nan'",
    (
        *BOTH,
        "--llmsafety-scope=all",
    ): "*argument --llmsafety-scope: *choice: *population*suite*",
    (
        *BOTH,
        "--llmsafety-inconclusive=ok",
    ): "*argument *: invalid choice: 'ok' (*fail*skip*pass*",
    (*BOTH, "--llmsafety-data=nowhere"): "--llmsafety-data: there is no folder 'nowhere'*",
    (*BOTH, "--llmsafety-report=test_outcomes.py"): "--llmsafety-report: *is a file*",
}


@pytest.mark.parametrize("given", CASES, ids=" ".join)
def test_the_message_names_it(
    outcomes: Callable[..., pytest.Pytester],
    notes: Callable[[], list[str]],
    given: tuple[str, ...],
) -> None:
    """Exit status 4, the message on one line of stderr, nothing run and no traceback.

    argparse's own errors, which have `argument` here, follow pytest's line on its usage.
    """
    project = outcomes("PASS")
    project.mkdir("empty")
    result = project.runpytest(*given)
    assert result.ret == 4
    expected = CASES[given]
    result.stderr.fnmatch_lines(
        [expected if expected.startswith("*argument") else f"ERROR: {expected}"]
    )
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert notes() == []
    assert {path.name for path in project.path.iterdir()} <= {
        "conftest.py", "judge.py", "test_outcomes.py", "empty", "__pycache__", ".pytest_cache",
    }  # fmt: skip


def test_an_error_obeys_nothing(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Escapes in what the user wrote, or a policy of others, are written out."""
    for flag, expected in {
        "compress": "ERROR: unknown compressor *",
        "llmsafety-limit": "*argument --llmsafety-limit: *",
        "llmsafety-scope": "*argument --llmsafety-scope: *",
        "llmsafety-margin": "*argument --llmsafety-margin: *",
    }.items():
        given = f"--{flag}=int4\x1b[2J\x9b"
        result = outcomes("PASS").runpytest("--model=phantom", given)
        assert result.ret == 4
        result.stderr.fnmatch_lines([f"{expected}int4\\x1b[[]2J\\x9b*"])
        whole = result.stderr.str() + result.stdout.str()
        assert not {"\x1b", "\x9b"} & {*whole}
