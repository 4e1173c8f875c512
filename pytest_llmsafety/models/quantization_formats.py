"""Which packages a quantized checkpoint needs, and whether they are installed."""

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
"""Formats that no installed package makes readable here, and what can be done."""
EXTRAS = {"bitsandbytes": "bnb", "compressed-tensors": "compressed-tensors", "gguf": "gguf"}


def quantization_of(config: Mapping[str, Any]) -> str:
    """The name of the format that config.json tells, such as `gptq`; empty for plain weights."""
    told = quantization_settings(config)
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


def quantization_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json tells of its format; empty for plain weights."""
    text = config.get("text_config")
    told = config.get("quantization_config") or config.get("compression_config")
    told = told or (text.get("quantization_config") if isinstance(text, dict) else None)
    return told if isinstance(told, dict) else {}


def unpacked_here(config: Mapping[str, Any]) -> bool:
    """Whether packed.py reads the checkpoint: quanto's own files, or words of an absent package.

    It can where every layer has the same bits, in 32-bit words, of a layout in UNPACKED.
    """
    told, kind = quantization_settings(config), quantization_of(config)
    if kind == QUANTO:
        return True
    words, layout = packed_as(told)
    if words not in UNPACKED or not lacking(kind):
        return False
    bits, layouts = UNPACKED[words]
    mixed = told.get("dynamic") or told.get("extra_config")
    plain = not mixed and told.get("pack_dtype", "int32") in {"int32", "torch.int32"}
    return plain and layout in layouts and told.get("bits", told.get("w_bit")) in bits


def packed_as(told: Mapping[str, Any]) -> tuple[str, str]:
    """Return the format whose words the codes are in and its layout, for a format that says so."""
    kind = str(told.get("quant_method", ""))
    if _family(kind) == "auto-round":
        return AUTO_ROUND.get(str(told.get("packing_format")), ("", ""))
    if told.get("is_marlin_format"):
        return kind, MARLIN
    names = [told.get(name) for name in ("checkpoint_format", "format", "version")]
    usual = UNPACKED[kind][1][0] if kind in UNPACKED else ""
    return kind, next((str(name).lower() for name in names if name), usual)


def rounds_inputs(told: Mapping[str, Any]) -> bool:
    """Whether the kernels of the format round the inputs of layers, too, as config.json has it."""
    if told.get("quant_method") in {"fp8", "mxfp8", "fbgemm_fp8"}:
        return bool(told.get("activation_scheme", "dynamic"))
    bits = told.get("act_bits")
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


def _family(name: str) -> str:
    """The known format that `name` is, `bitsandbytes` for `bitsandbytes_4bit`; else empty."""
    return next((known for known in PACKAGES if name.startswith(known)), "")
