"""What this machine can do, on one screen, without network and without loading a model."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from pytest_llmsafety.session.doctor.holdings import (
    cached_answers,
    data_sets,
    scorers,
    stored_models,
)
from pytest_llmsafety.session.doctor.machine import extras, gpus, hardware, packages, room

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.config.options import Options

__all__ = ["examine"]

WIDEST, LABEL = 80, 10
TITLE = "What this machine can do (no network was used, and no model loaded)"


def examine(options: Options, *, with_model: bool) -> list[str]:
    """Return the lines of the screen; `with_model` where the user named a model."""
    seen = gpus()
    rows: list[tuple[str, Iterable[str]]] = [
        ("machine", hardware(seen)),
        ("packages", packages()),
        ("extras", extras()),
    ]
    if with_model and options.model is not None:
        rows.append(("model", room(options.model, seen)))
    rows += [
        ("scorers", scorers()),
        ("data", data_sets(options.data)),
        ("cache", (*cached_answers(options.cache), *stored_models(options.cache, options.store))),
    ]
    title = textwrap.wrap(TITLE, min(WIDEST, shutil.get_terminal_size().columns))
    return [*title, *(line for label, texts in rows for line in _row(label, texts))]


def _row(label: str, texts: Iterable[str]) -> list[str]:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    lines = [line for text in texts for line in textwrap.wrap(text, width - LABEL)]
    return [f"{'' if i else label:{LABEL}}{line}" for i, line in enumerate(lines)]
