"""--model, --compress, --device and --dtype in projects that have such flags, or have not."""

from __future__ import annotations

import pytest

OWN_FLAG = """
def pytest_addoption(parser):
    parser.addoption("--model", default="theirs")
"""
PRINTS = """
def test_theirs(request):
    print("theirs is", request.config.getoption("model"))
"""
SAFETY = "def test_safety(measure):\n    print('measured', measure('x').spec)"


@pytest.mark.parametrize("words", [["--model=phantom"], ["--model", "phantom"]])
def test_both_forms_work(project: pytest.Pytester, words: list[str]) -> None:
    """A value may follow after '=' or after a space."""
    project.makepyfile(SAFETY)
    result = project.runpytest(*words, "--compress=int4", "-s", project.path)
    result.stdout.fnmatch_lines(["*measured int4"])


def test_a_value_may_have_a_blank(project: pytest.Pytester) -> None:
    """Such as a folder; argparse would take an unknown flag with one for a path."""
    project.makepyfile("def test_pair(model_pair):\n    print('model', model_pair.model)")
    result = project.runpytest("--model=my model", "--compress=int4", "-s", project.path)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*model my model*"])


def test_they_work_from_addopts(project: pytest.Pytester) -> None:
    """A project may put them into its ini file."""
    project.makeini("[pytest]\naddopts = --model phantom --compress=int4")
    project.makepyfile(SAFETY)
    project.runpytest("-s", project.path).stdout.fnmatch_lines(["*measured int4"])


def test_all_four_are_read(project: pytest.Pytester) -> None:
    """Device and data type reach the resources like the other two."""
    project.makepyfile(
        "def test_pair(model_pair):\n"
        "    print('pair', model_pair.model.device, model_pair.model.dtype)"
    )
    given = ("--model=phantom", "--compress=int4", "--device=cpu", "--dtype=float32")
    project.runpytest(*given, "-s", project.path).stdout.fnmatch_lines(["*pair cpu float32"])


def test_a_project_keeps_its_own_flag(pytester: pytest.Pytester) -> None:
    """A conftest that defines --model gets the value; nothing is measured."""
    pytester.makeconftest(OWN_FLAG)
    pytester.makepyfile(PRINTS)
    result = pytester.runpytest("--model=resnet", "-s")
    result.stdout.fnmatch_lines(["*theirs is resnet"])
    result.assert_outcomes(passed=1)


def test_long_twins_work_beside_a_projects_own_flag(project: pytest.Pytester) -> None:
    """Where the project owns --model, --llmsafety-model still selects the model."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text("utf-8") + OWN_FLAG, "utf-8")
    project.makepyfile(test_theirs=PRINTS, test_safety=SAFETY)
    result = project.runpytest(
        "--model=resnet", "--llmsafety-model=phantom", "--compress=int4", "-s", project.path
    )
    result.stdout.fnmatch_lines(["*measured int4*", "*theirs is resnet*"])


def test_a_conftest_below_that_is_loaded_first_keeps_its_flag(pytester: pytest.Pytester) -> None:
    """`pytest sub --model=x` belongs to sub/conftest.py."""
    pytester.mkdir("sub").joinpath("conftest.py").write_text(OWN_FLAG, "utf-8")
    pytester.path.joinpath("sub", "test_theirs.py").write_text(PRINTS, "utf-8")
    result = pytester.runpytest("sub", "--model=resnet", "-s")
    result.stdout.fnmatch_lines(["*theirs is resnet"])


def test_a_conftest_below_that_is_loaded_late_may_define_it(project: pytest.Pytester) -> None:
    """Our flag is withdrawn once it is read, so a late definition of --model meets nothing."""
    project.mkdir("sub").joinpath("conftest.py").write_text(OWN_FLAG, "utf-8")
    project.path.joinpath("sub", "test_theirs.py").write_text(PRINTS, "utf-8")
    project.makepyfile(test_safety=SAFETY)
    result = project.runpytest("--model=phantom", "--compress=int4", "-s", project.path)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*theirs is theirs*"])


def test_without_flags_a_late_conftest_is_left_alone(pytester: pytest.Pytester) -> None:
    """A run that names no model adds no short flag at all."""
    pytester.mkdir("sub").joinpath("conftest.py").write_text(OWN_FLAG, "utf-8")
    pytester.path.joinpath("sub", "test_theirs.py").write_text(PRINTS, "utf-8")
    pytester.runpytest("-s").stdout.fnmatch_lines(["*theirs is theirs"])


def test_an_unknown_flag_is_still_an_error(pytester: pytest.Pytester) -> None:
    """Only the four names are added, so a typing mistake is found as ever."""
    result = pytester.runpytest("--modle=phantom")
    result.stderr.fnmatch_lines(["*unrecognized arguments: --modle=phantom"])


def test_a_folder_after_a_space_is_no_test_path(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--model ./dense` does not keep pytest from the conftest files of the project's tests."""
    monkeypatch.setattr("pytest_llmsafety.models.model_folder.check_folder", lambda _: None)
    tests = project.mkdir("checks")
    for name in ("conftest.py", "judge.py"):
        project.path.joinpath(name).rename(tests / name)
    conftest = tests / "conftest.py"
    early = "\ndef pytest_addoption(parser):\n    parser.addoption('--early')\n"
    conftest.write_text(conftest.read_text("utf-8") + early, "utf-8")
    tests.joinpath("test_safety.py").write_text(SAFETY, "utf-8")
    project.mkdir("dense")
    project.makeini("[pytest]\ntestpaths = checks")
    result = project.runpytest(
        "--model", "./dense", "--compress=int4", "--early=1", "-s", "-k", "test_safety"
    )
    result.stdout.fnmatch_lines(["*measured int4*"])


def test_a_path_that_hides_the_ini_file_is_refused(
    project: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`--model ../X` makes pytest miss the project's settings, so it has to be `--model=../X`."""
    elsewhere = tmp_path_factory.mktemp("dense")
    project.makeini("[pytest]\n")
    project.makepyfile(SAFETY)
    result = project.runpytest("--model", elsewhere, "--compress=int4")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*Write it with '=', as in --model={elsewhere}"])


def test_half_of_the_pair_owned_by_the_project_says_so(pytester: pytest.Pytester) -> None:
    """--compress with a --model of the project's own points to --llmsafety-model."""
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--model')")
    result = pytester.runpytest("--model=car", "--compress=int4")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--model belongs to this project*--llmsafety-model*"])
