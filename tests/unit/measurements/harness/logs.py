"""Files as lm_eval --log_samples writes them (its version 0.4.13), with made-up content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DATE = "2026-11-23T03-47-25.533861"
OPTIONS = ("tree", "cat", "bird", "dog")


def row(number: int, value: Any, **changes: Any) -> dict[str, Any]:
    """One document of a multiple choice whose right option is the last."""
    prompt = f"Question {number}: who barks?"
    likelihoods = [["-3.0", "False"]] * 3 + [["-1.0" if value == 1.0 else "-9.0", "False"]]
    made = {
        "doc_id": number,
        "doc": {"question": prompt, "subject": "ab"[number % 2], "page": number // 4},
        "target": "3",
        "arguments": {
            f"gen_args_{i}": {"arg_0": prompt, "arg_1": f" {option}"}
            for i, option in enumerate(OPTIONS)
        },
        "resps": [[pair] for pair in likelihoods],
        "filtered_resps": likelihoods,
        "filter": "none",
        "metrics": ["acc"],
        "doc_hash": f"hash of {number}",
        "prompt_hash": f"hash of prompt {number}",
        "target_hash": "hash of 3",
        "acc": value,
    }
    return {**made, **changes}


def write(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    *,
    task: str = "barking",
    model: str = "org/model",
    version: float = 1.0,
    higher_is_better: dict[str, bool] | None = None,
) -> Path:
    """A file of samples and, unless `model` is empty, the results file with it.

    The last digits of the likelihoods depend on the folder's name: no two runs are the same.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"samples_{task}_{DATE}.jsonl"
    text = "".join(json.dumps(one) + "\n" for one in rows)
    path.write_text(text.replace('"-3.0"', f'"-3.0{sum(folder.name.encode())}"'))
    results = {
        "versions": {task: version},
        "n-shot": {task: 0},
        "higher_is_better": {task: higher_is_better or {"acc": True}},
        "config": {"model": "hf", "model_args": {"pretrained": model}, "model_sha": ""},
        "git_hash": "1a2b3c4",
        "date": 1795405630.14,
        "lm_eval_version": "0.4.13",
        "model_name": model,
    }
    if model:
        (folder / f"results_{DATE}.json").write_text(json.dumps(results))
    return path
