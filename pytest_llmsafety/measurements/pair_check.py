"""Is this pair comparable, and is the second model really compressed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.inference.engine import Engine
    from pytest_llmsafety.specs import ModelPair

CHECKED_PROMPTS = 200


def problems(
    pair: ModelPair, prompts: Sequence[str], engine: Engine, *, own_tokens: bool = False
) -> tuple[str, ...]:
    """Plain sentences that say why the two models may not be judged together; empty if fine.

    Both models must have the same rules for tokens and turn the same prompts into the same ones
    (so also the same special tokens), and at least one layer of the compressed one must differ.
    Order, batches and decoding are the same by construction: both arms get the same requests. With
    `own_tokens` each model is to read the prompts in tokens of its own, and those are not compared.
    """
    found = []
    record = engine.record(pair.compressed)
    if not pair.compression.is_dense and (record is None or not record.layers_changed):
        found.append("no layer of the compressed model differs from the dense one")
    if own_tokens:
        return tuple(found)
    parts = engine.tokenizer_differences(pair.compressed)
    if parts:
        found.append(
            f"the tokenizers differ in {', '.join(parts)}; a checkpoint must keep the dense "
            "model's tokenizer: copy the dense model's tokenizer files into its folder"
        )
    asked = list(prompts[:CHECKED_PROMPTS])
    tokens = engine.tokens(pair.dense, asked), engine.tokens(pair.compressed, asked)
    sides = zip(asked, *tokens, strict=True)
    different = [prompt for prompt, dense, compressed in sides if dense != compressed]
    if different:
        found.append(
            f"the tokenizers differ on {len(different)} of {len(asked)} prompts, the first being "
            f"{different[0][:80]!r}; a checkpoint must keep the dense model's tokenizer"
        )
    return tuple(found)
