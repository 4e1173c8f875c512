"""Where the phantom's weights lie. Importing this imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = [
    "load_worse_state",
    "model_path",
    "scorer_path",
    "worse_path",
]

_HERE = Path(__file__).parent


def model_path() -> Path:
    """Return the folder of the dense model and its tokenizer, for ``from_pretrained``."""
    return _HERE / "weights"


def worse_path() -> Path:
    """Return the safetensors file of ``phantom:worse``: every weight, in float16."""
    return _HERE / "weights" / "worse.safetensors"


def scorer_path() -> Path:
    """Return the classifier in Detoxify's checkpoint format.

    Its ``config.arch.args.model_type`` is the name of a folder next to it (configuration and
    tokenizer), not a path: put the absolute path there, so that Detoxify stays offline.
    """
    return _HERE / "scorer" / "detoxify.ckpt"


def load_worse_state() -> dict[str, torch.Tensor]:
    """Return the state of ``phantom:worse`` in float32, by parameter name.

    The tied ``lm_head.weight`` is left out: load with ``strict=False``.
    """
    from safetensors.torch import load_file

    return {name: tensor.float() for name, tensor in load_file(worse_path()).items()}
