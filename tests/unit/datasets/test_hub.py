"""Tables of the hub: the real `datasets` library against a stand-in on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.datasets.sources import bbq, bold, nq_open, realtoxicityprompts, wikitext2
from pytest_llmsafety.errors import DatasetError
from tests.unit.datasets.hub_stand_in import CODE, card, jsonl, parquet, serving

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("bbq", "bold", "nq_open", "realtoxicityprompts", "wikitext2")
QUESTION = {
    "example_id": 0,
    "question_index": "1",
    "question_polarity": "neg",
    "context_condition": "ambig",
    "answer_info": {"ans0": ["Ann", "old"], "ans1": ["Bo", "nonOld"], "ans2": ["?", "unknown"]},
    "additional_metadata": {"stereotyped_groups": ["old"], "version": "a"},
    "context": "Ann met Bo.",
    "question": "Who fell?",
    "ans0": "Ann",
    "ans1": "Bo",
    "ans2": "Unknown",
    "label": 2,
}
PROMPT = {"filename": "0000123-0123.txt", "begin": 0, "end": 9, "prompt": {"text": "They said"}}
LINES = [" ", " = One = ", " ", " Text . ", " ", " = Two = ", " ", " End . "]
PAGES = {"A": {"Ann": ["Ann is "]}, "B": {"Zoe": ["Zoe was ", ""]}}


def questions() -> dict[str, bytes]:
    """One BBQ question a category, two in the first."""
    rows = {name: [{**QUESTION, "category": name}] for name in bbq.CATEGORIES}
    rows["Age"].append({**rows["Age"][0], "example_id": 1, "question_polarity": "nonneg"})
    for name in set(bbq.CATEGORIES) - {"Age"}:
        rows[name][0]["additional_metadata"] = {"stereotyped_groups": ["old", name]}
    return {f"{name}.jsonl": jsonl(*found) for name, found in rows.items()}


def on_the_hub() -> dict[tuple[str, str, str], bytes]:
    """Small files at the pinned commits, laid out as the real repositories lay them out."""
    text = [{"text": f"{line}\n" if line.strip() else ""} for line in LINES]
    pages = [
        {"domain": "race", "name": name, "category": group, "prompts": prompts, "wikipedia": []}
        for group, found in PAGES.items()
        for name, prompts in found.items()
    ]
    by_table: list[tuple[HubTable, dict[str, bytes]]] = [
        (bbq.TABLE, {f"data/{name}": content for name, content in questions().items()}),
        (bold.TABLE, {"race_prompt_wiki.json": jsonl(*pages)}),
        (realtoxicityprompts.TABLE, {"prompts.jsonl": jsonl(PROMPT)}),
        (
            nq_open.TABLE,
            {
                "README.md": card("nq_open", "validation"),
                "nq_open/validation-0.parquet": parquet([{"question": "who", "answer": ["A"]}]),
            },
        ),
        (
            wikitext2.TABLE,
            {
                "README.md": card("wikitext-2-v1", "test", "validation"),
                "wikitext-2-v1/test-0.parquet": parquet(text),
                "wikitext-2-v1/validation-0.parquet": parquet(text[:4]),
            },
        ),
    ]
    return {
        (table.repository, table.revision, path): content
        for table, files in by_table
        for path, content in files.items()
    }


def in_a_folder(folder: Path) -> None:
    """The same in the layout of --llmsafety-data."""
    files = {f"bbq/{name}": content for name, content in questions().items()}
    files["bold/prompts/race_prompt.json"] = json.dumps(PAGES).encode()
    files["realtoxicityprompts/prompts.jsonl"] = jsonl(PROMPT)
    files["nq_open/NQ-open.dev.jsonl"] = jsonl({"question": "who", "answer": ["A"]})
    files["wikitext2/test.txt"] = "".join(f"{t}\n" for t in LINES).encode()
    files["wikitext2/valid.txt"] = "".join(f"{t}\n" for t in LINES[:4]).encode()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_hub_and_folder_give_equal_items(tmp_path: Path) -> None:
    """Through `datasets` and HTTP at the pinned commits: the same items, ids and order."""
    in_a_folder(tmp_path / "data")
    with serving(on_the_hub()) as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
        }
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", CODE, str(tmp_path / "data"), *NAMES],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [
        "bbq 10 True",
        "bold 2 True",
        "nq_open 1 True",
        "realtoxicityprompts 1 True",
        "wikitext2 3 True",
    ]
    assert "examples/s" not in done.stderr


@pytest.mark.parametrize("module", [bbq, bold, nq_open, realtoxicityprompts, wikitext2])
def test_every_table_is_pinned_to_a_commit(module: Any) -> None:
    """The revision is a full commit, not a branch that moves."""
    assert len(module.TABLE.revision) == 40
    int(module.TABLE.revision, 16)


@pytest.mark.filterwarnings("ignore")  # of the libraries, on the way to their error
@pytest.mark.parametrize("files", [(), ("a.jsonl",)])
def test_offline_says_what_to_do(files: tuple[str, ...]) -> None:
    """Without network the error names the table, the reason and --llmsafety-data."""
    table = HubTable("org/table", "0" * 40, files=files)
    with pytest.raises(DatasetError) as caught:
        list(table.rows())
    message = str(caught.value)
    assert "org/table@000000000000" in message
    assert "--llmsafety-data=FOLDER" in message
    assert "HF_HUB_OFFLINE is set: unset it" in message
