"""Make a model answer: one backend a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["BACKENDS"]

BACKENDS = Registry(
    "backend",
    {
        "fake": "pytest_llmsafety.inference.backends.fake:FakeBackend",
        "hf": "pytest_llmsafety.inference.backends.hf:HuggingFaceBackend",
    },
)
