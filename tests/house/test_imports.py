"""The imports of the package run one way: what import-linter's contracts do not see."""

from __future__ import annotations

import grimp


def test_no_two_files_import_each_other() -> None:
    """Not even by way of others, inside a function, or for types alone.

    Contracts in pyproject.toml forbid a circle between neighbours. A circle between a folder's
    `__init__.py` and a file in it is one as well.
    """
    graph = grimp.build_graph("pytest_llmsafety", cache_dir=None)
    circles = [
        f"{importer} -> {imported}"
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if graph.chain_exists(imported, importer)
    ]
    assert circles == []
