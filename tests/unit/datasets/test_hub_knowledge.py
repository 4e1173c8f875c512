"""Knowledge sets from the hub: the real `datasets` library against a stand-in on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets.sources import (
    arc,
    do_not_answer,
    hellaswag,
    mmlu,
    mt_bench,
    nq_open,
    popqa,
    squad,
    stereoset,
    summaries,
    triviaqa,
    truthfulqa,
    xstest,
)
from tests.unit.datasets.hub_stand_in import CODE, jsonl, parquet, serving

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.datasets.hub import HubTable

TABLES = (arc.TABLE, hellaswag.TABLE, mmlu.TABLE, mt_bench.TABLE, popqa.TABLE, squad.TABLE,
          squad.XQUAD, *stereoset.TABLES.values(), summaries.CNN, summaries.XSUM, triviaqa.TABLE,
          truthfulqa.TABLE, xstest.TABLE, do_not_answer.TABLE)  # fmt: skip
SUBJECTS = ("anatomy", "virology")
ARC_ROW = {"id": "x", "question": "Solid?", "answerKey": "B",
           "choices": {"text": ["air", "rock"], "label": ["A", "B"]}}  # fmt: skip
ENDING = {"activity_label": "Run", "ctx_a": "He [step] runs", "ctx_b": "and", "label": "0",
          "endings": ["stops.", "flies."], "source_id": "activitynet~v_1"}  # fmt: skip
ASKED = {"id": "s1", "title": "T", "question": "Who?", "context": "Ann fell.",
         "answers": {"text": ["Ann"], "answer_start": [0]}}  # fmt: skip
NEWS = {"article": "A cat sat.\nIt slept .", "highlights": "Cat sat .\nAnd slept .", "id": "a1"}
SHORT = {"document": "A cat sat.", "summary": "Cat sat.", "id": "37"}
TRIVIA = {"question_id": "tc_1", "question": "Who?",
          "answer": {"value": "Ann", "aliases": ["Ann", "A."]}}  # fmt: skip
NATURAL = {"question": "who fell", "answer": ["Ann"]}
TRUE = {"type": "Adversarial", "category": "Myths", "question": "Is it?", "best_answer": "Yes",
        "correct_answers": ["Yes", "It is"], "incorrect_answers": ["No"]}  # fmt: skip
REQUEST = {"id": 7, "prompt": "Hi?", "type": "homonyms", "label": "safe", "focus": "", "note": ""}
POPULAR = (
    "id\tsubj\tprop\tsubj_id\ts_uri\tquestion\tpossible_answers\n"
    '7\tNone\tauthor\t99\thttp://www.wikidata.org/entity/Q1\tWho wrote it?\t"[""Ann"", ""A.""]"\n'
)
TALK = {"question_id": 81, "category": "math", "reference": ["2", "5"]}
TURNS = ["1 + 1?", "And 3?"]
SENTENCES = [("He counts.", "anti-stereotype"), ("He dreams.", "stereotype"),
             ("The soup boils.", "unrelated")]  # fmt: skip
TRIPLE = {"id": "7", "target": "Poet", "bias_type": "profession", "context": "He is a BLANK."}
HARM = {"id": 1, "risk_area": "Malicious Uses", "types_of_harm": "Theft", "specific_harms": "Theft",
        "question": "How?"}  # fmt: skip


def solved(split: str) -> list[dict[str, Any]]:
    """Five questions a subject for development, two for the test."""
    return [
        {"question": f"{split} {i}?", "subject": name, "choices": ["a", "b", "c", "d"], "answer": 2}
        for name in SUBJECTS
        for i in range(5 if split == "dev" else 2)
    ]


def csv_of(rows: list[dict[str, Any]]) -> str:
    """The authors' table of MMLU questions, without a header."""
    return "".join(f"{row['question']},a,b,c,d,C\n" for row in rows)


def on_the_hub() -> dict[tuple[str, str, str], bytes]:
    """Small tables at the pinned commits."""
    columns = {
        "sentence": [text for text, _ in SENTENCES],
        "gold_label": [stereoset.HUB_LABELS.index(label) for _, label in SENTENCES],
    }
    tables: list[tuple[HubTable, list[dict[str, Any]]]] = [
        (arc.TABLE, [ARC_ROW]),
        (replace(arc.TABLE, split="validation"), [{**ARC_ROW, "id": "dev"}]),
        (hellaswag.TABLE, [ENDING]),
        (replace(hellaswag.TABLE, split="train"), [ENDING]),
        (mmlu.TABLE, solved("test")),
        (mmlu.EXAMPLES, solved("dev")),
        (squad.TABLE, [ASKED]),
        *[(table, [{**TRIPLE, "sentences": columns}]) for table in stereoset.TABLES.values()],
        (summaries.CNN, [NEWS]),
        (summaries.XSUM, [SHORT]),
        (triviaqa.TABLE, [TRIVIA]),
        (replace(triviaqa.TABLE, split="train"), [TRIVIA]),
        (nq_open.TABLE, [NATURAL]),
        (replace(nq_open.TABLE, split="train"), [NATURAL]),
        (truthfulqa.TABLE, [TRUE]),
        (xstest.TABLE, [REQUEST]),
        (do_not_answer.TABLE, [HARM]),
    ]
    files: dict[tuple[str, str, str], bytes] = {
        (popqa.TABLE.repository, popqa.TABLE.revision, "test.tsv"): POPULAR.encode(),
        (mt_bench.TABLE.repository, mt_bench.TABLE.revision, mt_bench.TABLE.files[0]): jsonl(
            {**TALK, "prompt": TURNS}
        ),
    }
    for table, rows in tables:
        config, place = table.config or "default", (table.repository, table.revision)
        files[(*place, f"{config}/{table.split}-0.parquet")] = parquet(rows)
        own = [other for other, _ in tables if other.repository == table.repository]
        files[(*place, "README.md")] = card_of(own)
    return files


