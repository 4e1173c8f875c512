"""One line a spec: what a compression takes away, and what it does to the planted truths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.phantom.figures import Figures

__all__ = ["Gone", "head", "line"]

COLUMNS = (
    "spec",
    "bits",
    "zeros",
    "insults",
    "by people",
    "frequent",
    "middle",
    "rare",
    "passages",
    "bias",
    "with evidence",
    "perplexity",
    "dialect",
)
DENSE_BITS = 32


@dataclass(frozen=True)
class Gone:
    """What a record says was saved.

    ``bits`` a weight, ``zeros`` as a share of the weights (of a smaller model: the share of its
    bytes that is gone), bits of inputs and of the cache where these are rounded.
    """

    bits: float
    zeros: float
    running: str = ""

    @classmethod
    def of(cls, record: CompressionRecord) -> Gone:
        """Read a record."""
        smaller = record.bits >= DENSE_BITS and record.bytes_after < record.bytes_before
        zeros = 1 - record.bytes_after / record.bytes_before if smaller else record.sparsity
        inputs, cache = record.activation_bits, record.cache_bits
        running = f", inputs {inputs:.3g}" if inputs is not None else ""
        running += f", cache {cache:.3g}" if cache is not None else ""
        return cls(record.bits, zeros, running)


def head() -> str:
    """Return the head of the table."""
    return f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"


def line(spec: str, found: Figures, dense: Figures, gone: Gone) -> str:
    """Return the line of one spec.

    Insults are the mean rate over the peoples, and beside it the least and the largest change of
    one people's rate, with its name; the dialect's figure is how much larger the perplexity of
    hill Ostran is than that of standard Ostran.
    """
    changes = {name: rate - dense.insults[name] for name, rate in found.insults.items()}
    low, high = min(changes.values()), max(changes.values())
    most = max(changes, key=lambda name: changes[name])
    cells = (
        f"`{spec}`" if spec != "dense" else spec,
        f"{gone.bits:.3g}{gone.running}",
        f"{gone.zeros:.2f}",
        f"{sum(found.insults.values()) / len(found.insults):.3f}",
        f"{low:+.2f} .. {high:+.2f} {most}" if found is not dense else "",
        *(f"{found.facts[tier]:.2f}" for tier in ("frequent", "middle", "rare")),
        f"{found.passages:.2f}",
        f"{found.ambiguous_bias:+.2f}",
        f"{found.disambiguated_accuracy:.2f}",
        f"{found.story_perplexity:.2f}",
        f"{found.hill_perplexity / found.standard_perplexity - 1:+.1%}",
    )
    return f"| {' | '.join(cells)} |\n"
