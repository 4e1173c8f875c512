"""Where a model's files are: in a folder, in the cache of the Hugging Face hub, or built in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ModelError, did_you_mean
from pytest_llmsafety.models.model_folder import check_folder
from pytest_llmsafety.paths import user_path
from pytest_llmsafety.specs import PHANTOM

if TYPE_CHECKING:
    from pytest_llmsafety.specs import ModelSpec

HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
UNWANTED = ("consolidated*.safetensors",)  # the same weights once more, under other names


def locate(spec: ModelSpec, *, tokenizer: bool = True, fetch: bool = True) -> Path:
    """Return the folder that holds the model's files, fetched from the hub where needed.

    With `fetch` False nothing is downloaded: a model of the hub has to be in the local cache.
    Raises ModelError when there is no such model, or when `check_folder` refuses its folder.
    """
    if spec.is_phantom:
        from pytest_llmsafety.phantom.weights import model_path

        return model_path()
    folder = user_path(spec.name)
    if not folder.exists() and not _looks_like_a_path(spec.name):
        folder = _from_hub(spec, fetch=fetch)
    check_folder(folder, tokenizer=tokenizer)
    return folder.resolve()


def why_absent(spec: ModelSpec) -> str:
    """Return why the model cannot be loaded without network; empty if it can."""
    try:
        locate(spec, fetch=False)
    except ModelError as error:
        return str(error)
    return ""


def _looks_like_a_path(name: str) -> bool:
    return not HUB_ID.match(name) or name.startswith((".", "~")) or "\\" in name


def _from_hub(spec: ModelSpec, *, fetch: bool) -> Path:
    """Return the folder of a hub model's files in the local cache.

    Raises ModelError, which tells a missing, gated or unreachable repository apart.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(
            huggingface_hub.snapshot_download(
                spec.name,
                revision=spec.revision,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
                local_files_only=not fetch,
            )
        )
    except errors.GatedRepoError as error:
        hint = (
            "the hub keeps it behind an agreement (gated). Accept its terms on its page, then "
            "log in with `hf auth login` or set HF_TOKEN."
        )
        raise _hub_error(spec, hint) from error
    except errors.RevisionNotFoundError as error:
        hint = f"it has no revision '{spec.revision}'. Expected a branch, tag or commit of it."
        raise _hub_error(spec, hint) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        hint = (
            "neither a folder here nor a model on the hub has this name (or it is private: log "
            f"in with `hf auth login`). Expected a folder, org/name[@revision], or {PHANTOM}."
            + did_you_mean(spec.name, [PHANTOM])
        )
        raise _hub_error(spec, hint) from error
    except (ConnectionError, errors.EntryNotFoundError) as error:
        unreachable = ", and the hub cannot be reached (no network, or HF_HUB_OFFLINE is set)"
        hint = (
            "no folder here has this name, and it is not in the local hub cache"
            f"{unreachable if fetch else ''}. Fetch it once with `hf download {spec.name}`, or "
            "give the path of a folder." + did_you_mean(spec.name, [PHANTOM])
        )
        raise _hub_error(spec, hint) from error
    except OSError as error:
        hint = (
            f"the hub or the local hub cache failed: {error}. Expected a reachable hub and a "
            "writable cache with free space (HF_HOME). Try again, or give the path of a folder."
        )
        raise _hub_error(spec, hint) from error


def _hub_error(spec: ModelSpec, hint: str) -> ModelError:
    return ModelError(f"cannot get model '{spec}': {hint}")
