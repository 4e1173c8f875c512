"""Which packages a quantized checkpoint needs, and whether they are installed."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = {
    "aqlm": ("aqlm",),
    "auto-round": ("auto-round",),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed-tensors",),
    "eetq": ("kernels",),
    "gguf": ("gguf",),
    "gptq": ("optimum", "gptqmodel"),
    "hqq": ("hqq",),
    "llmcompressor": ("llmcompressor",),
    "mxfp4": ("kernels",),
    "quanto": ("optimum-quanto",),
    "quark": ("amd-quark",),
    "spqr": ("spqr_quant",),
    "torchao": ("torchao",),
    "vptq": ("vptq",),
}
EXTRAS = {"bitsandbytes": "bnb", "compressed-tensors": "compressed-tensors", "gguf": "gguf"}


def quantization_of(config: Mapping[str, Any]) -> str:
    """The name of the format that config.json tells, such as `gptq`; empty for plain weights."""
    told = config.get("quantization_config") or config.get("compression_config") or {}
    if not isinstance(told, dict) or not told:
        return ""
    bits = any(told.get(name) for name in ("load_in_4bit", "load_in_8bit"))
    return str(told.get("quant_method") or ("bitsandbytes" if bits else "unnamed"))


def lacking(name: str) -> str:
    """What to install for the format `name`; empty when nothing is missing or known."""
    family = _family(name)
    missing = [package for package in PACKAGES.get(family, ()) if not version(package)]
    if not missing:
        return ""
    extra = f" (or pytest-llmsafety[{EXTRAS[family]}])" if family in EXTRAS else ""
    return f"pip install {' '.join(missing)}{extra}"


def versions_for(name: str) -> str:
    """The versions of the packages that compute the format `name`, as one text."""
    packages = PACKAGES.get(_family(name), ())
    return " ".join(f"{package}=={version(package) or 'absent'}" for package in packages)


def version(package: str) -> str:
    """The version of an installed distribution, empty when it is absent; imports nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _family(name: str) -> str:
    """The known format that `name` is, `bitsandbytes` for `bitsandbytes_4bit`; else empty."""
    return next((known for known in PACKAGES if name.startswith(known)), "")
