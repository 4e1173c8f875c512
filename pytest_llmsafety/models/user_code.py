"""The files that a user's function is made of, and signs that it reads others.

Files are found and parsed without running them. Data that the code opens and modules that it
imports by a computed name cannot be found so; they are noticed by name, and while the code runs.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.paths import start_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

INSTALLED = ("site-packages", "dist-packages")
COUNTED_ELSEWHERE = "pytest_llmsafety"
MOST_FILES = 2000
CALLS = frozenset({"open", "exec", "eval", "compile", "__import__", "input"})
NAMES = frozenset({
    "CDLL", "Popen", "check_output", "environ", "from_pretrained", "fromfile", "genfromtxt",
    "get_data", "getenv", "import_module", "load", "load_dataset", "load_file", "load_model",
    "loadtxt", "memmap", "read_bytes", "read_csv", "read_json", "read_parquet", "read_pickle",
    "read_text", "run_module", "run_path", "safe_load", "safe_open", "spec_from_file_location",
    "system", "urlopen", "urlretrieve",
})  # fmt: skip
"""Names in code that reads files, the environment, or modules of a computed name."""
ATTRIBUTES = frozenset({"open"})
EVENTS = frozenset({"open", "subprocess.Popen", "os.system", "socket.connect", "sqlite3.connect"})


@dataclass
class UserCode:
    """The code of a module: digests of its `files` by module name, `packages` with their state.

    `doubts` names what a digest of the code cannot cover, such as reading a data file.
    """

    files: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def user_code(module: str) -> UserCode:
    """Return the user's code that importing and calling `module` may run, found without running it.

    User code lies outside the standard library and the installed packages; the top-level package
    of `module` counts wherever it lies. For a module that is imported already, the result is
    what was found then: a later edit does not change what this process runs.
    """
    return _imported[module] if module in _imported else _look(module)


def doubt_about(module: str) -> str:
    """Return the first thing that `module` does and its digest cannot cover; empty if none."""
    return next(iter([*user_code(module).doubts, *_observed.get(module, [])]), "")


def _look(module: str) -> UserCode:
    PathFinder.invalidate_caches()
    found = UserCode()
    root = module.partition(".")[0]
    waiting = [module]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in done or not name:
            continue
        done.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)
        waiting += _look_at(name, root, found)
        if len(found.files) > MOST_FILES:
            found.doubts.append(f"it imports more than {MOST_FILES} files")
            break
    return found


def _look_at(name: str, root: str, found: UserCode) -> list[str]:
    """Add one module to `found`, and return the names of the modules that it imports."""
    top = name.partition(".")[0]
    spec = None if top in {*sys.builtin_module_names, COUNTED_ELSEWHERE} else find(name)
    if spec is None or not spec.origin or not spec.has_location:
        return []
    path = Path(spec.origin)
    if top != root and _is_foreign(path):
        if not _is_standard(path):
            found.packages[top] = _state_of(top)
        return []
    try:
        content = path.read_bytes()
        found.files[name] = hashlib.sha256(content).hexdigest()
        if path.name.endswith((*EXTENSION_SUFFIXES, *BYTECODE_SUFFIXES)):
            found.doubts.append(f"{path.name} has no source that could be looked at")
            return []
        tree = ast.parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        found.doubts.append(f"{path.name} cannot be read ({type(error).__name__})")
        return []
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    found.doubts += [f"{path.name} uses `{what}` in line {line}" for line, what in _reads(tree)]
    return list(_imports(tree, package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield every name that the code imports and that may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            start = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield base
            for alias in node.names:
                if alias.name != "*":
                    yield f"{base}.{alias.name}"
                else:
                    yield from _all_of(base)


def _all_of(package: str) -> Iterator[str]:
    spec = find(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if path.suffix == ".py" or path.is_dir():
                yield f"{package}.{path.stem}"


def _reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each use of a name that can bring in what is not in the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in CALLS | NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES | NAMES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.name in NAMES:
            yield node.lineno, node.name


def find(module: str) -> ModuleSpec | None:
    """Return the import spec of a module, found as `python -m` in the start folder finds it."""
    path = [str(start_folder()), *sys.path]
    spec = None
    for number, _ in enumerate(parts := module.split(".")):
        name = ".".join(parts[: number + 1])
        spec = PathFinder.find_spec(name, path) or _elsewhere(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def _elsewhere(name: str, path: list[str]) -> ModuleSpec | None:
    """Ask the finders of editable installs."""
    for finder in sys.meta_path:
        if getattr(finder, "__module__", "").startswith("__editable__"):
            found = finder.find_spec(name, path)
            if found is not None:
                return found
    return None


def _is_foreign(path: Path) -> bool:
    return any(part in INSTALLED for part in path.parts) or _is_standard(path)


def _is_standard(path: Path) -> bool:
    installed = any(part in INSTALLED for part in path.parts)
    return not installed and any(path.is_relative_to(place) for place in _standard())


@cache
def _standard() -> tuple[str, ...]:
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    return tuple({*places, *map(os.path.realpath, places)})


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _state_of(package: str) -> str:
    """Return the versions of the distributions that hold a package, with digests of their files.

    pip's list of files holds a digest of each, so that a new build of the same version counts.
    """
    states = []
    for name in sorted({*_distributions().get(package, [])}):
        found = metadata.distribution(name)
        listed = (found.read_text("RECORD") or "").encode()
        states.append(f"{name}=={found.version} {hashlib.sha256(listed).hexdigest()[:16]}")
    return ", ".join(states)


_imported: dict[str, UserCode] = {}
_observed: dict[str, list[str]] = {}
_watched: list[str] = []
_hooked: list[bool] = []


@contextmanager
def watched(module: str) -> Iterator[None]:
    """Notice what `module` opens or imports in the block and its digest does not cover.

    An audit hook of Python stays until the process ends, so it is added at the first use.
    """
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_notice)
    if module not in _imported or module not in sys.modules:
        _imported[module] = _look(module)
        _observed.pop(module, None)
    before = {*sys.modules}
    _watched.append(module)
    try:
        yield
    finally:
        _watched.remove(module)
        _notice_modules(module, before)


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or event not in EVENTS:
        return
    what = event
    if event == "open":
        path, mode = arguments[0], arguments[1]
        if not isinstance(path, (str, bytes, os.PathLike)) or not _reads_data(path, mode):
            return
        what = f"it opens '{Path(os.fsdecode(path)).name}'"
    for module in _watched:
        noticed = _observed.setdefault(module, [])
        if what not in noticed:
            noticed.append(what)


def _reads_data(path: Any, mode: Any) -> bool:  # noqa: ANN401 - whatever was given to `open`
    """Return whether a file is data: neither code nor a file of Python or of the system."""
    text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - resolves no link, asks no disk
    if isinstance(mode, str) and "r" not in mode and "+" not in mode:
        return False
    if text.endswith((".py", *BYTECODE_SUFFIXES, *EXTENSION_SUFFIXES)):
        return False
    if text in sys.path and not os.path.exists(text):  # noqa: PTH110 - as above
        return False  # python311.zip, which an import looks into
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program and text == os.path.abspath(program):  # noqa: PTH100 - as above
        return False  # the command itself, of which torch reads a line when it is imported
    return not (_is_foreign(Path(text)) or text.startswith(("/proc/", "/sys/", "/dev/")))


def _notice_modules(module: str, before: set[str]) -> None:
    """Notice modules imported since `before` whose bytes `_look` did not find."""
    known = {*user_code(module).files.values()}
    root = module.partition(".")[0]
    for name in {*sys.modules} - before:
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        top = name.partition(".")[0]
        if not origin or not Path(origin).is_file() or top == COUNTED_ELSEWHERE:
            continue
        if top != root and _is_foreign(Path(origin)):
            continue
        if hashlib.sha256(Path(origin).read_bytes()).hexdigest() not in known:
            _observed.setdefault(module, []).append(f"it imports {name}, which was not foreseen")
