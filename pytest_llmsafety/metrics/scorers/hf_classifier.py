"""Any local Hugging Face sequence classifier with a named label, `classifier:PATH#label`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.libraries import quiet_transformers
from pytest_llmsafety.metrics.scorers.base import (
    checked,
    in_batches,
    sha256,
    token_limit,
    torch_kind,
    unchanged,
    versions,
)
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH = 32


@dataclass(frozen=True)
class Classifier:
    """A loaded classifier; `position` is the index of the label among its outputs."""

    name: str
    digest: str
    model: Any
    tokenizer: Any
    position: int
    multi_label: bool

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the probability of the label for each text (sigmoid if labels are independent)."""
        return checked(self.name, texts, in_batches(texts, BATCH, self._batch))

    def _batch(self, texts: list[str]) -> list[float]:
        import torch

        limit = token_limit(self.tokenizer, self.model.config)
        inputs = self.tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=limit
        ).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**inputs).logits.float()
        shares = logits.sigmoid() if self.multi_label else logits.softmax(-1)
        return [float(value) for value in shares[:, self.position].tolist()]


def load(parameter: str, device: str) -> Classifier:
    """Load the classifier in the folder `PATH`, for one label: `parameter` is `PATH#label`.

    It fetches nothing, runs no remote code, and reads safetensors alone. Raises ScorerError when
    the folder, the label or a file is missing; the error for a wrong label lists the labels.
    """
    path, _, label = parameter.rpartition("#")
    folder = user_path(path)
    if not label or not (folder / "config.json").is_file():
        message = (
            f"cannot read 'classifier:{parameter}'. Expected classifier:FOLDER#LABEL, with a "
            "Hugging Face config.json in FOLDER."
        )
        raise ScorerError(message)
    paths = [path for path in folder.iterdir() if path.is_file()]
    with unchanged(paths):
        model, tokenizer = _load(folder, device)
        files = sha256(*paths)
    labels = {str(name): int(i) for i, name in model.config.id2label.items()}
    if label not in labels:
        message = f"'{folder}' has no label '{label}'. Its labels: {', '.join(labels)}."
        raise ScorerError(message)
    installed = versions("torch", "transformers")
    return Classifier(
        name=f"classifier:{parameter}",
        digest=f"{files}, label {label}, {torch_kind(device)}, {installed}",
        model=model,
        tokenizer=tokenizer,
        position=labels[label],
        multi_label=model.config.problem_type == "multi_label_classification",
    )


def _load(folder: Path, device: str) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **options
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError) as error:
        message = f"cannot load the classifier in '{folder}': {error}"
        raise ScorerError(message) from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        message = f"'{folder}' is not a trained classifier: it has no weights for {missing}."
        raise ScorerError(message)
    return model.to(device).eval(), tokenizer
