"""CompressionRecord: what a compressor did, and what it could not do as specified."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompressionRecord:
    """What one compression changed.

    Attributes:
        method: the step or the whole spec.
        parameters: (name, text) of each parameter.
        layers_changed: names of the layers whose values changed.
        layers_skipped: (layer, reason).
        bits: mean stored bits per weight of the changed layers, scales and zero points included.
        sparsity: share of their weights that are exactly zero (0-1).
        bytes_before: size of the whole model as dense parameters.
        bytes_after: size of the whole model as it would be stored.
        notes: sentences about what could not be done as specified.
        seconds: time that the compression took.
        layers: (layer, bits, sparsity) of each layer that the method worked on.
        calibration: (name, text) of source, nsamples, seqlen, seed and digest of the tokens.
        peak_bytes: most memory in use; on a GPU torch's, else the process's since its start.
        activation_bits: bits of the layers' inputs while the model runs; None: not compressed.
        cache_bits: bits of a stored key or value with its scales; None: not compressed.
        changed_share: share (0-1) of all parameters in matrices whose values changed; None where
            they were not compared.
        changed_body_share: the same share of what lies between embedding and head.
        rounded_share: share of all parameters that moved by at most a rounding, and count as kept.
        kept: (name, number of matrices, share of all parameters, place, reason) of what stayed.
        architecture: how the compressed model differs in architecture from the dense one (fewer
            blocks, say); empty where it is the same.

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
    rounded_share: float = 0.0
    kept: tuple[tuple[str, int, float, str, str], ...] = ()
    architecture: str = ""

    @property
    def leaves_weights(self) -> bool:
        """Return whether only inputs or the cache are compressed, and no weight."""
        runs = self.activation_bits is not None or self.cache_bits is not None
        return runs and not self.layers
