"""Whether there is room for one more model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.models.device import free_bytes, resolve
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import count_parameters

if TYPE_CHECKING:
    from pytest_llmsafety.specs import Arm

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
HEADROOM = 1.5  # activations, keys and values next to the weights
COMPRESSING = 1.0  # a compressor may hold one more copy for a while


def fits(arm: Arm) -> bool:
    """Return whether `arm` can be loaded next to what is in memory now, with room to work."""
    dtype, device = resolve(arm.model)
    weights = count_parameters(locate(arm.model)) * BYTES[dtype]
    factor = HEADROOM + (COMPRESSING if arm.compression else 0.0)
    return weights * factor <= free_bytes(device)
