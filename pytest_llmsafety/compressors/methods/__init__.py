"""Compression methods, one a file; the table in compressors/__init__.py names their classes."""

from __future__ import annotations

__all__: list[str] = []
