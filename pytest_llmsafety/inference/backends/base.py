"""What a backend is: the part that makes a model answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pytest_llmsafety.compressors.model_store import StoredModel
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.models.tokenizer import Parts
    from pytest_llmsafety.specs import Arm
    from pytest_llmsafety.types import CalibrationTexts, Request, Response


def _silent(_text: str) -> None: ...


SHARE_OF_BATCH_AGAIN = 0.37
"""The part of a batch that is computed at once when the dense model answers a second time."""


@dataclass(frozen=True)
class BackendSettings:
    """How a backend should work; only `seed` and `calibration` may change an answer.

    `seed` and `calibration` (None: the packaged text) are for the compression. `stored` is where
    the compressed model is kept. `progress` is called with what is done of the compression, how
    much of it, and of how much. `dense` describes a dense model whose files are not available,
    and `served` how that is deployed; the compression is then a finished checkpoint.
    `batch_tokens` is the number of token positions computed at once (None: the backend chooses),
    `batch_share` the share of it to use. `note` takes sentences for the user, such as that a
    batch was halved.
    """

    seed: int = 0
    calibration: CalibrationTexts | None = None
    batch_tokens: int | None = None
    note: Callable[[str], None] = _silent
    batch_share: float = 1.0
    stored: StoredModel | None = None
    progress: Callable[[str, int, int], None] | None = None
    dense: DenseFacts | None = None
    served: Deployment | None = None


class Backend(ABC):
    """One arm, loaded and ready to answer; a backend of your own extends this class.

    Only `answer` and `tokens` have to be written. A whole backend, registered as an entry point
    of the group `pytest_llmsafety.backends` under the name `shout`, which `--model=shout:NAME`
    then chooses:

        >>> from pytest_llmsafety.inference.backends.base import Backend
        >>> from pytest_llmsafety.specs import Arm, ModelSpec
        >>> from pytest_llmsafety.types import Generate, Generation
        >>> class Shout(Backend):
        ...     reads_folder = False
        ...     def answer(self, requests):
        ...         for index, request in enumerate(requests):
        ...             yield [(index, Generation((request.context.upper(),), (1,), (True,)))]
        ...     @staticmethod
        ...     def tokens(folder, texts):
        ...         return [tuple(text.encode()) for text in texts]
        >>> shout = Shout(Arm(ModelSpec.parse("shout:any")), BackendSettings())
        >>> next(shout.answer([Generate("hello")]))[0][1].texts
        ('HELLO',)
    """

    reads_folder: ClassVar[bool] = True
    """Whether the model's name must be a folder of weights, a hub id or `phantom`."""
    record: CompressionRecord | None = None
    """What compression did to the model; None for the dense arm."""

    def __init__(self, arm: Arm, settings: BackendSettings) -> None:  # noqa: B027 - may load nothing
        """Load the arm. Raises ModelError or CompressionError."""

    @abstractmethod
    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[tuple[int, Response]]]:
        """Answer each request once, in any order: yield one list of (index, response) a batch.

        The engine stores a batch as soon as it is yielded. A request that cannot be answered gets
        a response with a problem.
        """

    @staticmethod
    @abstractmethod
    def tokens(folder: Path | None, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids of each text, without loading the weights.

        `folder` holds the model's files; it is None where `reads_folder` is False.
        """

    def close(self) -> None:  # noqa: B027 - not every backend has something to free
        """Free the model's memory."""

    @property
    def forward_passes(self) -> int:
        """Return the number of forward passes so far; 0 for a backend that counts none."""
        return 0

    def facts(self) -> DenseFacts | None:
        """Return what a baseline stores about the dense arm's weights; None to store nothing."""
        return None

    @staticmethod
    def fits(_arm: Arm) -> bool:
        """Return whether the arm can be loaded next to the models that are in memory now."""
        return True

    @staticmethod
    def tokenizer_rules(_folder: Path) -> Parts:
        """Return (name, digest) of each part of a folder's tokenizer that decides about tokens."""
        return ()

    @staticmethod
    def deployment(_folder: Path | None) -> Deployment | None:
        """Return how a folder's model would be served; None where this is not compared."""
        return None

    @staticmethod
    def gguf_deployment(_path: Path, _dense: Deployment) -> Deployment | None:
        """Return how a GGUF file would be served; what it lacks is as for the dense model."""
        return None
