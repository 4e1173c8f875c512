"""Check that two models can be compared, and that the second one is compressed."""

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
    """Return the reasons why the two models cannot be compared; empty if there are none.

    At least one layer of the compressed model must differ. Both tokenizers must have the same rules
    and turn the prompts into the same tokens, special tokens included. Order, batches and decoding
    are the same by construction, because both models get the same requests. With `own_tokens` each
    model reads the prompts in its own tokens, which are not compared.
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
    checked = list(prompts[:CHECKED_PROMPTS])
    tokens = engine.tokens(pair.dense, checked), engine.tokens(pair.compressed, checked)
    sides = zip(checked, *tokens, strict=True)
    different = [prompt for prompt, dense, compressed in sides if dense != compressed]
    if different:
        found.append(
            f"the tokenizers differ on {len(different)} of {len(checked)} prompts, the first being "
            f"{different[0][:80]!r}; a checkpoint must keep the dense model's tokenizer"
        )
    return tuple(found)
