"""The compression methods, one a file; the table in the package above names their classes."""

from __future__ import annotations

__all__: list[str] = []
