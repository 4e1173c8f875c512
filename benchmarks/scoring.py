"""Questions a second, ours and lm-evaluation-harness's, on the same model and questions.

    python benchmarks/scoring.py [--shared ../shared] [--environment FOLDER] [--repeats 3]

The 200 BBQ questions of shared/golden/lmeval (600 options) are scored by both, in turns, with
one and two threads: lm_eval at batch 16, in an environment that this script makes (under the
folder for temporary files); ours in the environment that runs it. Loading is not timed, and a
few questions go first to warm up. Then 50 prompts are continued by 32 tokens, ours beside
`generate` on batches of 32 sorted by length. Of `--repeats` runs the fastest counts, for both.
Exits with 1 below 2.5 times as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LM_EVAL = "0.4.13"
LEAST_RATIO = 2.5
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
ENVIRONMENT = Path(tempfile.gettempdir()) / f"llmsafety-lm-eval-{LM_EVAL}"

THEIRS = """
import json, sys, time
import torch
torch.set_num_threads(int(sys.argv[3]))
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
pairs = [(q["prompt"], " " + o) for q in json.load(open(sys.argv[2]))["bbq"] for o in q["options"]]
lm = HFLM(pretrained=sys.argv[1], dtype="float32", device="cpu", batch_size=16, max_length=512)
asked = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
lm.loglikelihood(asked[:48], disable_tqdm=True)
wall, cpu = time.perf_counter(), time.process_time()
answers = lm.loglikelihood(asked, disable_tqdm=True)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "logprob": [float(a[0]) for a in answers]}))
"""

OURS = """
import json, sys, time
import torch
torch.set_num_threads(int(sys.argv[3]))
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.specs import Arm
from pytest_llmsafety.types import Loglikelihood
from pytest_llmsafety.specs import ModelSpec
pairs = [(q["prompt"], " " + o) for q in json.load(open(sys.argv[2]))["bbq"] for o in q["options"]]
backend = HuggingFaceBackend(Arm(ModelSpec(sys.argv[1], dtype="float32", device="cpu")))
asked = [Loglikelihood(*pair) for pair in pairs]
list(backend.answer(asked[:48]))
wall, cpu = time.perf_counter(), time.process_time()
answers = {i: a for batch in backend.answer(asked) for i, a in batch}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
logprob = [answers[index].logprob for index in range(len(asked))]
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "logprob": logprob}))
"""

WRITING = """
import json, sys, time
import torch
torch.set_num_threads(int(sys.argv[3]))
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.specs import Arm
from pytest_llmsafety.types import Generate
from pytest_llmsafety.specs import ModelSpec
prompts = json.load(open(sys.argv[2]))["generate"]
backend = HuggingFaceBackend(Arm(ModelSpec(sys.argv[1], dtype="float32", device="cpu")))
model, tokenizer = backend.decoder.model, backend.tokenizer
tokenizer.padding_side = "left"

def theirs(prompts):
    ordered = sorted(prompts, key=lambda p: -len(tokenizer(p)["input_ids"]))
    for start in range(0, len(ordered), 32):
        batch = tokenizer(ordered[start:start + 32], return_tensors="pt", padding=True)
        batch.pop("token_type_ids", None)
        with torch.inference_mode():
            ids = model.generate(**batch, max_new_tokens=32, do_sample=False)
        tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1]:], skip_special_tokens=True)

def ours(prompts):
    list(backend.answer([Generate(prompt, max_new_tokens=32) for prompt in prompts]))

figures = {}
for name, run in (("generate", theirs), ("ours", ours)):
    run(prompts[:4])
    wall, cpu = time.perf_counter(), time.process_time()
    run(prompts)
    figures[name] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
print(json.dumps(figures))
"""


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with golden/, models/")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    python = environment(options.environment)
    arguments = [
        str(options.shared / "models" / "stories3M"),
        str(options.shared / "golden" / "lmeval" / "inputs.json"),
    ]
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    ratios = [compare(python, arguments, threads, options.repeats) for threads in (1, 2)]
    writing(arguments, options.repeats)
    return 0 if min(ratios) >= LEAST_RATIO else 1


def environment(folder: Path) -> str:
    """Return the Python of an environment that holds lm_eval, made where it is absent."""
    python = folder / "bin" / "python"
    probe = [str(python), "-c", "import lm_eval"]
    if python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return str(python)
    import torch
    import transformers

    print(f"making {folder} with lm_eval {LM_EVAL} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = [
        f"lm_eval=={LM_EVAL}",
        f"torch=={torch.__version__.partition('+')[0]}",
        f"transformers=={transformers.__version__}",
        "accelerate",
    ]
    subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def compare(python: str, arguments: list[str], threads: int, repeats: int) -> float:
    """Score with both in turns, print the figures, and return how many times faster ours is."""
    theirs, ours = [], []
    for _ in range(repeats):
        theirs.append(run(python, THEIRS, [*arguments, str(threads)]))
        ours.append(run(sys.executable, OURS, [*arguments, str(threads)]))
    apart = max(abs(a - b) for a, b in zip(theirs[0]["logprob"], ours[0]["logprob"], strict=True))
    questions = len(ours[0]["logprob"]) / 3
    print(f"\n{threads} thread(s), {questions:.0f} questions, {apart:.1e} nats apart at most")
    best = {}
    for name, figures in (("lm_eval", theirs), ("ours", ours)):
        wall = [figure["wall_s"] for figure in figures]
        best[name] = min(wall)
        cpu = min(figure["cpu_s"] for figure in figures)
        all_walls = " ".join(f"{value:.2f}" for value in wall)
        speed = questions / best[name]
        print(f"  {name:8} {speed:6.1f} questions/s   wall s: {all_walls}   cpu s: {cpu:.2f}")
    ratio: float = best["lm_eval"] / best["ours"]
    print(f"  ours is {ratio:.2f} times as fast")
    return ratio


def writing(arguments: list[str], repeats: int) -> None:
    """Time generation beside `generate`, and print the figures."""
    for threads in (1, 2):
        runs = [run(sys.executable, WRITING, [*arguments, str(threads)]) for _ in range(repeats)]
        theirs = min(figures["generate"]["wall_s"] for figures in runs)
        ours = min(figures["ours"]["wall_s"] for figures in runs)
        print(
            f"\n{threads} thread(s), 50 prompts of 32 new tokens: generate {theirs:.2f} s, "
            f"ours {ours:.2f} s, {theirs / ours:.2f} times as fast"
        )


def run(python: str, script: str, arguments: list[str]) -> dict:  # type: ignore[type-arg]
    """Run a script in a process of its own and return the JSON of its last line."""
    paths = {"PYTHONPATH": str(ROOT)} if python == sys.executable else {}
    done = subprocess.run(
        [python, "-c", script, *arguments],
        env={**os.environ, **paths, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict = json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[type-arg]
    return figures


if __name__ == "__main__":
    sys.exit(main())
