"""Detoxify's files: releases in torch hub's folder, configurations of the base models."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.metrics.scorers.base import ALTERNATIVES, sha256

SITE = "https://github.com/unitaryai/detoxify/releases/download"
RELEASES = {
    "original": f"{SITE}/v0.1-alpha/toxic_original-c1212f89.ckpt",
    "unbiased": f"{SITE}/v0.3-alpha/toxic_debiased-c7548aa0.ckpt",
    "multilingual": f"{SITE}/v0.4-alpha/multilingual_debiased-0b549669.ckpt",
}
BASE_FILES = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "*.model",
)
TIMEOUT_SECONDS = 10


def release_file(variant: str) -> Path:
    """Return the checkpoint of a release, after a download if it is missing.

    Raises ScorerError when it cannot be fetched, or does not match the digest in its file name.
    """
    import torch

    url = RELEASES[variant]
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not file.is_file():
        _fetch(url, file)
    wanted = file.stem.rpartition("-")[2]
    if not sha256(file).startswith(wanted):
        message = (
            f"'{file}' is not Detoxify's release: its SHA-256 does not begin with {wanted}. "
            "Delete it and fetch it again."
        )
        raise ScorerError(message)
    return file


def base_folder(model_type: str, checkpoint: Path) -> Path:
    """Return the local folder with config and tokenizer of a checkpoint's base model.

    `model_type` is a folder, absolute or relative to the checkpoint's, or a hub id in the Hugging
    Face cache. Raises ScorerError when none exists.
    """
    for folder in (checkpoint.parent / model_type, Path(model_type)):
        if (folder / "config.json").is_file():
            return folder.resolve()
    import huggingface_hub

    try:
        cached = huggingface_hub.snapshot_download(model_type, allow_patterns=list(BASE_FILES))
    except Exception as error:
        message = (
            f"'{checkpoint.name}' needs config and tokenizer of '{model_type}', which are neither "
            "in its folder nor in the Hugging Face cache. Fetch them with network: "
            f"hf download {model_type} config.json tokenizer.json tokenizer_config.json vocab.txt; "
            f"or choose {ALTERNATIVES}."
        )
        raise ScorerError(message) from error
    if not (Path(cached) / "config.json").is_file():
        message = f"'{model_type}' has no config.json: hf download {model_type} config.json"
        raise ScorerError(message)
    return Path(cached)


def _fetch(url: str, file: Path) -> None:
    """Download a release, or raise ScorerError; leave no partial file."""
    import huggingface_hub
    import torch

    reason = "HF_HUB_OFFLINE is set"
    if not huggingface_hub.is_offline_mode():
        try:
            head = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the URLs are constants
            urllib.request.urlopen(head, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
            file.parent.mkdir(parents=True, exist_ok=True)
            prefix = file.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(url, str(file), hash_prefix=prefix, progress=False)
        except (OSError, RuntimeError) as error:
            reason = str(error)
        else:
            return
    message = (
        f"Detoxify's checkpoint '{file}' is missing and cannot be fetched ({reason}). "
        f"With network: curl -L --create-dirs -o '{file}' {url}\nor choose {ALTERNATIVES}."
    )
    raise ScorerError(message)
