"""A task of lm-evaluation-harness on disk: forty stories, asked in each of its four ways."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NOUNS = ("cat", "dog", "bird", "ball", "tree", "house")
HEAD = """
task: {task}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/docs.jsonl}}
  cache_dir: {folder}/cache
test_split: test
fewshot_split: test
doc_to_text: "{{{{question}}}}"
metadata: {{version: 1.5}}
"""
ACC = "{metric: acc, aggregation: mean, higher_is_better: true}"
BODIES = {
    "choice": f"""
output_type: multiple_choice
num_fewshot: 2
doc_to_choice: options
doc_to_target: gold
metric_list: [{ACC}, {ACC.replace("acc", "acc_norm")}]
""",
    "words": """
output_type: generate_until
doc_to_target: answer
generation_kwargs: {until: [" ", "."], max_gen_toks: 12, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "filtered": """
output_type: generate_until
doc_to_target: answer
generation_kwargs: {until: ["."], max_gen_toks: 12, temperature: 0.0, top_p: 0.9}
filter_list:
  - {name: word, filter: [{function: regex, regex_pattern: "(\\\\w+)$"}, {function: take_first}]}
  - {name: whole, filter: [{function: take_first}]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "ending": f"""
output_type: loglikelihood
doc_to_target: "{{{{' ' + answer}}}}"
metric_list: [{{metric: perplexity, higher_is_better: false, aggregation: perplexity}}, {ACC}]
""",
    "whole": """
output_type: loglikelihood_rolling
doc_to_target: question
metric_list:
  - {metric: word_perplexity, higher_is_better: false, aggregation: weighted_perplexity}
  - {metric: bits_per_byte, higher_is_better: false, aggregation: bits_per_byte}
""",
    "code": f"""
output_type: generate_until
unsafe_code: true
doc_to_target: answer
metric_list: [{ACC.replace("acc", "exact_match")}]
""",
    "beams": f"""
output_type: generate_until
doc_to_target: answer
generation_kwargs: {{num_beams: 4}}
metric_list: [{ACC.replace("acc", "exact_match")}]
""",
}


def write_tasks(folder: Path) -> dict[str, str]:
    """The path of each task's file, by name."""
    draw = random.Random(1)  # noqa: S311 - made-up documents
    rows = []
    for number in range(40):
        answer, *wrong = draw.sample(NOUNS, 4)
        options = sorted([answer, *wrong])
        rows.append(
            {
                "question": f"Once upon a time there was a {answer}. Tom saw the",
                "options": options,
                "gold": options.index(answer),
                "answer": answer if number % 4 else wrong[0],
                "kind": ["odd", "even"][number % 2],
            }
        )
    (folder / "docs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, body in BODIES.items():
        head = HEAD.format(task=f"stories_{name}", folder=folder)
        (folder / f"{name}.yaml").write_text(head + body)
    return {name: str(folder / f"{name}.yaml") for name in BODIES}
