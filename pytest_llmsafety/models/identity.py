"""The key of an answer: digests of the model's files, the recipe, versions and the request.

Everything that can change an answer is a field of Identity or of the request, and every field is
part of the key.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.codec import to_plain
from pytest_llmsafety.libraries import version
from pytest_llmsafety.models.device import resolve
from pytest_llmsafety.models.digests import FileDigests, digest_json, file_digest
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import read_config
from pytest_llmsafety.models.package_code import package_digest
from pytest_llmsafety.models.quantization_formats import quantization_of, versions_for
from pytest_llmsafety.models.user_code import find, user_code
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.specs import Arm, ModelSpec, Step
    from pytest_llmsafety.types import Request

LIBRARIES = ("torch", "transformers", "tokenizers", "optimum-quanto", "bitsandbytes")
CHANGES_SILENTLY = {
    "accelerate": "accelerate", "apex": "apex", "auto_round": "auto-round",
    "causal_conv1d": "causal-conv1d", "compressed_tensors": "compressed-tensors",
    "deepspeed": "deepspeed", "fla": "flash-linear-attention", "flash_attn": "flash-attn",
    "flash_attn_interface": "flash-attn-3", "gptqmodel": "gptqmodel", "hqq": "hqq",
    "jinja2": "jinja2", "kernels": "kernels", "liger_kernel": "liger-kernel",
    "mamba_ssm": "mamba-ssm", "mambapy": "mambapy", "mistral_common": "mistral-common",
    "natten": "natten", "optimum": "optimum", "peft": "peft", "sentencepiece": "sentencepiece",
    "tiktoken": "tiktoken", "torchao": "torchao", "triton": "triton", "xformers": "xformers",
    "xlstm": "xlstm",
}  # fmt: skip
"""Packages by import name that transformers uses unasked where they are installed."""
READ_BY_LOADING = frozenset({
    ".bpe", ".codes", ".gguf", ".jinja", ".json", ".model", ".safetensors", ".spm", ".tiktoken",
    ".tokenizer", ".txt", ".vocab",
})  # fmt: skip
OF_PACKAGES = ("gguf", "llmcompressor")
"""Methods that another package carries out."""


@dataclass(frozen=True)
class Platform:
    """What runs a model: the name of a backend, a dtype such as `float32`, and `cpu` or `cuda`."""

    backend: str
    dtype: str
    device_kind: str


@dataclass(frozen=True)
class Identity:
    """All that can change the answers of one arm, except the request.

    `model` is the `model_digest` of its folder. `recipe` holds each compression step as written,
    with the digest of the file or folder that it names. `seed` and `calibration` (a digest of the
    texts) belong to the compression, and are empty for the dense arm.
    """

    model: str
    recipe: tuple[tuple[str, str], ...]
    seed: int
    calibration: str
    platform: Platform
    versions: tuple[tuple[str, str], ...]

    def digest(self) -> str:
        """Return the SHA-256 of all fields as canonical JSON, in hex."""
        return digest_json(asdict(self))


def arm_identity(
    arm: Arm,
    folder: Path | None,
    *,
    platform: Platform,
    seed: int = 0,
    calibration: Sequence[str] | None = None,
    files: FileDigests | None = None,
    known_digest: str = "",
) -> Identity:
    """Return what identifies `arm`, whose model's files are in `folder`.

    Where `folder` is None, `known_digest` is used as the digest of the files, and the model's name
    where that is empty, too. `seed` (unless the compression has its own) and `calibration` count
    for a compressed arm only, so that all arms of a model share the dense one.
    """
    files = files or FileDigests()
    steps = arm.compression.steps if arm.compression else ()
    recipe = tuple((str(step), step_digest(step, files)) for step in steps)
    own_seed = arm.compression.seed if arm.compression else None
    return Identity(
        model=model_digest(folder, files) if folder else known_digest or f"name:{arm.model}",
        recipe=((arm.name, ""),) if arm.again else recipe,
        seed=(seed if own_seed is None else own_seed) if steps else 0,
        calibration=digest_json(list(calibration)) if steps and calibration else "",
        platform=platform,
        versions=versions(),
    )


def request_key(arm: str, request: Request) -> str:
    """Return the key under which the answer of the arm with digest `arm` is stored."""
    return digest_json({"arm": arm, "kind": type(request).__name__, "request": to_plain(request)})


def model_digest(folder: Path, files: FileDigests | None = None) -> str:
    """Return the SHA-256 of the names and contents of all files that loading a model may read.

    These are weights, configurations, tokenizer and chat templates. `files` reads a file again
    only when its state (inode, size, times) is new.
    """
    files = files or FileDigests()
    paths = [*folder.iterdir(), *folder.glob("additional_chat_templates/*")]
    read = sorted(path for path in paths if path.suffix in READ_BY_LOADING and path.is_file())
    return digest_json([[str(p.relative_to(folder)), files.of(p)] for p in read])


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Return (library, version) of each library that computes, and a digest of this package's code.

    The packages of CHANGES_SILENTLY are listed only where they are installed.
    """
    found = [(name, version(name) or "absent") for name in LIBRARIES]
    found += [(name, state) for name, state in map(_installed, CHANGES_SILENTLY) if state]
    return (*found, ("package code", package_digest()))


def _installed(module: str) -> tuple[str, str]:
    """Return the distribution of a module and its version, or a digest of a module without one."""
    name = CHANGES_SILENTLY[module]
    if state := version(name):
        return name, state
    spec = find(module)
    path = Path(spec.origin) if spec and spec.has_location and spec.origin else None
    return name, f"no version {file_digest(path)}" if path and path.is_file() else ""


def platform_of(spec: ModelSpec, backend: str) -> Platform:
    """Return the platform on which `backend` runs the model here."""
    dtype, device = resolve(spec)
    return Platform(backend, dtype, device.partition(":")[0])


def step_digest(step: Step, files: FileDigests) -> str:
    """Return the digest of the files, code or package that a step names; empty where it has none.

    Raises ModelError for a checkpoint that is not there.
    """
    other = step.model
    if other is not None:
        folder = locate(other, tokenizer=False)
        return model_digest(folder, files) + versions_for(quantization_of(read_config(folder)))
    for point in metadata.entry_points(group="pytest_llmsafety.compressors", name=step.method):
        return f"{point.dist.version if point.dist else ''}:{code_digest(point.module)}"
    if step.parameter.isidentifier() and find(step.method):
        return code_digest(step.method)
    named = [step.parameter, *(part.partition("=")[2] for part in step.parameter.split(":"))]
    paths = [user_path(name) for name in named if name]
    found = ",".join(files.of(path) for path in paths if path.is_file())
    return found + (versions_for(step.method) if step.method in OF_PACKAGES else "")


def code_digest(module: str) -> str:
    """Return a digest of a module's code, and of all user code that it imports."""
    code = user_code(module)
    return digest_json([sorted(code.files.items()), sorted(code.packages.items())])
