"""Compare how the two models would be served with how they were asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.models.deployment import Difference, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.inference.engine import Engine
    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.types import ChatSettings

UNKNOWN = (
    "the baseline does not state how the dense model is served, so the checkpoint's chat template, "
    "special tokens, end tokens and generation settings were not compared with it"
)
AS_DEPLOYED = (
    "each model was asked through its own chat template and up to its own end tokens "
    "(--llmsafety-chat=as-deployed): the two may read the same conversation in different tokens"
)

NOT_OF_GGUF = (
    "the chat template and end tokens of the GGUF file were compared but not used: it was asked "
    "like the dense model. To use them, measure the checkpoint that the file was converted from"
)


@dataclass(frozen=True)
class Served:
    """The differences in how two models would be served, and notes for every verdict."""

    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


def served(pair: ModelPair, engine: Engine, settings: ChatSettings, *, chat: bool) -> Served:
    """Return how both models would be served; `chat` says that conversations were asked.

    The result is empty for a backend that does not know how a folder is served. Raises ModelError
    for files that cannot be read.
    """
    dense, other = engine.deployments(pair)
    if dense is None:
        return Served(notes=(UNKNOWN,) if other is not None else ())
    own = other if settings.as_deployed and pair.compressed.checkpoint is not None else None
    notes = tuple(_notes(dense, own, chat=chat))
    found = differences(dense, other) if other is not None else ()
    if chat and settings.as_deployed and pair.compressed.gguf is not None and found:
        notes = (*notes, NOT_OF_GGUF)
    return Served(found, notes)


def _notes(dense: Deployment, own: Deployment | None, *, chat: bool) -> Iterator[str]:
    """Yield notes on how the models were asked; `own` is set if the checkpoint used its own."""
    if dense.appended:
        yield (
            f"the tokenizer appends {dense.appended} to each text; it was left out, because every "
            "text in a request continues"
        )
    if not chat:
        return
    if own is not None:
        yield AS_DEPLOYED
    sides = [("model", dense)] if own is None else [("dense model", dense), ("checkpoint", own)]
    for name, one in sides:
        if one.has_tokenizer and not one.template:
            yield (
                f"the {name} has no chat template: requests were written as a plain dialogue "
                "(User: ..., Assistant:), and an answer ended at the next User:. A model without a "
                "template was probably not trained to answer requests, or to refuse them"
            )
