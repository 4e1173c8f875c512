"""[tool.llmsafety] of pyproject.toml, the marker `llmsafety`, and which of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PRINTS = """
import pytest

def show(measured):
    options = measured.options
    applied = options.margins.of("toxicity", 0.9)
    print("asked", measured.spec, options.limit, options.alpha,
          options.margins.of("qa", 0.9).margin, applied.margin, applied.by_group)

def test_plain(measure):
    show(measure("toxicity"))

@pytest.mark.llmsafety(margin=0.5, limit=7, confidence=0.99)
def test_marked(measure):
    show(measure("toxicity"))
"""
TOML = """
[tool.llmsafety]
model = "phantom"
compress = ["int8", "int4"]
limit = 50
alpha = 0.1

[tool.llmsafety.margins]
qa = 0.05

[tool.llmsafety.margins.toxicity]
default = 0.02
"gender:women" = 0.01
"""


@pytest.fixture
def stated(project: pytest.Pytester) -> pytest.Pytester:
    """A project that states all that it wants in its pyproject.toml."""
    project.makepyprojecttoml(TOML)
    project.makepyfile(test_policy=PRINTS)
    return project


def asked(result: pytest.RunResult) -> list[str]:
    """What each test was given."""
    return [line.partition("asked ")[2] for line in result.outlines if "asked " in line]


BOTH = ("--model=phantom", "--compress=int8,int4")
PLAIN = "0.05 0.02 (('gender:women', 0.01),)"


def test_a_project_that_states_a_pair_needs_no_flag(stated: pytest.Pytester) -> None:
    """Model, compressions, limit, alpha and margins come from the file; the marker wins over it."""
    lines = asked(stated.runpytest("-s", "test_policy.py"))
    assert lines == [
        f"int8 50 0.1 {PLAIN}",
        "int8 7 0.01 0.5 0.5 ()",
        f"int4 50 0.1 {PLAIN}",
        "int4 7 0.01 0.5 0.5 ()",
    ]


def test_the_command_line_wins_over_file_and_marker(stated: pytest.Pytester) -> None:
    """Each flag replaces what file and marker say of the same setting, and nothing else."""
    given = ("--compress=int4", "--llmsafety-limit=9", "--llmsafety-margin=toxicity=0.3")
    assert asked(stated.runpytest("-s", *given, "test_policy.py")) == [
        "int4 9 0.1 0.05 0.3 ()",
        "int4 9 0.01 0.5 0.3 ()",
    ]


def test_the_flag_for_alpha_wins_over_a_marker(stated: pytest.Pytester) -> None:
    """--llmsafety-alpha is the error rate of every assertion."""
    given = ("--compress=int4", "--llmsafety-alpha=.02", "-k", "marked")
    lines = asked(stated.runpytest("-s", *given, "test_policy.py"))
    assert lines == ["int4 7 0.02 0.5 0.5 ()"]


def test_off_switches_the_gates_off(stated: pytest.Pytester) -> None:
    """--model=off makes a plain run of a project that states a pair, in both spellings."""
    for flag in ("--model=off", "--llmsafety-model=off"):
        stated.runpytest(flag, "test_policy.py").assert_outcomes(skipped=2)


def test_half_a_pair_waits_for_the_other(project: pytest.Pytester) -> None:
    """A project that states only compressions runs gates where a model is given, else skips."""
    project.makepyprojecttoml("[tool.llmsafety]\ncompress = 'int4'")
    project.makepyfile(test_policy=PRINTS)
    project.runpytest("test_policy.py").assert_outcomes(skipped=2)
    project.runpytest("--model=phantom", "test_policy.py").assert_outcomes(passed=2)


def test_the_command_repeats_the_command_line_alone(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """What the file says is read again there; as a flag it would win over markers."""
    project = outcomes("FAIL")
    project.makepyprojecttoml(TOML)
    result = project.runpytest("--llmsafety-samples=2", "test_outcomes.py")
    expected = (
        "reproduce: pytest 'test_outcomes.py::test_fail?int8?' --llmsafety-model=phantom "
        "--llmsafety-compress=int8 --llmsafety-seed=0 --llmsafety-samples=2"
    )
    result.stdout.fnmatch_lines([expected])


ERRORS = {
    "modle = 'phantom'": "unknown key *tool.llmsafety* 'modle'. Known: *Did you mean 'model'?",
    "model = 'phantom'\ncompress = 'int4'\nalpha = 0.7": (
        "[[]tool.llmsafety[]] alpha: expected *got '0.7'"
    ),
}


@pytest.mark.parametrize("lines", ERRORS)
def test_a_bad_line_is_a_usage_error(outcomes: Callable[..., pytest.Pytester], lines: str) -> None:
    """Exit status 4 and one line that names the key; a mistyped `model` switches nothing off."""
    project = outcomes("PASS")
    project.makepyprojecttoml(f"[tool.llmsafety]\n{lines}\n")
    result = project.runpytest("test_outcomes.py")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {ERRORS[lines]}"])


def test_paths_count_from_the_file(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder below, a relative path of the file still names the same place."""
    project.makepyprojecttoml("[tool.llmsafety]\ndata = 'mine'\ncache = './answers'\n")
    project.mkdir("mine")
    below = project.mkdir("below")
    below.joinpath("test_where.py").write_text(
        "def test_where(measure, llmsafety_resources):\n"
        "    options = llmsafety_resources.options\n"
        "    print('places', options.data.resolve().name, options.cache.resolve().parent.name)\n",
        "utf-8",
    )
    monkeypatch.chdir(below)
    result = project.runpytest("-s", *BOTH, "test_where.py")
    result.stdout.fnmatch_lines([f"*places mine {project.path.name}"])


