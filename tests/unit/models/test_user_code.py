"""The code behind a user's function: what it imports counts, and what it reads is a doubt."""

from __future__ import annotations

import sys
import zipfile

import pytest

from pytest_llmsafety.models.user_code import doubt_about, user_code, watched


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """The name of a module of its own in the current folder, gone afterwards, and its file."""
    name = f"own_{abs(hash(request.node.name))}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name, tmp_path / f"{name}.py"
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(name)]:
        del sys.modules[loaded]


def test_plain_code_raises_no_doubt(module):
    """What only computes with installed packages is covered by its code and their versions."""
    name, path = module
    path.write_text("import math\nimport torch\nimport numpy as np\ndef prune(model): model.eval()")
    found = user_code(name)
    assert set(found.files) == {name}
    assert set(found.packages) == {"torch", "numpy"}
    assert not doubt_about(name)


@pytest.mark.parametrize(
    "line",
    [
        "mask = open('mask.txt').read()",
        "import torch; mask = torch.load('mask.pt')",
        "from pathlib import Path; mask = Path('mask').read_bytes()",
        "import os; share = os.environ.get('SHARE')",
        "from safetensors.torch import load_file",
        "import importlib; other = importlib.import_module('other')",
        "exec('x = 1')",
        "def broken(:",
    ],
)
def test_what_reads_something_else_is_a_doubt(module, line):
    """A file, the environment and code of a computed name are nowhere in the digest."""
    name, path = module
    path.write_text(line)
    assert doubt_about(name)


def test_the_command_that_runs_is_no_data(module, monkeypatch):
    """Importing torch for the first time reads a line of the script `pytest`, for a traceback."""
    name, path = module
    script = path.with_name("pytest")
    script.write_text("import pytest")
    path.write_text("import linecache\ndef prune(file): return linecache.getline(str(file), 1)")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    with watched(name):
        assert __import__(name).prune(script) == "import pytest\n"
    assert not doubt_about(name)


def test_where_python_looks_for_modules_is_no_data(module, monkeypatch):
    """An archive on the path of modules is looked into by every import."""
    name, path = module
    monkeypatch.syspath_prepend(str(path.with_name("python311.zip")))
    path.write_text("import fileinput\ndef prune(file): return list(fileinput.input(file))")
    with watched(name), pytest.raises(FileNotFoundError):
        __import__(name).prune(path.with_name("python311.zip"))
    assert not doubt_about(name)


def test_what_a_package_opens_for_a_function_is_noticed(module):
    """A read that no name shows is seen while the function runs; installed files are no data."""
    name, path = module
    path.write_text("import fileinput\ndef prune(file): return list(fileinput.input(file))")
    data = path.with_name("amounts.txt")
    data.write_text("0.5")
    with watched(name):
        import fileinput

        with fileinput.input([fileinput.__file__]) as lines:
            assert list(lines)
    assert not doubt_about(name)
    with watched(name):
        __import__(name).prune(str(data))
    assert "amounts.txt" in doubt_about(name)


def test_a_search_for_installed_packages_is_no_doubt(module, monkeypatch):
    """Looking into a place of `sys.path` that is not there, as Python's zip, reads nothing."""
    name, path = module
    path.write_text(
        "from importlib import metadata\ndef prune(): return list(metadata.distributions())"
    )
    missing, there = path.with_name("python399.zip"), path.with_name("mine.zip")
    monkeypatch.syspath_prepend(str(missing))
    with watched(name):
        __import__(name).prune()
    assert not doubt_about(name)
    with zipfile.ZipFile(there, "w") as archive:
        archive.writestr("mine.py", "x = 1")
    monkeypatch.syspath_prepend(str(there))
    with watched(name):
        __import__(name).prune()
    assert "mine.zip" in doubt_about(name)


def test_a_module_that_was_edited_after_the_first_look_is_a_doubt(module):
    """What is imported late has to be what was digested."""
    name, path = module
    late = path.with_name(f"{name}_late.py")
    path.write_text(f"def prune(model):\n    import {name}_late")
    late.write_text("x = 1")
    with watched(name):
        function = __import__(name).prune
    late.write_text("x = 2")
    with watched(name):
        function(None)
    assert "was not foreseen" in doubt_about(name)
