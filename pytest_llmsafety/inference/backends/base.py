"""What a backend is: the part that makes a model answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_llmsafety.compressors.model_store import StoredModel
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.specs import Arm
    from pytest_llmsafety.types import CalibrationTexts, Request, Response


def _silent(_text: str) -> None:
    """Say nothing."""


SHARE_OF_BATCH_AGAIN = 0.37
"""The part of a batch that is computed at once when the dense model answers a second time."""


@dataclass(frozen=True)
class Settings:
    """How a backend should work; nothing here may change an answer except seed and calibration.

    `seed` and `calibration` (None: the packaged text) serve the compression; `stored` is where
    the compressed model lies, or will, and `progress` hears what of it is done, and of how much.
    `dense` is what is remembered of a dense model that is not here, and `served` how that is
    deployed; the compression is then a finished checkpoint. `batch_tokens` is the number of token
    positions computed at once; None lets the backend choose; `batch_share` is the part of it to
    use. `note` takes plain sentences for the user, such as a halved batch.
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


class Backend(Protocol):
    """One arm, loaded and ready to answer.

    A whole backend, registered under `pytest_llmsafety.backends` as `shout`:

        class Shout:
            record = None

            def __init__(self, arm, settings):
                self.name = arm.name

            def answer(self, requests):
                for index, request in enumerate(requests):
                    yield [(index, Generation((request.context.upper(),), (1,), (True,)))]

            def close(self):
                pass

    A class attribute `reads_folder = False` says that the model's name need not be a folder
    of weights. Static methods need no weights either: `tokens(folder, texts)` gives token ids,
    `tokenizer_rules(folder)` (name, digest) of each part of a tokenizer that decides about them,
    and `deployment(folder)` how a folder would be served. A method `facts()` of the dense arm says
    what a baseline remembers of its weights (DenseFacts).
    """

    @property
    def record(self) -> CompressionRecord | None:
        """What compression did to the model; None for the dense arm."""

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[tuple[int, Response]]]:
        """Answer each request once, in any order: one list of (index, response) a batch.

        The engine stores a batch as soon as it is yielded.
        """

    def close(self) -> None:
        """Free the model's memory."""


class BackendFactory(Protocol):
    """A backend's class, or a function that makes one."""

    def __call__(self, arm: Arm, settings: Settings) -> Backend:
        """Load the arm."""
