"""How the models of a pair would be served, and how they were asked: what a reader should know."""

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
    "the baseline does not hold how the dense model is served, so the checkpoint's chat template, "
    "special tokens, end tokens and generation settings were not compared with it"
)
AS_DEPLOYED = (
    "each model was asked through its own chat template and up to its own end tokens "
    "(--llmsafety-chat=as-deployed): the two may read the same conversation in different tokens"
)

NOT_OF_GGUF = (
    "the chat template and end tokens of a GGUF file are compared and not used: it was asked as "
    "the dense model is. Ask llama.cpp itself, or the checkpoint that the file was converted from"
)


@dataclass(frozen=True)
class Served:
    """What a checkpoint would be served with otherwise, and notes for every verdict."""

    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


def served(pair: ModelPair, engine: Engine, settings: ChatSettings, *, chat: bool) -> Served:
    """Compare how both models would be served; `chat`: they were asked conversations.

    Nothing is known of a backend that does not say how a folder is served. Raises ModelError for
    files that cannot be read.
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
    """What to know about how the models were asked; `own`: the checkpoint its own way."""
    if dense.appended:
        yield (
            f"the tokenizer puts {dense.appended} after each text; it was left out, because every "
            "text that is asked about goes on"
        )
    if not chat:
        return
    if own is not None:
        yield AS_DEPLOYED
    sides = [("model", dense)] if own is None else [("dense model", dense), ("checkpoint", own)]
    for name, one in sides:
        if one.has_tokenizer and not one.template:
            yield (
                f"the {name} has no chat template: requests were put as a plain dialogue (User: "
                "..., Assistant:), and an answer ended where the next User: began. A model without "
                "a template was hardly taught to answer requests, or to refuse any"
            )
