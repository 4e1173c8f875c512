"""Seconds and memory of a compression, ours and the authors' loop, on one model and calibration.

    python benchmarks/compressors.py [--model FOLDER | random:llama-7b-shape] [--device cuda]
        [--specs wanda:0.5,gptq:4:g128] [--nsamples 32] [--seqlen 128] [--repeats 3] [--blocks N]

The authors' loop is authors_loop.py. Every run is a process of its own, in turns; loading is
not timed, a first small product is done before, and of `--repeats` runs the fastest counts.
Peak memory is what torch held at most on a GPU, and what the process held at most on a CPU. The
likelihood of the calibration tokens shows that both did the same work. A `random:` model has
random weights of a known shape: right for time and memory, on a CPU too with few `--blocks`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SHAPES = {  # hidden size, intermediate size, blocks, heads, heads of keys, vocabulary
    "llama-160m-shape": (768, 3072, 12, 12, 12, 32000),
    "llama-1b-shape": (2048, 8192, 16, 32, 8, 128256),
    "llama-7b-shape": (4096, 11008, 32, 32, 32, 32000),
}
SPECS = (
    "magnitude:0.5:layer,magnitude:2:4,rtn:4:g64,wanda:0.5,wanda:2:4,"
    "sparsegpt:0.5,sparsegpt:2:4,gptq:4:g64,gptq:4:g64:actorder"
)
FIGURES = ("seconds", "peak_mib", "nll")


def main() -> int:
    """Measure each spec with both, print a table, and return 1 where ours is slower."""
    options = parsed()
    if options.one:
        print(json.dumps(measure(options)))
        return 0
    print(f"{options.model} on {options.device}, {options.nsamples} x {options.seqlen} tokens")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {options.threads} used")
    print("spec                    loop s  ours s  ratio   peak MiB: loop, ours   NLL: loop, ours")
    ratios = []
    for spec in options.specs.split(","):
        best: dict[str, dict[str, float]] = {}
        for _ in range(options.repeats):
            for who in ("loop", "ours"):
                found = run(who, spec)
                best[who] = min(best.get(who, found), found, key=lambda one: one["seconds"])
        loop, ours = ([best[who][name] for name in FIGURES] for who in ("loop", "ours"))
        ratios.append(loop[0] / ours[0])
        print(
            f"{spec:22} {loop[0]:7.2f} {ours[0]:7.2f} {ratios[-1]:6.2f} {loop[1]:13.0f} "
            f"{ours[1]:8.0f} {loop[2]:10.3f} {ours[2]:6.3f}",
            flush=True,
        )
    return 0 if min(ratios) >= 1 else 1


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=str(SHARED / "models" / "stories3M"))
    parser.add_argument("--tokens", type=Path, help="safetensors file with calib_ids [n, tokens]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--specs", default=SPECS)
    parser.add_argument("--nsamples", type=int, default=32)
    parser.add_argument("--seqlen", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, help="decoder blocks of a random: model")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # loop:SPEC or ours:SPEC, in this process
    return parser.parse_args()


def run(who: str, spec: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], f"--one={who}:{spec}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{who} {spec} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Compress once, and return seconds, peak memory, and the calibration's likelihood."""
    import torch
    from authors_loop import compress as loop

    from pytest_llmsafety.compressors import compress, compressor_for
    from pytest_llmsafety.compressors.parameters import read
    from pytest_llmsafety.compressors.watch import process_peak_bytes
    from pytest_llmsafety.specs import CompressionSpec

    torch.set_num_threads(options.threads)
    who, _, spec = options.one.partition(":")
    model, on_gpu = loaded(options), options.device.startswith("cuda")
    ids = tokens(options, model.config.vocab_size)
    step = CompressionSpec.parse(spec).steps[0]
    declared: Any = compressor_for(step)
    torch.linalg.cholesky(torch.eye(512, device=options.device) @ torch.eye(512).to(options.device))
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    if who == "ours":
        compress(model, spec, calibration=ids.tolist())
    else:
        loop(model, step.method, read(step, declared.parameters), ids)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() if on_gpu else process_peak_bytes()
    return {"seconds": seconds, "peak_mib": peak / 2**20, "nll": likelihood(model, ids[:8])}


def loaded(options: argparse.Namespace) -> PreTrainedModel:
    """The model of a folder, or one with random weights."""
    import torch
    import transformers

    auto: Any = transformers.AutoModelForCausalLM
    dtype, name = getattr(torch, options.dtype), options.model.removeprefix("random:")
    if name == options.model:
        found: PreTrainedModel = auto.from_pretrained(name, dtype=dtype).to(options.device)
        return found
    hidden, inner, blocks, heads, of_keys, vocabulary = SHAPES[name]
    config = transformers.LlamaConfig(
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=options.blocks or blocks,
        num_attention_heads=heads,
        num_key_value_heads=of_keys,
        vocab_size=vocabulary,
        max_position_embeddings=4096,
    )
    torch.manual_seed(0)
    with torch.device(options.device):
        made: PreTrainedModel = auto.from_config(config, dtype=dtype)
    return made


def tokens(options: argparse.Namespace, vocabulary: int) -> torch.Tensor:
    """Calibration ids [nsamples, seqlen]: stored ones, or any where there are none."""
    import torch
    from safetensors.torch import load_file

    stored = SHARED / "golden" / "tokens" / f"{Path(options.model).name}.safetensors"
    path = options.tokens or (stored if stored.exists() else None)
    shape = (options.nsamples, options.seqlen)
    if path is None:
        return torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(0))
    ids = load_file(path)["calib_ids"].long()[: shape[0], : shape[1]]
    if ids.shape != shape:
        sys.exit(f"{path} holds {tuple(ids.shape)} calibration ids, {shape} were asked for.")
    return ids


def likelihood(model: PreTrainedModel, ids: torch.Tensor) -> float:
    """Mean negative log-likelihood a token."""
    import torch

    total = 0.0
    for row in ids.to(model.device):
        with torch.no_grad():
            logits = model(row[None], use_cache=False).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, row[1:])) / len(ids)
    return total


if __name__ == "__main__":
    sys.exit(main())
