"""What a project says about its own tests never hides the safety tests of a run."""

from __future__ import annotations

import pytest

from pytest_llmsafety.plugin.collection import SUITES

GIVEN = ("--model=phantom", "--compress=int4", "--collect-only", "-q")
OTHERWISE = """
[pytest]
python_functions = it_*
python_classes = Spec
python_files = spec_*.py
testpaths = specs
norecursedirs = suites *
addopts = {} --import-mode={}
"""
CONFTEST = "collect_ignore_glob = ['*']\ncollect_ignore = ['suites']"
N_PACKAGED = sum(path.read_text("utf-8").count("\ndef test_") for path in SUITES.glob("test_*.py"))


def packaged(result: pytest.RunResult) -> list[str]:
    """The tests of the packaged suites that were collected."""
    return [line for line in result.outlines if "suites/test_" in line and "::" in line]


@pytest.mark.parametrize(("paths", "mode"), [("", "prepend"), ("specs", "importlib")])
def test_names_and_folders_of_a_project_hide_no_suite(
    pytester: pytest.Pytester, paths: str, mode: str
) -> None:
    """Nor do a path in addopts, what a conftest ignores, and another way to import."""
    pytester.makeini(OTHERWISE.format(paths, mode))
    pytester.makeconftest(CONFTEST)
    pytester.mkdir("specs")
    result = pytester.runpytest(*GIVEN)
    assert result.ret == 0
    assert len(packaged(result)) == N_PACKAGED


def test_a_suite_that_is_named_is_read_by_its_own_names(pytester: pytest.Pytester) -> None:
    """Its folder and one of its files hold all their tests."""
    pytester.makeini(OTHERWISE.format("", "prepend"))
    assert len(packaged(pytester.runpytest(*GIVEN, SUITES))) == N_PACKAGED
    one = packaged(pytester.runpytest(*GIVEN, SUITES / "test_bias.py"))
    assert one
    assert all("test_bias.py" in line for line in one)


def test_a_relative_model_is_found_wherever_a_test_is(project: pytest.Pytester) -> None:
    """A fixture that changes the folder of every test moves neither report nor settings."""
    project.makepyfile(
        test_gate="""
        import pytest
        from judge import judge
        from pytest_llmsafety.paths import user_path

        @pytest.fixture(autouse=True)
        def elsewhere(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)

        def test_it(measure, llmsafety_resources, request):
            options = llmsafety_resources.options
            assert user_path("./m") == request.config.invocation_params.dir / "m"
            assert options.cache.is_absolute()
            assert dict(options.settings())["cache"] == "answers"
            judge(measure("x"), "PASS")
        """
    )
    flags = ("--llmsafety-cache=answers", "--llmsafety-report=out")
    result = project.runpytest("--model=phantom", "--compress=int4", *flags, "test_gate.py")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["report: out/report.json"])
    assert project.path.joinpath("out", "report.json").is_file()
