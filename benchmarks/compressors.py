"""Seconds and memory of a compression, ours and the authors' loop, on one model and calibration.

    python benchmarks/compressors.py [--model FOLDER | random:llama-7b-shape] [--device cuda]
        [--specs wanda:0.5,gptq:4:g128] [--nsamples 32] [--seqlen 128] [--repeats 5] [--blocks N]

The loops are authors_loop.py, authors_awq.py, authors_gradients.py and authors_dsnot.py. One
process a spec runs the two in turns, each on a freshly loaded model: one pair to warm up (none
with `--repeats 1`), then `--repeats` pairs, every other one in the other order. A ratio is that of
one pair; the median counts. With one thread on a CPU the seconds are those of the processor, so
that what other programs take does not count; else those of the clock. Both models are compared
weight by weight, and in float32 it is an error when more differ than what rounding explains. Peak
memory is what torch held at most on a GPU; on a CPU it is what a process held that ran one of the
two alone. A `random:` model has random weights of a known shape: right for time and memory, on a
CPU too with few `--blocks`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "magnitude:0.5:layer,magnitude:2:4,rtn:4:g64,wanda:0.5,wanda:2:4,sparsegpt:0.5,sparsegpt:2:4,"
    "gptq:3,gptq:4:g64,gptq:4:g64:actorder,awq:4:g64:noclip,awq:4:g64,gblm:0.5,gblm:0.5:l2,"
    "wanda:0.5+dsnot,wanda:0.5+dsnot:all,llm-pruner:0.2,llm-pruner:0.2:l1"
)
SIDES = ("loop", "ours")
# Largest share of the weights of one layer that may differ: in the first block, and in the others.
# One rounding moves later ones in gptq, awq and N:M of sparsegpt, so only the first block speaks.
DIFFER = {
    "magnitude": (0.0, 0.0),
    "rtn": (0.0, 0.0),
    "wanda": (1e-3, 1e-3),
    "dsnot": (1e-3, 1e-3),
    "gblm": (2e-3, 2e-3),
    "llm-pruner": (0.0, 0.0),
    "sparsegpt": (5e-3, 1.0),
    "gptq": (1e-2, 1.0),
    "awq": (1e-2, 1.0),
}
FLAGS = {"magnitude": {"layer"}, "gptq": {"actorder"}, "awq": {"noclip"}, "gblm": {"l2"}}
FLAGS |= {"llm-pruner": {"l1"}, "dsnot": {"all"}}


@dataclass
class Side:
    """What one of the two was seen to need; `model` is as the last run left it."""

    seconds: list[float] = field(default_factory=list)
    peak: float = 0.0
    model: Any = None


def main() -> int:
    """Measure each spec with both, print a table, and return 1 where ours is slower."""
    options = parsed()
    if options.one:
        print(json.dumps(measure(options)))
        return 0
    print(f"{options.model} on {options.device}, {options.nsamples} x {options.seqlen} tokens")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {options.threads} used")
    print(
        "| spec | loop s | ours s | loop / ours: median, range | peak MiB | NLL | other weights |"
    )
    print("|---|---|---|---|---|---|---|")
    slower = [spec for spec in options.specs.split(",") if row(options, spec) < 1]
    if slower:
        print(f"slower than the loop: {', '.join(slower)}")
    return 1 if slower else 0


def row(options: argparse.Namespace, spec: str) -> float:
    """Measure one spec, print its row, and return the median ratio."""
    both = run("both", spec)
    alone = both if options.device.startswith("cuda") else {}
    peaks = [(alone or run(who, spec))[who]["peak_mib"] for who in SIDES]
    loop, ours = (both[who]["seconds"] for who in SIDES)
    ratios = sorted(one / other for one, other in zip(loop, ours, strict=True))
    first, others = both["differ"]
    print(
        f"| `{spec}` | {median(loop):.3g} | {median(ours):.3g} | {median(ratios):.2f}, "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f} | {peaks[0]:.0f}, {peaks[1]:.0f} "
        f"| {both['loop']['nll']:.3f}, {both['ours']['nll']:.3f} | {first:.2g}, {others:.2g} |",
        flush=True,
    )
    middle: float = median(ratios)
    return middle


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
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, help="decoder blocks of a random: model")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # both:SPEC, loop:SPEC, ours:SPEC
    return parser.parse_args()


def run(who: str, spec: str) -> dict[str, Any]:
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
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns, or one alone: seconds, peak memory, the calibration's likelihood."""
    import torch

    torch.set_num_threads(options.threads)
    who, _, spec = options.one.partition(":")
    torch.linalg.cholesky(torch.eye(512, device=options.device) @ torch.eye(512).to(options.device))
    order = SIDES if who == "both" else (who,)
    warm_up = who == "both" and options.repeats > 1
    sides = {name: Side() for name in order}
    for _ in range(options.repeats + warm_up if who == "both" else 1):
        for name in order:
            once(sides[name], job(name, spec), options)
        order = order[::-1]
    if warm_up:
        for side in sides.values():
            side.seconds.pop(0)
    ids = tokens(options, sides[order[0]].model.config.vocab_size)[:8]
    found: dict[str, Any] = {
        name: {
            "seconds": side.seconds,
            "peak_mib": side.peak / 2**20,
            "nll": likelihood(side.model.to(options.device), ids),
        }
        for name, side in sides.items()
    }
    if who == "both":
        found["differ"] = checked(spec, differ(*(sides[name].model for name in SIDES)), options)
    return found


