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
WITHOUT_PACKAGE = ("bitnet", "fbgemm_fp8", "fouroversix", "fp8", "fp_quant", "gemma", "higgs")
UNPACKED = {"awq": ((4,), ("gemm",)), "gptq": ((2, 4, 8), ("gptq", "gptq_v2"))}
EXTRAS = {"bitsandbytes": "bnb", "compressed-tensors": "compressed-tensors", "gguf": "gguf"}


def quantization_of(config: Mapping[str, Any]) -> str:
    """The name of the format that config.json tells, such as `gptq`; empty for plain weights."""
    told = told_of(config)
    if not told:
        return ""
    bits = any(told.get(name) for name in ("load_in_4bit", "load_in_8bit"))
    return str(told.get("quant_method") or ("bitsandbytes" if bits else "unnamed"))


def is_known(name: str) -> bool:
    """Whether transformers reads the format `name`; it would ignore an unknown one."""
    if name in PACKAGES or name in WITHOUT_PACKAGE:
        return True
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    return name in AUTO_QUANTIZATION_CONFIG_MAPPING


def told_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json tells of its format; empty for plain weights."""
    text = config.get("text_config")
    told = config.get("quantization_config") or config.get("compression_config")
    told = told or (text.get("quantization_config") if isinstance(text, dict) else None)
    return told if isinstance(told, dict) else {}


def unpacked_here(config: Mapping[str, Any]) -> bool:
    """Whether packed.py reads the checkpoint, because its package is absent and it can.

    It can where every layer has the same bits, in 32-bit words, of a layout in UNPACKED.
    """
    told, kind = told_of(config), quantization_of(config)
    if kind not in UNPACKED or not lacking(kind):
        return False
    bits, layouts = UNPACKED[kind]
    names = [told.get(name) for name in ("checkpoint_format", "format", "version")]
    layout = next((str(name).lower() for name in names if name), layouts[0])
    plain = not told.get("dynamic") and told.get("pack_dtype", "int32") in {"int32", "torch.int32"}
    return plain and layout in layouts and told.get("bits", told.get("w_bit")) in bits


def missing_for(config: Mapping[str, Any]) -> str:
    """What to install before a checkpoint can be loaded; empty when it can."""
    return "" if unpacked_here(config) else lacking(quantization_of(config))


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
