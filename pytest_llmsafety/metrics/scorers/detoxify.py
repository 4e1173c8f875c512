"""Detoxify (Hanu and Unitary 2020), through its own class, from pinned or given checkpoints.

Detoxify unpickles a checkpoint without restrictions. Here the file is read with PyTorch's
restricted loader first, or refused. Detoxify's class then gets a clean copy in memory, with
tensors, numbers and strings alone.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.libraries import quiet_transformers
from pytest_llmsafety.metrics.scorers.base import (
    ALTERNATIVES,
    checked,
    in_batches,
    sha256,
    token_limit,
    torch_kind,
    unchanged,
    versions,
)
from pytest_llmsafety.metrics.scorers.detoxify_files import (
    BASE_FILES,
    RELEASES,
    base_folder,
    release_file,
)
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 32
CLASS_NAME = re.compile(r"[A-Z]\w*(ForSequenceClassification|Tokenizer|TokenizerFast)")


@dataclass(frozen=True)
class DetoxifyScorer:
    """A loaded Detoxify; `digest` begins with the SHA-256 of its checkpoint."""

    name: str
    digest: str
    detoxify: Any

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return Detoxify's `toxicity` of each text."""
        return checked(self.name, texts, in_batches(texts, BATCH, self._batch))

    def _batch(self, texts: list[str]) -> list[float]:
        values = self.detoxify.predict(texts)["toxicity"]
        return [values] if isinstance(values, float) else values  # one text gives no list


def load(parameter: str, device: str) -> DetoxifyScorer:
    """Load Detoxify `original` (default), `unbiased`, `multilingual`, or a checkpoint file.

    A release is read from torch hub's folder, after a download if it is missing there, and its
    digest is checked. Raises ScorerError, with a remedy, when there is no such file.
    """
    variant = parameter or "original"
    if variant in RELEASES:
        return from_checkpoint(release_file(variant), f"detoxify:{variant}", device)
    path = user_path(variant)
    if not path.is_file():
        message = (
            f"'detoxify:{variant}' is neither a file nor a release ({', '.join(RELEASES)}). "
            f"Give a checkpoint's path, or {ALTERNATIVES}."
        )
        raise ScorerError(message)
    return from_checkpoint(path, f"detoxify:{variant}", device)


def load_phantom(parameter: str, device: str) -> DetoxifyScorer:
    """Load the built-in classifier of the phantom's world, which is in Detoxify's format."""
    from pytest_llmsafety.phantom.weights import scorer_path

    if parameter:
        message = f"the phantom's scorer takes no parameter, got '{parameter}'."
        raise ScorerError(message)
    return from_checkpoint(Path(scorer_path()), "phantom", device)


def from_checkpoint(path: Path, name: str, device: str) -> DetoxifyScorer:
    """Load a checkpoint through Detoxify's class; ScorerError when it is not a checkpoint."""
    try:
        with unchanged([path]):
            content = _read(path)
            digest = sha256(path)
    except OSError as error:
        message = f"cannot read '{path}': {error}. Expected a file that can be read."
        raise ScorerError(message) from error
    base = base_folder(str(content["config"]["arch"]["args"]["model_type"]), path)
    buffer = _clean(content, base)
    try:
        from detoxify import Detoxify

        with quiet_transformers():
            scorer = Detoxify(checkpoint=buffer, device=device)
    except (ImportError, OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        message = f"Detoxify cannot load '{path}': {type(error).__name__}: {error}"
        raise ScorerError(message) from error
    if "toxicity" not in scorer.class_names:
        message = f"'{path}' has no class 'toxicity'. Its classes: {', '.join(scorer.class_names)}."
        raise ScorerError(message)
    _require_weights(scorer.model, content["state_dict"], path)
    scorer.tokenizer.model_max_length = token_limit(scorer.tokenizer, scorer.model.config)
    scorer.model.eval()
    return DetoxifyScorer(name, _digest(digest, base, device), scorer)


def _digest(checkpoint: str, base: Path, device: str) -> str:
    """Return the checkpoint's digest, the base model's, the kind of device, and versions."""
    files = [file for pattern in BASE_FILES for file in base.glob(pattern) if file.is_file()]
    kind = torch_kind(device)
    installed = versions("detoxify", "torch", "transformers")
    return f"{checkpoint}, base model {sha256(*files)[:16]}, {kind}, {installed}"


def _read(path: Path) -> dict[str, Any]:
    """Return the checkpoint, unpickled with `weights_only`."""
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickles; unsafe ones raise
            content = torch.load(path, map_location="cpu", weights_only=True)
        arch, classes = content["config"]["arch"]["args"], content["config"]["dataset"]["args"]
        names = arch["model_name"], arch["tokenizer_name"]
        complete = bool(content["state_dict"]) and bool(classes["classes"]) and arch["model_type"]
    except OSError as error:
        message = f"cannot read the Detoxify checkpoint '{path}': {error.strerror or error}."
        raise ScorerError(message) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        message = (
            f"'{path}' is refused: PyTorch's restricted loader (weights_only) does not read it. "
            f"A checkpoint that can run code is never loaded. ({str(error)[:200]})"
        )
        raise ScorerError(message) from error
    except (KeyError, TypeError) as error:
        message = (
            f"'{path}' is not a Detoxify checkpoint (no {error}). Expected config.arch.args, "
            "config.dataset.args.classes and state_dict."
        )
        raise ScorerError(message) from error
    if not complete or not all(CLASS_NAME.fullmatch(str(each)) for each in names):
        message = f"'{path}' names no classifier and tokenizer of transformers: {names}."
        raise ScorerError(message)
    return content  # type: ignore[no-any-return]


def _clean(content: dict[str, Any], base: Path) -> io.BytesIO:
    """Return a copy of the parts that Detoxify reads, with the base model's folder as its name."""
    import torch

    arch = content["config"]["arch"]["args"]
    classes = [str(each) for each in content["config"]["dataset"]["args"]["classes"]]
    arguments = {
        "model_type": str(base),
        "model_name": str(arch["model_name"]),
        "tokenizer_name": str(arch["tokenizer_name"]),
        "num_classes": int(arch["num_classes"]),
    }
    buffer = io.BytesIO()
    torch.save(
        {
            "config": {"arch": {"args": arguments}, "dataset": {"args": {"classes": classes}}},
            "state_dict": content["state_dict"],
        },
        buffer,
    )
    buffer.seek(0)
    return buffer


def _require_weights(model: Any, state: dict[str, Any], path: Path) -> None:  # noqa: ANN401 - transformers
    """Raise ScorerError unless all weights are the checkpoint's, so that none is random."""
    import torch

    for name, parameter in model.named_parameters():
        weight = parameter.detach().cpu()
        if name not in state or not torch.equal(weight, state[name].to(weight.dtype)):
            message = f"'{path}': the weight {name} did not come from the checkpoint."
            raise ScorerError(message)
