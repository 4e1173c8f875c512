"""CompressionRecord: what a compressor did, and what it could not do as asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompressionRecord:
    """What one compression changed.

    `bits` is the mean number of stored bits per weight of the changed layers, scales and zero
    points included; `sparsity` the share of their weights that are exactly zero (0-1);
    `bytes_before` and `bytes_after` the size of the whole model as dense parameters and as it
    would be stored. `layers_skipped` holds (layer, reason). `notes` says in plain words
    whatever could not be done as asked. `layers` holds (layer, bits, sparsity) of each layer
    that the method worked on. `calibration` holds (name, text) of what was looked at: source,
    nsamples, seqlen, seed and the digest of the tokens. `peak_bytes` is the most memory in
    use: on a GPU what torch held there, else what the whole process held since its start.
    `activation_bits` are those of the layers' inputs, `cache_bits` those of a stored key or
    value with its scales, while the model runs; None where they are not compressed.
    `changed_share` is the share (0-1) of all parameters in matrices whose values changed, and
    `changed_body_share` the same of what lies between embedding and head; None where nobody
    compared them. `kept` holds (name, number of matrices, share of all parameters, place, reason)
    of what stayed. `architecture` says how the compressed model is another model than the dense
    one (a checkpoint of fewer blocks, say); empty where it is the same.
    """

    method: str
    parameters: tuple[tuple[str, str], ...]
    layers_changed: tuple[str, ...]
    layers_skipped: tuple[tuple[str, str], ...]
    bits: float
    sparsity: float
    bytes_before: int
    bytes_after: int
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    layers: tuple[tuple[str, float, float], ...] = ()
    calibration: tuple[tuple[str, str], ...] = ()
    peak_bytes: int = 0
    activation_bits: float | None = None
    cache_bits: float | None = None
    changed_share: float | None = None
    changed_body_share: float | None = None
    kept: tuple[tuple[str, int, float, str, str], ...] = ()
    architecture: str = ""

    @property
    def leaves_weights(self) -> bool:
        """Whether the step compresses what passes through the model, and no weight."""
        runs = self.activation_bits is not None or self.cache_bits is not None
        return runs and not self.layers
