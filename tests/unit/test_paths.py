"""Paths as users write them, on machines that know a home folder and on those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_llmsafety.config.values import cache_folder
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.paths import user_path


@pytest.fixture
def homeless(monkeypatch):
    """A container whose user has no HOME and no line in the list of users."""
    monkeypatch.setattr(os.path, "expanduser", os.fspath)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    """Any other path stays as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/models") == tmp_path / "models"
    assert user_path("a/b") == Path("a/b")


@pytest.mark.usefixtures("homeless")
def test_a_tilde_without_a_home_folder_is_an_error(tmp_path, monkeypatch):
    """The error is a sentence; other paths, and a cache that is named, do without one."""
    with pytest.raises(ConfigurationError, match="or set HOME"):
        user_path("~/models")
    with pytest.raises(ConfigurationError, match="--llmsafety-cache=off"):
        cache_folder(None)
    assert cache_folder("off") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "pytest-llmsafety"
