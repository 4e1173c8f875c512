"""The digest of the package's code: it follows what computes an answer, not where that lies."""

from __future__ import annotations

import io
import re
import shutil
import time
import tokenize

import pytest

from pytest_llmsafety.models.package_code import PACKAGE, PLACE, _without_places, package_digest

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
BEFORE = package_digest()


@pytest.fixture
def copy(tmp_path):
    """A copy of the package's sources."""
    place = tmp_path / PACKAGE.name
    kept = shutil.ignore_patterns("__pycache__", "weights", "*.ckpt", "*.json")
    return shutil.copytree(PACKAGE, place, ignore=kept)


def file(copy, name):
    """Return the one file of this name."""
    [path] = copy.rglob(name)
    return path


def module(copy, path):
    """Return the name under which a file is imported."""
    return ".".join((PACKAGE.name, *path.relative_to(copy).with_suffix("").parts))


def edit(path, old, new):
    """Replace a text of a file, which has to be there."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_module_that_moves_keeps_the_digest(copy):
    """Its users import it from elsewhere, in another order and on more lines: answers stay."""
    assert package_digest(copy) == BEFORE
    new = copy / "inference" / "backends" / "numbers_of_a_model_and_its_parts"
    new.mkdir()
    (new / "__init__.py").touch()
    old = module(copy, file(copy, "grid.py"))
    place = module(copy, file(copy, "grid.py").rename(new / "lattice.py"))
    for path in copy.rglob("*.py"):
        text = path.read_text("utf-8")
        lines = re.findall(rf"^from {old} import \w+\n", text, re.MULTILINE)
        for line in lines:  # as a sorter of imports would put it
            name = line.split()[-1]
            text = text.replace(line, "", 1) + "\n"
            moved = f"from {place} import (\n    {name},\n)"
            text = text.replace("\nfrom pytest", f"\n{moved}\nfrom pytest", 1)
        text = text.replace(old, place)
        path.write_text(text, "utf-8")
    assert package_digest.__wrapped__(copy) == BEFORE


def test_a_compressor_that_moves_keeps_the_digest(copy):
    """The table names it by its new place."""
    old = module(copy, file(copy, "rtn.py"))
    new = module(copy, file(copy, "rtn.py").rename(copy / "compressors" / "nearest.py"))
    for path in copy.rglob("*.py"):
        text = path.read_text("utf-8")
        text = text.replace(old, new).replace('f"{METHODS}.rtn:', f'"{new}:')
        path.write_text(text, "utf-8")
    assert package_digest(copy) == BEFORE


def test_comments_and_docstrings_do_not_count(copy):
    """What only people read leaves the answers as they are."""
    path = file(copy, "rtn.py")
    lines = path.read_text("utf-8").splitlines()
    lines[0] = '"""Another # sentence,\n\nand more of them."""'
    path.write_text("\n\n".join(["# a comment", *lines]) + "  # the end\n", "utf-8")
    assert package_digest(copy) == BEFORE


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("packaged_text.py", "DEPTH = 4", "DEPTH = 5"),
        ("packaged_text.py", r"\{(\^?)([a-z]+)\}", r"\{(\^?)([a-z]*)\}"),
        ("packaged_text.txt", "the", "The"),
        ("hf.py", "Decoder(model", "Decoder( model"),
        ("load.py", "use_safetensors", "use_pickles"),
        ("specs.py", "frozen=True", "frozen=False"),
    ],
)
def test_a_change_of_what_computes_is_another_digest(copy, name, old, new):
    """A constant, a text, a data file, the table, and what the rooms below hold: all count."""
    edit(file(copy, name), old, new)
    assert package_digest(copy) != BEFORE


@pytest.mark.parametrize("room", ["reports", "assertions", "stats", "metrics", "plugin"])
def test_what_judges_and_reports_does_not_count(copy, room):
    """An edit of a report or of an assertion leaves stored answers valid."""
    for path in (copy / room).rglob("*.py"):
        path.write_text("MORE = 1\n", "utf-8")
    assert package_digest(copy) == BEFORE


def statements(source):
    """Return the tokens of a source by statement, without comments and layout."""
    found = [[]]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            found.append([])
        elif token.type not in LAYOUT:
            found[-1].append(token.string)
    return [one for one in found if one]


def test_all_but_docstrings_and_own_imports_is_digested():
    """Python's own tokenizer finds the same statements; no form of import escapes."""
    folders = "compressors", "inference", "models"
    for path in (path for folder in folders for path in (PACKAGE / folder).rglob("*.py")):
        source = path.read_text("utf-8")
        whole = statements(PLACE.sub("", source))
        own = [one for one in whole if one[:2] == ["from", "import"]]
        docstrings = [one for one in whole if len(one) == 1 and one[0].lstrip("rR")[0] in "\"'"]
        rest = [one for one in whole if one not in own and one not in docstrings]
        names = [name for one in own for name in one[2:] if name not in "(),"]
        digested = statements(_without_places(source)[0])
        assert digested[: len(rest)] == rest, path
        assert sorted(token for one in digested[len(rest) :] for token in one) == sorted(names)
        assert ["import"] not in rest, path
        assert not any(one[0] == "from" and one[1].startswith(".") for one in rest), path


def test_it_takes_no_time():
    """Every start of a run pays for it."""
    start = time.process_time()
    package_digest.__wrapped__()
    assert time.process_time() - start < 0.5
