"""The formats of quantized checkpoints: what config.json says, and which packages read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.libraries import version

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
    "quanto": ("optimum-quanto",),
    "quark": ("amd-quark",),
    "spqr": ("spqr_quant",),
    "torchao": ("torchao",),
    "vptq": ("vptq",),
}
WITHOUT_PACKAGE = ("bitnet", "fbgemm_fp8", "fouroversix", "fp8", "fp_quant", "gemma", "higgs")
UNPACKED = {"awq": ((4,), ("gemm",)), "gptq": ((2, 4, 8), ("gptq", "gptq_v2"))}
MARLIN = "marlin"
HALF_BITS = 16
AUTO_ROUND = {"auto_round:auto_awq": ("awq", "gemm"), "auto_round:auto_gptq": ("gptq", "gptq")}
QUANTO = "quanto"
UNREADABLE = {
    "hqq": (
        "which transformers 5 does not load: its tensors have names (W_q) that the model has no "
        "place for. Load it where it was made (HQQ and transformers 4), write the values that its "
        "codes stand for into a plain model, save that, and judge the folder: checkpoint:FOLDER"
    ),
}
"""Formats that cannot be read here with any package, and what to do."""
EXTRAS = {"bitsandbytes": "bnb", "compressed-tensors": "compressed-tensors", "gguf": "gguf"}


def quantization_of(config: Mapping[str, Any]) -> str:
    """Return the name of the format in config.json, such as `gptq`; empty for plain weights."""
    settings = quantization_settings(config)
    if not settings:
        return ""
    bits = any(settings.get(name) for name in ("load_in_4bit", "load_in_8bit"))
    return str(settings.get("quant_method") or ("bitsandbytes" if bits else "unnamed"))


def is_known(name: str) -> bool:
    """Return whether transformers reads the format `name`; it ignores an unknown one."""
    if name in PACKAGES or name in WITHOUT_PACKAGE:
        return True
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    return name in AUTO_QUANTIZATION_CONFIG_MAPPING


def quantization_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the format in config.json; empty for plain weights."""
    text = config.get("text_config")
    settings = config.get("quantization_config") or config.get("compression_config")
    settings = settings or (text.get("quantization_config") if isinstance(text, dict) else None)
    return settings if isinstance(settings, dict) else {}


def unpacked_here(config: Mapping[str, Any]) -> bool:
    """Return whether unpack.py reads the checkpoint, because quanto or no installed package does.

    All its layers must have the same bits, in 32-bit words, in a layout of UNPACKED.
    """
    settings, kind = quantization_settings(config), quantization_of(config)
    if kind == QUANTO:
        return True
    words, layout = packed_as(settings)
    if words not in UNPACKED or not lacking(kind):
        return False
    bits, layouts = UNPACKED[words]
    mixed = settings.get("dynamic") or settings.get("extra_config")
    plain = not mixed and settings.get("pack_dtype", "int32") in {"int32", "torch.int32"}
    return plain and layout in layouts and settings.get("bits", settings.get("w_bit")) in bits


def packed_as(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the format whose words hold the codes, and its layout; empty where not known."""
    kind = str(settings.get("quant_method", ""))
    if _family(kind) == "auto-round":
        return AUTO_ROUND.get(str(settings.get("packing_format")), ("", ""))
    if settings.get("is_marlin_format"):
        return kind, MARLIN
    names = [settings.get(name) for name in ("checkpoint_format", "format", "version")]
    default = UNPACKED[kind][1][0] if kind in UNPACKED else ""
    return kind, next((str(name).lower() for name in names if name), default)


def rounds_inputs(settings: Mapping[str, Any]) -> bool:
    """Return whether the kernels of the format round the inputs of layers, too."""
    if settings.get("quant_method") in {"fp8", "mxfp8", "fbgemm_fp8"}:
        return bool(settings.get("activation_scheme", "dynamic"))
    bits = settings.get("act_bits")
    return isinstance(bits, int) and bits < HALF_BITS


def why_unreadable(config: Mapping[str, Any]) -> str:
    """Return why a checkpoint of this format cannot be loaded, and what to do; empty if it can."""
    kind, install = quantization_of(config), missing_for(config)
    if kind in UNREADABLE:
        return f"is in the format {kind}, {UNREADABLE[kind]}."
    words, layout = packed_as(quantization_settings(config))
    if install and layout == MARLIN:
        return (
            f"is in the layout {MARLIN} of the format {kind}, which only kernels on some GPUs "
            f"read. Convert it to the layout {' or '.join(UNPACKED[words][1])} with GPTQModel, and "
            "judge that folder."
        )
    return f"is in the format {kind}, whose package is not installed: {install}." if install else ""


def missing_for(config: Mapping[str, Any]) -> str:
    """Return what to install before a checkpoint can be loaded; empty when it can."""
    return "" if unpacked_here(config) else lacking(quantization_of(config))


def lacking(name: str) -> str:
    """Return what to install for the format `name`; empty when nothing is missing or known."""
    family = _family(name)
    missing = [package for package in PACKAGES.get(family, ()) if not version(package)]
    if not missing:
        return ""
    extra = f" (or pytest-llmsafety[{EXTRAS[family]}])" if family in EXTRAS else ""
    return f"pip install {' '.join(missing)}{extra}"


def versions_for(name: str) -> str:
    """Return the versions of the packages that compute the format `name`, as one text."""
    packages = PACKAGES.get(_family(name), ())
    return " ".join(f"{package}=={version(package) or 'absent'}" for package in packages)


def _family(name: str) -> str:
    """Return the known format of a name: `bitsandbytes` for `bitsandbytes_4bit`; else empty."""
    return next((known for known in PACKAGES if name.startswith(known)), "")
