"""Precision: a model that rounds while it runs is computed in float64, on a CPU.

The last bits of a float32 sum depend on the batch. Where inputs of layers or the cache are
rounded (compressors/runtime.py), such a bit now and then decides how a number is rounded, and
from there on the text has another likelihood: 0.8 nats were seen. In float64 that needs a tie
to 16 digits. What is rounded has its 8 bits either way. A model in 16 bits, or on a GPU, is
left as it is: it answers as its hardware does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pytest_llmsafety.compressors.runtime import exact, rounds

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN = 3


def widen(model: PreTrainedModel) -> None:
    """Turn a float32 model that rounds while it runs into float64, if it then works."""
    if rounds(model) and model.dtype == torch.float32 and model.device.type == "cpu":
        wide: Any = model.double()
        if not _works(wide):
            wide.float()


def _works(model: PreTrainedModel) -> bool:
    """Return whether logits behind padding are finite in float64.

    Some models compute attention weights in float32 all the same, where the lowest float64 is
    minus infinity: a row that sees nothing becomes NaN.
    """
    run: Any = model
    ids = (torch.arange(8) % model.config.get_text_config().vocab_size)[None]
    mask = torch.ones_like(ids)
    mask[:, :HIDDEN] = 0
    try:
        with exact(model), torch.no_grad():
            logits = run(input_ids=ids, attention_mask=mask).logits[0, HIDDEN:]
    except Exception:  # noqa: BLE001 - some kernels know no float64
        return False
    return bool(torch.isfinite(logits).all())
