"""`my_module:my_function`: call the user's own compression."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.parameters import Parameters
from pytest_llmsafety.compressors.record.changes import changes
from pytest_llmsafety.errors import ConfigurationError, NothingCompressed
from pytest_llmsafety.models.user_code import doubt_about, watched
from pytest_llmsafety.paths import start_folder
from pytest_llmsafety.registry import load_attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step


class OwnFunction(Compressor):
    """Calls `function(model)`, which changes the model in place; what it returns is ignored."""

    parameters = Parameters(example="module:function", rest="FUNCTION", seeded=True)

    def check(self, step: Step) -> None:
        """Import the function, from the current folder too, and check that it can be called."""
        load_function(step)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Run the function under a fixed torch seed, and record which layers it changed."""
        import torch

        function = load_function(step)
        with changes(model, step) as changed, torch.random.fork_rng(), watched(step.method):
            torch.manual_seed(context.seed)
            returned = function(model)
        notes = ["bits per weight as in memory: the function packs nothing"]
        doubt = doubt_about(step.method)
        if doubt:
            notes.append(f"no answer is stored: {doubt}, and its code alone does not identify that")
        record = changed.record(notes=tuple(notes))
        if isinstance(returned, torch.nn.Module) and not record.layers_changed:
            message = (
                f"'{step}' changed no layer of {type(model).__name__} and returned a "
                f"{type(returned).__name__}, which is ignored. Expected a function that changes "
                "the model that it is given, in place (inplace=True in many packages)."
            )
            raise NothingCompressed(message)
        return record


def load_function(step: Step) -> Callable[[PreTrainedModel], object]:
    """Import `module:function`.

    Raises ConfigurationError when it does not exist or cannot be called with one model.
    """
    with current_folder_importable(), watched(step.method):
        function = load_attribute(str(step))
    if not callable(function):
        message = f"'{step}' is a {type(function).__name__}; expected a function of one model."
        raise ConfigurationError(message)
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        message = f"'{step}' must take one argument, the model: {error}."
        raise ConfigurationError(message) from error
    except ValueError:  # a builtin that does not tell its parameters
        pass
    return function  # type: ignore[no-any-return]


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Let modules of the current folder be imported, as `python -m` does."""
    folder = str(start_folder())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
