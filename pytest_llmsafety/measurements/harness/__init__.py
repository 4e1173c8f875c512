"""Gate tasks of lm-evaluation-harness, and pair logs of it and of Inspect."""

from __future__ import annotations

__all__: list[str] = []
