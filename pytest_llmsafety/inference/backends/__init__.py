"""Run models: one backend a file, imported when a model names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.registry import Registry

if TYPE_CHECKING:
    from pytest_llmsafety.inference.backends.base import Backend
    from pytest_llmsafety.specs import ModelSpec

__all__ = ["BACKENDS", "backend_of"]

BACKENDS = Registry(
    "backend",
    {
        "fake": "pytest_llmsafety.inference.backends.fake:FakeBackend",
        "hf": "pytest_llmsafety.inference.backends.hf:HuggingFaceBackend",
    },
)


def backend_of(model: ModelSpec) -> type[Backend]:
    """Return the class of the backend that runs `model`, which its spec names.

    Raises UnknownNameError for a backend that is neither in BACKENDS nor an entry point.
    """
    found: type[Backend] = BACKENDS.load(model.backend)
    return found
