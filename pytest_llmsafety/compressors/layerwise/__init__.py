"""What methods that work layer by layer share: blocks, walks over them, grids, masks."""

from __future__ import annotations

__all__: list[str] = []
