"""What style.md asks of every module, as far as a program can tell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pytest_llmsafety"
MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "suites").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
EMPTY_NAMES = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "core.py"}
MAY_IMPORT_PYTEST = {"plugin"}
WIDE = {"decide_mean": 9, "decide_groups": 13, "decide_group_rate_ratios": 9}
"""Public: each is a choice of the caller, flat."""
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")


def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods too."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]


def named(path: Path) -> str:
    """A file's name in the checkout, for ids."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """The docstring begins with one line that ends in a full stop."""
    docstring = ast.get_docstring(tree(path))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?", ":"))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_file_holds_one_concept(path: Path) -> None:
    """At most 600 lines, under a name that says something; 100 to 300 are usual."""
    assert len(path.read_text("utf-8").splitlines()) <= 600
    assert path.name not in EMPTY_NAMES


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_function_is_short(path: Path) -> None:
    """At most 50 lines and eight parameters, but for the three widest public decisions."""
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno + 1 <= 50, function.name
        given = [*function.args.args, *function.args.kwonlyargs]
        assert len(given) <= WIDE.get(function.name, 8), function.name


def test_the_plugin_is_short() -> None:
    """The entry point of pytest delegates."""
    assert len(PACKAGE.joinpath("plugin", "__init__.py").read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(PACKAGE)], ids=named)
def test_only_the_hooks_import_pytest(path: Path) -> None:
    """Everything but plugin/ works without pytest."""
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree(path))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    allowed = path.relative_to(PACKAGE).parts[0] in MAY_IMPORT_PYTEST
    assert allowed or not imported & {"pytest", "_pytest"}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=named)
def test_nothing_is_left_for_later(path: Path) -> None:
    """What is not done is written in an issue, not in the code."""
    text = path.read_text("utf-8")
    assert [word for word in LEFTOVERS if word in text] == []