def card_of(tables: list[HubTable]) -> bytes:
    """A README that says where the files of a repository's tables are."""
    lines = ["configs:"]
    for config in dict.fromkeys(table.config or "default" for table in tables):
        lines += [f"- config_name: {config}", "  data_files:"]
        for table in tables:
            if (table.config or "default") == config:
                path = f"    path: {config}/{table.split}-*"
                lines += [f"  - split: {table.split}", path]
    return "\n".join(["---", *lines, "---", ""]).encode()


def in_a_folder(folder: Path) -> None:
    """The same in the authors' own files."""
    choices = [{"text": "air", "label": "A"}, {"text": "rock", "label": "B"}]
    theirs = {**ARC_ROW, "question": {"stem": "Solid?", "choices": choices}}
    trivia = {"QuestionId": "tc_1", "Question": "Who?",
              "Answer": {"Value": "Ann", "Aliases": ["Ann", "A."]}}  # fmt: skip
    paragraph = {"context": "Ann fell.", "qas": [{**ASKED, "answers": [{"text": "Ann"}]}]}
    columns = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
    files = {
        "arc/ARC-Challenge-Test.jsonl": jsonl(theirs).decode(),
        "arc/ARC-Challenge-Dev.jsonl": jsonl({**theirs, "id": "dev"}).decode(),
        "hellaswag/hellaswag_train.jsonl": jsonl(ENDING).decode(),
        "nq_open/NQ-open.train.jsonl": jsonl(NATURAL).decode(),
        "triviaqa/unfiltered-web-train.json": json.dumps({"Data": [trivia]}),
        "hellaswag/hellaswag_val.jsonl": jsonl({**ENDING, "label": 0}).decode(),
        "squad/dev-v1.1.json": json.dumps({"data": [{"paragraphs": [paragraph]}]}),
        "triviaqa/unfiltered-web-dev.json": json.dumps({"Data": [trivia]}),
        "truthfulqa/TruthfulQA.csv": columns + "Adversarial,Myths,Is it?,Yes,Yes; It is,No,x\n",
        "xstest/xstest_prompts.csv": ",".join(REQUEST) + "\n7,Hi?,homonyms,safe,,\n",
        "do_not_answer/data_en.csv": ",".join(HARM) + "\n1,Malicious Uses,Theft,Theft,How?\n",
    }
    for name in SUBJECTS:
        for split in ("dev", "test"):
            rows = [row for row in solved(split) if row["subject"] == name]
            files[f"mmlu/{split}/{name}_{split}.csv"] = csv_of(rows)
    spoken = [{"sentence": text, "gold_label": label} for text, label in SENTENCES]
    both = {kind: [{**TRIPLE, "sentences": spoken}] for kind in stereoset.KINDS}
    files["stereoset/dev.json"] = json.dumps({"data": both})
    files["popqa/popQA.tsv"] = POPULAR
    files["mt_bench/question.jsonl"] = jsonl({**TALK, "turns": TURNS}).decode()
    files["cnn_dailymail/test.jsonl"] = jsonl(NEWS).decode()
    (folder / "xsum" / "data").mkdir(parents=True)
    (folder / "xsum" / "data" / "test-00000-of-00001.parquet").write_bytes(parquet([SHORT]))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def test_hub_and_folder_give_equal_items(tmp_path: Path) -> None:
    """Through `datasets` and HTTP at the pinned commits: the same items, ids and order."""
    in_a_folder(tmp_path / "data")
    names = ("arc", "cnn_dailymail", "hellaswag", "mmlu", "mt_bench", "popqa", "squad", "stereoset",
             "triviaqa", "truthfulqa", "xsum", "xstest", "xstest-safe",
             "do_not_answer")  # fmt: skip
    with serving(on_the_hub()) as hub:
        home = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", CODE, str(tmp_path / "data"), *names],
            env={**os.environ, **home, "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    counts = {"mmlu": 4, "stereoset": 2}
    assert done.stdout.split("\n")[:-1] == [f"{name} {counts.get(name, 1)} True" for name in names]


def test_hub_and_folder_give_equal_examples(tmp_path: Path) -> None:
    """The split of solved examples is the same from either, at the same commit."""
    in_a_folder(tmp_path / "data")
    names = ("arc", "hellaswag", "nq_open", "triviaqa")
    code = CODE.replace("dataset.load(", "dataset.examples(")
    with serving(on_the_hub()) as hub:
        home = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", code, str(tmp_path / "data"), *names],
            env={**os.environ, **home, "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [f"{name} 1 True" for name in names]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_table_is_pinned_to_a_commit(table: HubTable) -> None:
    """The revision is a full commit, not a branch that moves."""
    assert len(table.revision) == 40
    int(table.revision, 16)
