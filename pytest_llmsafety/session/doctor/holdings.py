"""What is available offline: scorers, data sets, stored answers and compressed models."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.model_store import GIGABYTE, size_of
from pytest_llmsafety.datasets import ADDRESSED, DATASETS, dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import CacheError, ConfigurationError, DatasetError, number_of
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.libraries import version
from pytest_llmsafety.metrics.scorers.detoxify_files import RELEASES
from pytest_llmsafety.paths import CACHE_FILE, MODELS_FOLDER, PARTIAL, user_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGES = {
    "vader": ("vaderSentiment", "vader"),
    "profanity-check": ("alt-profanity-check", "profanity"),
}
"""Scorers of extras: the distribution that they need, and the extra."""
BASES = {"original": "bert-base-uncased", "unbiased": "roberta-base"}
BASES["multilingual"] = "xlm-roberta-base"
"""Whose config and tokenizer a release of Detoxify needs (its own README says so)."""
OWN = ("core-", "phantom-")
MEGABYTE = 1e6


def scorers() -> Iterator[str]:
    """Yield the scorers that need no download on this machine, then the others."""
    states = {"phantom": ""}
    for name, (package, extra) in PACKAGES.items():
        states[name] = "" if version(package) else f"pip install 'pytest-llmsafety[{extra}]'"
    states |= {f"detoxify:{variant}": _lacking(variant) for variant in RELEASES}
    yield f"at hand: {', '.join(name for name, lack in states.items() if not lack)}"
    missing = [f"{name} ({lack})" for name, lack in states.items() if lack]
    if missing:
        yield f"missing: {', '.join(missing)}"
    yield "classifier:FOLDER#LABEL reads a folder of yours"


def _lacking(variant: str) -> str:
    """Return what a release of Detoxify lacks here: weights, or its base model's config."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        home = user_path(os.environ.get("TORCH_HOME") or f"{caches}/torch")
    except ConfigurationError:
        return "weights (there is no home folder to look in)"
    weights = home / "hub" / "checkpoints" / RELEASES[variant].rpartition("/")[2]
    import huggingface_hub

    base = BASES[variant]
    names = (base, f"FacebookAI/{base}", f"google-bert/{base}")
    known = [huggingface_hub.try_to_load_from_cache(name, "config.json") for name in names]
    lacks = [] if weights.is_file() else ["weights"]
    lacks += [] if any(isinstance(path, str) for path in known) else [f"config of {base}"]
    return ", ".join(lacks)


def data_sets(folder: Path | None) -> Iterator[str]:
    """Yield the data sets that can be read: from the user's folder, else from the hub's cache."""
    yield "built in: core (--llmsafety-data=core) and the phantom's"
    names = [name for name in DATASETS.names() if not name.startswith(OWN)]
    names = [name for name in names if name not in ADDRESSED]
    if folder is not None:
        yield from _counted(f"read from {folder}", {n: _is_readable(n, folder) for n in names})
        return
    tables = {name: _tables(name) for name in names}
    cached = {n: all(map(_is_cached, found)) for n, found in tables.items() if found}
    yield from _counted("in the Hugging Face cache at the pinned commit", cached)
    yield (
        f"{len(names) - len(cached)} more come from a folder only: --llmsafety-data=FOLDER looks "
        "for them"
    )


def _counted(what: str, states: Mapping[str, bool]) -> Iterator[str]:
    here, missing = ([n for n, state in states.items() if state is want] for want in (True, False))
    yield f"{what}, {len(here)} of {len(states)}: {', '.join(here) or 'none'}"
    if missing:
        yield f"missing: {', '.join(missing)}"


def _is_readable(name: str, folder: Path) -> bool:
    try:
        return bool(dataset(name).load(DataSource(folder)))
    except DatasetError:
        return False


def _tables(name: str) -> list[HubTable]:
    """Return the hub's tables that a data set reads: its `table`, else those of its module."""
    made = DATASETS.load(name)
    if isinstance(getattr(made, "table", None), HubTable):
        return [made.table]
    values = vars(import_module(made.__module__)).values()
    return [value for value in values if isinstance(value, HubTable)]


def _is_cached(table: HubTable) -> bool:
    """Return whether the cache holds a table at its commit: its files, or what was made of them."""
    from huggingface_hub import constants, try_to_load_from_cache

    find = partial(
        try_to_load_from_cache, table.repository, revision=table.revision, repo_type="dataset"
    )
    if table.files:
        return all(isinstance(find(file), str) for file in table.files)
    made = Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets")
    config = table.config or "*"
    pattern = f"{table.repository.replace('/', '___')}/{config}/*/{table.revision}/*.arrow"
    return any(made.glob(pattern))


def cached_answers(folder: Path | None) -> Iterator[str]:
    """Yield the number and size of the stored answers, or why they cannot be read."""
    if folder is None:
        yield "off"
        return
    path = folder / CACHE_FILE
    if not path.is_file():
        yield f"{folder}: no answers"
        return
    try:
        cache = Cache(path)
        n_answers = len(cache)
        cache.close()
    except CacheError as error:
        yield str(error)
        return
    size = path.stat().st_size / MEGABYTE
    yield f"{folder}: {n_answers:,} answers ({size:,.1f} MB)"


def stored_models(folder: Path | None, limit: int) -> Iterator[str]:
    """Yield the number and size of the stored compressed models."""
    if folder is None:
        return
    place = folder / MODELS_FOLDER
    stored, begun = ([*place.glob(pattern)] for pattern in ("*.json", f"*{PARTIAL}"))
    size = size_of(place) / GIGABYTE
    unfinished = f", {len(begun)} unfinished" if begun else ""
    models = number_of(len(stored), "compressed model")
    yield f"{models}{unfinished} ({size:.2f} of at most {limit} GB)"