def job(who: str, spec: str) -> Callable[[PreTrainedModel, torch.Tensor], object]:
    """What compresses a model, given calibration ids."""
    import authors_awq
    import authors_dsnot
    import authors_gradients
    import authors_loop as plain

    from pytest_llmsafety.compressors import compress, compressor_for
    from pytest_llmsafety.compressors.parameters import read
    from pytest_llmsafety.specs import CompressionSpec

    if who == "ours":
        return lambda model, ids: compress(model, spec, calibration=ids.tolist())
    steps = CompressionSpec.parse(spec).steps
    declared: list[Any] = [compressor_for(step) for step in steps]
    values = [read(step, one.parameters) for step, one in zip(steps, declared, strict=True)]
    for step, one in zip(steps, values, strict=True):
        if one.keys or one.flags - FLAGS.get(step.method, set()):
            sys.exit(f"the loop does not do all of '{step}': it knows {FLAGS.get(step.method)}")
    first = values[0]
    if len(steps) > 1:
        return lambda model, ids: authors_dsnot.compress(model, first, values[1], ids)
    jobs: dict[str, Callable[[PreTrainedModel, torch.Tensor], object]] = {
        "magnitude": lambda model, _: plain.plain(model, plain.magnitude, first),
        "rtn": lambda model, _: plain.plain(model, plain.nearest, first),
        "wanda": lambda m, ids: plain.calibrated(m, ids, plain.Norms, plain.wanda, first),
        "sparsegpt": lambda m, ids: plain.calibrated(m, ids, plain.Squares, plain.sparsegpt, first),
        "gptq": lambda m, ids: plain.calibrated(m, ids, plain.Squares, plain.gptq, first),
        "awq": lambda model, ids: authors_awq.compress(model, first, ids),
        "gblm": lambda model, ids: authors_gradients.gblm(model, first, ids),
        "llm-pruner": lambda model, ids: authors_gradients.llm_pruner(model, first, ids),
    }
    return jobs[steps[0].method]


def once(
    side: Side,
    work: Callable[[PreTrainedModel, torch.Tensor], object],
    options: argparse.Namespace,
) -> None:
    """Load, compress, and note the time; the model then rests on the CPU."""
    import torch

    from pytest_llmsafety.compressors.record.cost import process_peak_bytes

    on_gpu = options.device.startswith("cuda")
    side.model = None
    model = loaded(options)
    ids = tokens(options, model.config.vocab_size)
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    clock = time.perf_counter if on_gpu or options.threads > 1 else time.process_time
    started = clock()
    work(model, ids)
    if on_gpu:
        torch.cuda.synchronize()
    side.seconds.append(clock() - started)
    side.peak = torch.cuda.max_memory_allocated() if on_gpu else process_peak_bytes()
    side.model = model.to("cpu")  # type: ignore[arg-type]


def differ(one: PreTrainedModel, other: PreTrainedModel) -> tuple[float, float]:
    """The largest share of a layer's weights that differ: in the first block, and after it."""
    import torch

    from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks

    shares: tuple[list[float], list[float]] = ([], [0.0])
    pairs = (all_layers(decoder_blocks(model.to("cpu"))) for model in (one, other))  # type: ignore[arg-type]
    first = decoder_blocks(one)[0].name
    for mine, theirs in zip(*pairs, strict=True):
        a, b = mine.weight.float(), theirs.weight.float()
        if a.shape != b.shape:
            sys.exit(f"{mine.name}: {tuple(a.shape)} in one, {tuple(b.shape)} in the other")
        same = torch.isclose(a, b, rtol=1e-3, atol=1e-6) & ((a == 0) == (b == 0))
        shares[not mine.name.startswith(f"{first}.")].append(1 - float(same.float().mean()))
    return max(shares[0]), max(shares[1])


def checked(
    spec: str, found: tuple[float, float], options: argparse.Namespace
) -> tuple[float, float]:
    """The shares that differ, which are an error where both should have done the same."""
    method = spec.rpartition("+")[2].partition(":")[0]
    allowed = DIFFER[method]
    if options.dtype == "float32" and any(f > a for f, a in zip(found, allowed, strict=True)):
        sys.exit(f"{spec}: {found} of the weights differ from the loop's, {allowed} may.")
    return found


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
