"""What can go wrong on the way from the hub: the real `datasets` library against a faulty hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.files import read_jsonl
from pytest_llmsafety.datasets.sources import mt_bench, nq_open
from tests.unit.datasets.hub_stand_in import card, jsonl, parquet, serving

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.datasets.hub import HubTable
    from tests.unit.datasets.hub_stand_in import Hub

COMMIT = "a" * 40
ROWS = [{"text": "one"}, {"text": "two"}]
CODE = """
import sys
import time
wait = time.sleep
time.sleep = lambda seconds: wait(min(seconds, 0.05))  # between two tries of a download
from concurrent.futures import ThreadPoolExecutor
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError

def told(name):
    try:
        files = ["rows.jsonl"] if name.startswith("json") else ()
        rows = HubTable(f"faulty/{name}", "a" * 40, files=files).rows()
        return [row["text"] for row in rows]
    except DatasetError as error:
        return error

names = sys.argv[1:]
with ThreadPoolExecutor() as pool:
    for name, text in zip(names, pool.map(told, names)):
        print(name, text)
"""
PINNED = """
import sys
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.specs import ModelSpec
from pytest_llmsafety.session.resources import Resources
for name in sys.argv[1:]:
    try:
        print(name, len(Resources(Options(ModelSpec.parse("phantom"))).items(name, None)))
    except DatasetError as error:
        print(name, error)
"""


def loaded(hub: Hub, home: Path, code: str, *arguments: str) -> dict[str, str]:
    """What a fresh process says of each table."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_ETAG_TIMEOUT": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_each_fault_is_named_and_nothing_half_downloaded_is_used(tmp_path: Path) -> None:
    """Absent, gated, slow, cut off: an error each; once the hub recovers, whole tables."""
    content = {"json": jsonl(*ROWS), "parquet": parquet(ROWS)}
    place = {"json": "rows.jsonl", "parquet": "default/train-0.parquet"}
    faults = {f"{kind}-{fault}": fault for kind in place for fault in ("gated", "slow", "cut")}
    files = {(f"faulty/{name}", COMMIT, "README.md"): card("default", "train") for name in faults}
    for name in faults:
        kind = name.partition("-")[0]
        files[f"faulty/{name}", COMMIT, place[kind]] = content[kind]
    with serving(files, {f"faulty/{name}": fault for name, fault in faults.items()}) as hub:
        said = loaded(hub, tmp_path, CODE, *faults, "json-absent", "parquet-absent")
        requested = set(hub.asked)
        hub.faults.clear()
        recovered = loaded(hub, tmp_path, CODE, *faults)
    for kind, path in place.items():
        for fault in ("slow", "cut"):
            assert f"/datasets/faulty/{kind}-{fault}/resolve/{COMMIT}/{path}" in requested
        size = len(content[kind])
        assert "not found" in said[f"{kind}-absent"].lower()
        terms = f"Accept its terms at https://huggingface.co/datasets/faulty/{kind}-gated"
        assert terms in said[f"{kind}-gated"]
        assert "timed out" in said[f"{kind}-slow"]
        assert f"received {size // 2} bytes, expected {size}" in said[f"{kind}-cut"]
    assert recovered == dict.fromkeys(faults, "['one', 'two']")


def test_changed_data_of_the_same_length_are_an_error(shared: Path, tmp_path: Path) -> None:
    """One word for another: the digest differs, and stays so until the hub's cache is dropped."""
    questions = read_jsonl(shared / "data" / "nq_open" / "NQ-open.dev.jsonl")
    conversations = shared / "data" / "mt_bench" / "question.jsonl"
    of_table: list[tuple[HubTable, dict[str, bytes]]] = [
        (nq_open.TABLE, {
            "README.md": card("nq_open", "validation"),
            "nq_open/validation-0.parquet": parquet(questions, compression="none"),
        }),
        (mt_bench.TABLE, {mt_bench.TABLE.files[0]: conversations.read_bytes()}),
    ]  # fmt: skip
    files = {
        (table.repository, table.revision, path): content
        for table, found in of_table
        for path, content in found.items()
    }
    names = ("nq_open", "mt_bench")
    with serving(files, {table.repository: "changed" for table, _ in of_table}) as hub:
        said = loaded(hub, tmp_path / "home", PINNED, *names)
        hub.faults.clear()
        kept = loaded(hub, tmp_path / "home", PINNED, *names)
        shutil.rmtree(tmp_path / "home")
        whole = loaded(hub, tmp_path / "home", PINNED, *names)
    assert whole == {"nq_open": "3610", "mt_bench": "80"}
    assert kept == said
    for name, count in whole.items():
        assert f"{name} is not the authors' data: {count} items with the digest" in said[name]
        assert "Delete its copies in the caches below HF_HOME" in said[name]
