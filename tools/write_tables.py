"""Write the tables that follow from the code: `python -m tools.write_tables`.

The public names come from `pytest_llmsafety._HOMES` and the registered assertions, the tables of
README.md and docs/ from the registered assertions, the catalog of measurements and the table of
flags. A house test fails when one of them is stale.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_llmsafety
from pytest_llmsafety.assertions.applicability import packaged_assertions
from pytest_llmsafety.config.options import FLAGS
from pytest_llmsafety.measurements.catalog import MEASUREMENTS, measuring
from pytest_llmsafety.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_llmsafety.assertions.applicability import Applicability

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = pytest_llmsafety.__name__
PASSES = "Pass when "
"""How the first line of an assertion's docstring begins; the tables show the rest of it."""


def homes() -> dict[str, str]:
    """Return the module of each public name, relative to the package."""
    others = {n: home for n, home in pytest_llmsafety._HOMES.items() if not n.startswith("assert_")}  # noqa: SLF001 - the table that is written
    found = {
        name: given.module.removeprefix(f"{PACKAGE}.")
        for name, given in packaged_assertions().items()
    }
    return dict(sorted({**others, **found}.items()))


def public_names() -> Iterator[str]:
    """Yield the lines of `__init__.py` that name what users import."""
    modules = defaultdict(list)
    for name, home in homes().items():
        modules[home].append(name)
    yield "if TYPE_CHECKING:"
    for home in sorted(modules):
        imported = f"    from {PACKAGE}.{home} import {', '.join(modules[home])}"
        if len(imported) <= 100:  # noqa: PLR2004 - the length of a line
            yield imported
            continue
        yield f"    from {PACKAGE}.{home} import ("
        yield from (f"        {name}," for name in modules[home])
        yield "    )"
    yield from ("", "__all__ = [")
    yield from (f'    "{name}",' for name in homes())
    yield from ("]", "", "_HOMES = {")
    yield from (f'    "{name}": "{home}",' for name, home in homes().items())
    yield "}"


def table_of_assertions() -> Iterator[str]:
    """Yield the table of the README: each assertion, when it passes, what it judges."""
    found = packaged_assertions()
    yield from ("| assertion | passes when | measurements |", "|---|---|---|")
    places = {name: place for place, name in enumerate(MEASUREMENTS)}
    own = {name: measuring(*one.own)[0] if one.own else "" for name, one in found.items()}
    for name, given in sorted(found.items(), key=lambda row: places.get(own[row[0]], len(places))):
        assertion = getattr(import_module(given.module), name)
        line = (inspect.getdoc(assertion) or "").partition("\n")[0]
        if not line.startswith(PASSES):
            message = f"the docstring of {name} has to begin with '{PASSES}', for the tables."
            raise SystemExit(message)
        passes = line.removeprefix(PASSES).rstrip(".").replace("|", "\\|")
        yield f"| `{name}` | {passes} | {_measurements(given)} |"


def _measurements(given: Applicability) -> str:
    own = [f"`{name}`" for name in measuring(*(given.own or given.kinds))]
    others = len(measuring(*given.kinds)) - len(own)
    return ", ".join(own) + (f" and {others} others" if others > 1 else "")


def table_of_measurements() -> Iterator[str]:
    """Yield the table of docs/measurements.md: how each measurement is made, and what judges it."""
    head = (
        "name", "what it measures", "kind", "metric", "default data set", "built-in model",
        "packaged core", "assertions (margin of the suites)",
    )  # fmt: skip
    yield from (f"| {' | '.join(head)} |", "|---" * len(head) + "|")
    margins = suite_margins()
    for name, recipe in MEASUREMENTS.items():
        kind = METRICS.load(recipe.metric).measures
        fitting = [
            (kind not in given.own, len(given.also), one)
            for one, given in packaged_assertions().items()
            if kind in given.kinds
        ]
        judged = [
            f"`{one}` ({margins[name][one]:g})" if one in margins[name] else f"`{one}`"
            for *_, one in sorted(fitting)
        ]
        made = (recipe.metric, recipe.dataset, recipe.phantom, recipe.core)
        cells = (
            f"`{name}`",
            recipe.what.replace("|", "\\|"),
            kind,
            *(f"`{one}`" if one else "none" for one in made),
            ", ".join(judged),
        )
        yield f"| {' | '.join(cells)} |"


def suite_margins() -> dict[str, dict[str, float]]:
    """Return the margin with which the suites judge each measurement, by assertion."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for path in (ROOT / "suites").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call) else ""
            call = re.fullmatch(r"(assert_\w+)\(measure\('(\w+)'\), margin=([\d.]+).*\)", text)
            if call:
                found[call[2]][call[1]] = float(call[3])
    return found


def reference_of_assertions() -> Iterator[str]:
    """Yield the entries of the API reference, one an assertion."""
    yield from (f"::: {PACKAGE}.{name}" for name in packaged_assertions())


def table_of_flags() -> Iterator[str]:
    """Yield the table of docs/configuration.md: each flag, what it does, and its default."""
    yield from ("| flag | what it does | default |", "|---|---|---|")
    for flag in FLAGS:
        value = f"{{{','.join(flag.choices)}}}" if flag.choices else flag.metavar
        long = f"`{flag.word} {value}`" if value else f"`{flag.word}`"
        names = f"`--{flag.name}`, {long}" if flag.short else long
        more = "; may be repeated" if flag.repeated else ""
        page = f" ([{flag.see.partition('#')[0]}]({flag.see}))" if flag.see else ""
        yield f"| {names} | {flag.help}{more}{page} | {flag.shown_default} |"


BLOCKS: dict[tuple[str, str], Callable[[], Iterator[str]]] = {
    ("pytest_llmsafety/__init__.py", "public names"): public_names,
    ("README.md", "table of assertions"): table_of_assertions,
    ("docs/measurements.md", "table of measurements"): table_of_measurements,
    ("docs/configuration.md", "table of flags"): table_of_flags,
    ("docs/api.md", "reference of assertions"): reference_of_assertions,
}
"""What is written, by file and name of the block between two marks."""


def written(file: str, block: str) -> str:
    """Return the text of a file with one block written anew. ValueError where it has no marks."""
    text = (ROOT / file).read_text("utf-8")
    python = file.endswith(".py")
    begin = f"written by `python -m tools.write_tables`: {block}"
    before, after = ("# ", "") if python else ("<!-- ", " -->")
    marks = [f"{before}{mark}{after}\n" for mark in (begin, f"end of {block}")]
    space = "" if python else "\n"
    pattern = re.compile(f"({re.escape(marks[0])}).*({re.escape(marks[1])})", re.DOTALL)
    if not pattern.search(text):
        message = f"{file} has no lines {marks[0]!r} and {marks[1]!r}. Put them back."
        raise ValueError(message)
    lines = "\n".join(BLOCKS[file, block]())
    return pattern.sub(lambda found: f"{found[1]}{space}{lines}\n{space}{found[2]}", text)


def main() -> None:
    """Write every block, and name the files that changed."""
    for file, block in BLOCKS:
        text = written(file, block)
        if text != (ROOT / file).read_text("utf-8"):
            (ROOT / file).write_text(text, "utf-8")
            sys.stdout.write(f"{file}: {block}\n")


if __name__ == "__main__":
    main()
