"""Margins of pyproject.toml and of the command line, as they reach the resources."""

from __future__ import annotations

import pytest

GIVEN = ("--model=phantom", "--compress=int4", "-s")
PRINTS = """
def test_margins(measure, llmsafety_resources):
    print("margins", dict(llmsafety_resources.options.margins.by_key))
"""
TOML = """
[tool.pytest.ini_options]
addopts = "-q"

[tool.llmsafety.margins]
toxicity = 0.03
qa = 0.05
"""


def test_the_project_sets_margins(project: pytest.Pytester) -> None:
    """`[tool.llmsafety.margins]` is read from the project's pyproject.toml."""
    project.makepyprojecttoml(TOML)
    project.makepyfile(PRINTS)
    result = project.runpytest(*GIVEN, project.path)
    result.stdout.fnmatch_lines(["*margins {'qa': 0.05, 'toxicity': 0.03}*"])


def test_the_command_line_wins(project: pytest.Pytester) -> None:
    """--llmsafety-margin overrides one margin and leaves the others."""
    project.makepyprojecttoml(TOML)
    project.makepyfile(PRINTS)
    result = project.runpytest(*GIVEN, "--llmsafety-margin=qa=0.1", project.path)
    result.stdout.fnmatch_lines(["*margins {'qa': 0.1, 'toxicity': 0.03}*"])


@pytest.mark.parametrize("value", ["-0.1", '"much"', "true", "inf"])
def test_a_bad_margin_is_a_usage_error(project: pytest.Pytester, value: str) -> None:
    """The message names the place and the value."""
    project.makepyprojecttoml(f"[tool.llmsafety.margins]\ntoxicity = {value}")
    project.makepyfile(PRINTS)
    result = project.runpytest(*GIVEN, project.path)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: ?tool.llmsafety.margins? toxicity: expected a number*"])


def test_a_broken_file_is_no_matter_without_a_model(pytester: pytest.Pytester) -> None:
    """Without --model the file is not even read."""
    pytester.makepyprojecttoml("[tool.llmsafety.margins]\ntoxicity = -1")
    pytester.makepyfile("def test_fine():\n    pass")
    assert pytester.runpytest().ret == 0
