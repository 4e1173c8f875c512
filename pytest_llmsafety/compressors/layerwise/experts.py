"""Find the experts of a mixture (stacks of matrices) and the routers that choose among them.

transformers keeps the matrices of all experts of a block in one parameter. Most are
[experts, out, in], and some (gpt-oss, Llama 4) [experts, in, out]. A class that uses the common
implementation of transformers says which, and the others are listed here. A stack whose layout is
not known is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

ENDINGS = ("Experts", "MoE")  # how transformers' classes of expert layers end
PROJECTIONS = ("gate_up_proj", "gate_proj", "up_proj", "down_proj")
LAYOUTS = {
    "InklingSharedExperts": dict.fromkeys(PROJECTIONS, False),
    "JetMoeParallelExperts": {"weight": False},
    "Llama4TextExperts": dict.fromkeys(PROJECTIONS, True),
    "LongcatFlashExperts": dict.fromkeys(PROJECTIONS, False),
    "Step3p7Experts": dict.fromkeys(PROJECTIONS, False),
}
"""By class and parameter of transformers: whether a matrix is stored as [in, out]."""
FLAT = {"DbrxExpertGLU": ("moe_num_experts", {"w1": False, "v1": False, "w2": True})}
"""The same of classes that keep the experts one below the other, and what counts these."""
ROUTER = "router, kept dense"
UNKNOWN = "experts in an unknown layout, kept dense"
STACK = 3


@dataclass(frozen=True)
class Stack:
    """One parameter that holds a matrix for each of `count` experts.

    `name` is the parameter's name in the model, `leaf` its name in `module`.
    """

    name: str
    module: torch.nn.Module
    leaf: str
    count: int
    transposed: bool

    def matrix(self, index: int) -> torch.Tensor:
        """Return the matrix of one expert as it is stored, a view into the parameter."""
        whole: torch.Tensor = getattr(self.module, self.leaf)
        return whole.detach().view(self.count, -1, whole.shape[-1])[index]


def expert_module(model: PreTrainedModel) -> str:
    """Return the name of the first module that holds experts; empty for a dense model.

    The modules decide: dense models of some families (Nemotron-H, Doge) count experts in their
    configuration.
    """
    return next((name for name, module in model.named_modules() if _holds(name, module)), "")


def stacks(module: torch.nn.Module, start: str = "") -> Iterator[Stack]:
    """Yield the stacks of experts below `module`, whose own name is `start`."""
    for name, child in module.named_modules():
        full = ".".join(filter(None, (start, name)))
        layout = _layout(child)
        for leaf, parameter in child.named_parameters(recurse=False):
            if leaf in layout and parameter.dim() in (STACK, STACK - 1):
                flat = FLAT.get(type(child).__name__)
                count = int(getattr(child, flat[0])) if flat else parameter.shape[0]
                if parameter.dim() == STACK or flat:
                    stack = f"{full}.{leaf}".removesuffix(".weight")
                    yield Stack(stack, child, leaf, count, layout[leaf])


def left_dense(model: PreTrainedModel) -> dict[str, str]:
    """Return the parameters of a mixture that no method changes, by name, with the reason."""
    known = {stack.name for stack in stacks(model)}
    unknown = {
        full: UNKNOWN
        for name, module in model.named_modules()
        if _holds(name, module)
        for leaf, parameter in module.named_parameters(recurse=False)
        if parameter.dim() == STACK
        for full in (f"{name}.{leaf}".removesuffix(".weight"),)
        if full not in known
    }
    return {**routers(model), **unknown}


def routers(model: PreTrainedModel) -> dict[str, str]:
    """Return the layers that choose among experts, by name, with the reason why they stay.

    They are siblings of the experts, are called router or gate, and have an output for each expert
    and few more (shared ones, identities). With few weights they decide much, and the papers
    leave them dense.
    """
    found = {}
    for holder, count in _holders(model).items():
        for name, module in model.get_submodule(holder).named_modules():
            weight: Any = getattr(module, "weight", None)
            is_small = getattr(weight, "ndim", 0) == STACK - 1 and weight.shape[0] <= 2 * count
            if is_small and _is_router(name, module):
                found[".".join(filter(None, (holder, name)))] = ROUTER
    return found


def _holders(model: PreTrainedModel) -> dict[str, int]:
    """Return the modules that contain experts, by name, with the number of their experts."""
    counts: dict[str, int] = {}
    for stack in stacks(model):  # LongCat's identities have a gate and no weights of their own
        name = stack.name.removesuffix(f".{stack.leaf}")
        counts[name] = max(stack.count, counts.get(name, 0))
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "experts" and name not in counts:
            below = [stack.count for stack in stacks(module)]
            counts[name] = max(below, default=len(list(module.children())))
    return {name.rpartition(".")[0]: count for name, count in counts.items()}


def _holds(name: str, module: torch.nn.Module) -> bool:
    return name.rpartition(".")[2] == "experts" or type(module).__name__.endswith(ENDINGS)


def _layout(module: torch.nn.Module) -> dict[str, bool]:
    """Return by parameter whether the matrices are [in, out]; empty where it is not known."""
    kind = type(module).__name__
    if kind in FLAT:
        return FLAT[kind][1]
    transposed = getattr(module, "is_transposed", None)
    if isinstance(transposed, bool) and hasattr(module, "has_gate"):
        return dict.fromkeys(PROJECTIONS, transposed)
    return LAYOUTS.get(kind, {})


def _is_router(name: str, module: torch.nn.Module) -> bool:
    parts = name.split(".")
    named = any(part == "gate" or part.endswith("_gate") or "router" in part for part in parts)
    return named or "Router" in type(module).__name__
