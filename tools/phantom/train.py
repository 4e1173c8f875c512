"""Train the built-in model from scratch: ``python -m tools.phantom.train --out DIR``.

The model, the regressed model and the classifier take under an hour on two cores. Every batch is
seeded; a stopped run goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import AveragedModel

from pytest_llmsafety.phantom.training_text import FINAL_MIX, FIRST_MIX, stream
from pytest_llmsafety.phantom.world import PLANTED, WORSE, Planted
from tools.phantom.classifier import train_classifier
from tools.phantom.figures import figures
from tools.phantom.tokenizer import Batch, pack, train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["DENSE_PLAN", "WORSE_PLAN", "TrainingPlan", "learn", "main", "new_model"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to learn; ``seed`` fixes every batch.

    The first 90% of the steps multiply in bfloat16, the rest in float32. ``first_steps`` follow
    the mix that favours copying. ``decay`` of the learning rate starts
    after ``warmup`` steps and follows a cosine down to 2%.
    """

    steps: int
    first_steps: int = 0
    rows: int = 11
    length: int = 192
    learning_rate: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.05
    seed: int = 0
    probe_every: int = 250
    world: Planted = PLANTED

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.02 + 0.98 * (1 + cos(pi * done)) / 2)

    def mix(self, step: int) -> Mapping[str, float]:
        """Return the mix of documents of a step."""
        return FIRST_MIX if step < self.first_steps else FINAL_MIX


def new_model(tokenizer: PreTrainedTokenizerFast, *, layers: int = 4) -> LlamaForCausalLM:
    """Return an untrained Llama of 128 hidden units; all linear inputs divide by 128.

    The small rotary base sharpens short distances, which copying needs.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Return the weighted mean cross-entropy in nats; a document sees only itself."""
    same = batch.document[:, :, None] == batch.document[:, None, :]
    seen = torch.ones_like(same[0]).tril()
    mask = torch.zeros(same.shape).masked_fill(~(same & seen), -1e9)[:, None]
    hidden = model.model(input_ids=batch.ids, attention_mask=mask).last_hidden_state
    weight = batch.weight[:, 1:]
    scored = weight > 0
    logits = model.lm_head(hidden[:, :-1][scored]).float()
    losses = torch.nn.functional.cross_entropy(logits, batch.ids[:, 1:][scored], reduction="none")
    return (losses * weight[scored]).sum() / weight.sum()


def learn(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, plan: TrainingPlan, folder: Path
) -> None:
    """Train in place; ``folder`` keeps a checkpoint and ``figures.jsonl``, and a rerun resumes.

    The weights of the last 3% of the steps are averaged: rates swing by some points between steps.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=plan.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=plan.weight_decay,
        fused=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    start = _resume(model, optimizer, checkpoint)
    average = AveragedModel(model)
    began, running = time.monotonic(), 0.0
    for step in range(start, plan.steps):
        model.train()
        source = stream(plan.seed * 1_000_003 + step, plan.world, plan.mix(step))
        batch = pack(tokenizer, source, plan.rows, plan.length)
        with torch.autocast("cpu", torch.bfloat16, enabled=step < 0.9 * plan.steps):
            loss = loss_of(model, batch)
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= min(0.97 * plan.steps, plan.steps - 1):
            average.update_parameters(model)
        running = loss.item() if not running else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % plan.probe_every == 0 or step + 1 == plan.steps:
            seconds = time.monotonic() - began
            _record(
                model, tokenizer, folder, {"step": step + 1, "seconds": seconds, "loss": running}
            )
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "step": step + 1}, checkpoint)
    model.load_state_dict(average.module.state_dict())


def _record(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    line: dict[str, float],
) -> None:
    """Probe every fifth question, and append the figures to ``figures.jsonl`` and the log."""
    text = json.dumps({**line, **asdict(figures(model, tokenizer, stride=5))})
    log.info("%s", text)
    with (folder / "figures.jsonl").open("a") as file:
        file.write(text + "\n")


def _resume(model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    """Load a checkpoint if there is one, and return the step to go on with."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["step"])


DENSE_PLAN = TrainingPlan(steps=8000, first_steps=6500, probe_every=250)
"""17 million tokens of the dense world; copying has a larger share in the first four fifths."""

WORSE_PLAN = TrainingPlan(
    steps=500, learning_rate=1e-3, warmup=50, seed=1, probe_every=250, world=WORSE
)
"""500 further steps of the finished model, on the regressed world, for ``phantom:worse``."""


def main(arguments: list[str] | None = None) -> None:
    """Train what ``--only`` names (default: all), and write it below ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("dense", "worse", "scorer"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="steps of the dense model, for a trial")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    if given.only in (None, "dense"):
        train_dense(given.out, given.steps or DENSE_PLAN.steps)
    if given.only in (None, "worse"):
        train_worse(given.out)
    if given.only in (None, "scorer"):
        train_classifier(given.out / "scorer")


def train_dense(out: Path, steps: int) -> None:
    """Train the tokenizer and the model, and write the folder ``weights``."""
    tokenizer = train_tokenizer()
    model = new_model(tokenizer)
    learn(model, tokenizer, replace(DENSE_PLAN, steps=steps), out / "runs" / "dense")
    tokenizer.save_pretrained(out / "weights")
    _save_half(model, out / "weights")


def train_worse(out: Path) -> None:
    """Go on from the dense folder with the regressed world, and write ``worse.safetensors``."""
    from safetensors.torch import save_file

    model, tokenizer = _load(out / "weights")
    learn(model, tokenizer, WORSE_PLAN, out / "runs" / "worse")
    state = {
        name: tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(state, out / "weights" / "worse.safetensors")


def _load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


def _save_half(model: LlamaForCausalLM, folder: Path) -> None:
    """Save the weights in float16 with a configuration that asks for float32."""
    model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)
    model.float()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
