"""Other harnesses: tasks of lm-evaluation-harness as gates, logs of it and of Inspect as pairs."""

from __future__ import annotations

__all__: list[str] = []
