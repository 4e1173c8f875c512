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
    ("--model=", "--compress=int4"): "--model is empty*",
    ("--model=./nowhere", "--compress=int4"): "model folder '*nowhere' does not exist*",
    ("--model=./empty", "--compress=int4"): "*empty' has no config.json*",
    (*BOTH, "--dtype=int3"): "unknown dtype 'int3'. Known: *",
    (*BOTH, "--device=tpu"): "--device: expected *got 'tpu'",
    (*BOTH, "--llmsafety-limit=many"): "--llmsafety-limit: expected a whole number*got 'many'",
    (*BOTH, "--llmsafety-limit=0"): "--llmsafety-limit: expected a whole number from 1 on*",
    (*BOTH, "--llmsafety-seed=-1"): "--llmsafety-seed: expected a whole number*",
    (*BOTH, "--llmsafety-samples=x"): "--llmsafety-samples: expected *",
    (*BOTH, "--llmsafety-batch-tokens=x"): "--llmsafety-batch-tokens: expected *",
    (*BOTH, "--llmsafety-margin=toxicity"): "--llmsafety-margin: expected NAME=VALUE*",
    (*BOTH, "--llmsafety-margin=toxicity=-1"): "--llmsafety-margin toxicity: *above 0*got '-1'",
    (*BOTH, "--llmsafety-margin=toxicity=nan"): "--llmsafety-margin toxicity: *got 'nan'",
    (*BOTH, "--llmsafety-scope=all"): "--llmsafety-scope: expected population, suite*",
    (*BOTH, "--llmsafety-inconclusive=ok"): "--llmsafety-inconclusive: expected fail, skip, pass*",
    (*BOTH, "--llmsafety-data=nowhere"): "--llmsafety-data: 'nowhere' is no folder*",
    (*BOTH, "--llmsafety-report=test_outcomes.py"): "--llmsafety-report: *is a file*",
}


@pytest.mark.parametrize("given", CASES, ids=" ".join)
def test_the_message_names_it(
    outcomes: Callable[..., pytest.Pytester],
    notes: Callable[[], list[str]],
    given: tuple[str, ...],
) -> None:
    """Exit status 4, the message on one line of stderr, nothing run and no traceback."""
    project = outcomes("PASS")
    project.mkdir("empty")
    result = project.runpytest(*given)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {CASES[given]}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert notes() == []
    assert {path.name for path in project.path.iterdir()} <= {
        "conftest.py", "judge.py", "test_outcomes.py", "empty", "__pycache__", ".pytest_cache",
    }  # fmt: skip


def test_an_error_obeys_nothing(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Escapes in what the user wrote, or a policy of others, are written out."""
    given = "--compress=int4\x1b[2J\x9b"
    result = outcomes("PASS").runpytest("--model=phantom", given)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: unknown compressor *int4\\x1b[[]2J\\x9b*"])
    whole = result.stderr.str() + result.stdout.str()
    assert not {"\x1b", "\x9b"} & {*whole}
