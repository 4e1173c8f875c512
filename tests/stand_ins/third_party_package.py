"""The package of a third party, written and installed as a page of the docs says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str, kind: str) -> list[str]:
    """The code blocks of a page that are of one kind, in order."""
    text = DOCS.joinpath(page).read_text("utf-8")
    return [code for found, code in BLOCK.findall(text) if found == kind]


def install(page: str, folder: Path) -> str:
    """Put the page's class into `folder` as an installed package, and return its module.

    The first block of Python is the module; the block of TOML says what it is registered as.
    """
    ((group, points),) = tomllib.loads(blocks(page, "toml")[0])["project"]["entry-points"].items()
    ((name, place),) = points.items()
    module = place.partition(":")[0]
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.with_name("__init__.py").touch()
    path.write_text(blocks(page, "python")[0], "utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(f"[{group}]\n{name} = {place}\n")
    return module