MARKED = """
import pytest

@pytest.mark.llmsafety({})
class TestMarked:
    @pytest.mark.llmsafety(limit=3)
    def test_it(self, measure):
        options = measure("qa").options
        print("asked", options.limit, options.margins.of("qa", 0.9).margin)
"""


def test_the_nearest_marker_wins(project: pytest.Pytester) -> None:
    """A class's marker holds for its tests, except for arguments of a test's own marker."""
    project.makepyfile(test_marked=MARKED.format("limit=9, margin=0.2"))
    result = project.runpytest("-s", *BOTH, "test_marked.py", "--strict-markers")
    assert asked(result) == ["3 0.2", "3 0.2"]


def test_a_test_for_one_compression_skips_the_others(project: pytest.Pytester) -> None:
    """The skip says which compression it is for."""
    project.makepyfile(test_marked=MARKED.format("compress='int4,wanda:0.5'"))
    result = project.runpytest("-rs", *BOTH, "test_marked.py")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * this test is for int4, wanda:0.5 only *"])


def test_a_bad_marker_stops_the_collection(project: pytest.Pytester) -> None:
    """Nothing runs, and the message names the test and the argument."""
    project.makepyfile(test_marked=MARKED.format("margins=0.1"))
    result = project.runpytest(*BOTH, "test_marked.py")
    assert result.ret == 2
    expected = "unknown argument of the marker llmsafety 'margins'. *Did you mean 'margin'?"
    result.stdout.fnmatch_lines([f"*test_marked.py::TestMarked::test_it: {expected}"])


def test_workers_of_xdist_read_the_same_policy(stated: pytest.Pytester) -> None:
    """With -n2 the file and the markers count in every worker."""
    stated.runpytest("-n2", "test_policy.py").assert_outcomes(passed=4)


def test_the_folder_of_the_call_counts_wherever_pytest_has_its_settings(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -c, with a pytest.ini below, from a folder below: the header names the file."""
    project.makepyprojecttoml(TOML)
    project.makepyfile(test_policy=PRINTS)
    settings, below = project.mkdir("settings"), project.mkdir("below")
    for folder in (settings, below):
        folder.joinpath("pytest.ini").write_text("[pytest]\n", "utf-8")
    expected = "llmsafety: [[]tool.llmsafety[]] of {}"
    result = project.runpytest("-c", "settings/pytest.ini", "test_policy.py", "--collect-only")
    result.stdout.fnmatch_lines([expected.format("pyproject.toml"), "*4 tests collected*"])
    monkeypatch.chdir(below)
    result = project.runpytest("-s", "../test_policy.py", "--collect-only")
    result.stdout.fnmatch_lines([expected.format("../pyproject.toml"), "*4 tests collected*"])
    below.joinpath("pyproject.toml").write_text("[tool.llmsafety]\nmodel = 'off'\n", "utf-8")
    result = project.runpytest("-s", "../test_policy.py")
    result.stdout.fnmatch_lines([expected.format("pyproject.toml (not read: ../pyproject.toml)")])
    result.assert_outcomes(skipped=2)


def test_the_header_says_that_no_file_was_read(outcomes: Callable[..., pytest.Pytester]) -> None:
    """A run with a model in a project that states nothing."""
    result = outcomes("PASS").runpytest(*BOTH, "test_outcomes.py")
    result.stdout.fnmatch_lines(["llmsafety: no [[]tool.llmsafety[]] in a pyproject.toml here, *"])


MISPLACED = {
    ("pyproject.toml", "[tool.LLMSAFETY]\nlimit = 1"): "[[]tool.LLMSAFETY[]]",
    ("pyproject.toml", "[llmsafety]\nlimit = 1"): "[[]llmsafety[]]",
    ("pyproject.toml", "[tool.pytest.llmsafety]\nlimit = 1"): "[[]tool.pytest.llmsafety[]]",
    ("setup.cfg", "[tool:llmsafety]\nlimit = 1"): "[[]tool:llmsafety[]]",
    ("pytest.toml", "[pytest]\n[llmsafety]\nlimit = 1"): "[[]llmsafety[]]",
}


def test_a_table_that_is_spelled_otherwise_is_an_error(project: pytest.Pytester) -> None:
    """In whichever file it stands, the message shows the right spelling; so of a key."""
    for (name, text), expected in MISPLACED.items():
        path = project.path / name
        path.write_text(text, "utf-8")
        result = project.runpytest("--collect-only")
        assert result.ret == 4
        result.stderr.fnmatch_lines([f"*{name}' has a table {expected}*[[]tool.llmsafety[]]*"])
        path.unlink()
    project.makeini("[pytest]\nllmsafety_limit = 3\nllmsafety_require = true")
    result = project.runpytest("--collect-only")
    result.stderr.fnmatch_lines(["*the key 'llmsafety_limit' among pytest's own*"])
