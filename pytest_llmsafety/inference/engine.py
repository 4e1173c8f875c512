"""Engine: asks the cache first, sends the rest to a backend, and stores every batch at once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import is_worth_storing, looks_at_texts, own_modules
from pytest_llmsafety.compressors.model_store import Store, StoredModel
from pytest_llmsafety.errors import LlmSafetyError, ModelError
from pytest_llmsafety.inference.backends import BACKENDS
from pytest_llmsafety.inference.backends.base import SHARE_OF_BATCH_AGAIN, Settings
from pytest_llmsafety.inference.backends.thinking import answered
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.codec import decode, encode
from pytest_llmsafety.inference.dense_source import Reference
from pytest_llmsafety.inference.scorer_cache import rated
from pytest_llmsafety.models.file_digests import FileDigests
from pytest_llmsafety.models.identity import (
    arm_identity,
    code_digest,
    digest_json,
    platform_of,
    request_key,
)
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.user_code import doubt_about
from pytest_llmsafety.progress import Progress
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import CalibrationTexts, Generate, Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.inference.backends.base import Backend, BackendFactory
    from pytest_llmsafety.inference.scorer_cache import Scorer
    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.models.identity import Identity
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.types import Request, Response

FACTS, DEPLOYMENT = "dense model", "deployment"


class Engine:
    """Answers requests for any arm, each one computed at most once for a cache.

    `seed` and `calibration` (texts) serve the compression; `batch_tokens`, `progress` and
    `store`, where compressed models are kept, do not change any answer. `backend` is a name of
    the table or a backend's class. `models_loaded` and `forward_passes` count what this engine
    had to compute; `notes` holds what the user should hear, such as a batch that was halved.
    Set `one_model` to free every model before another is loaded, however much room there is, and
    `reference` where the dense model's answers come from or go to a baseline.
    """

    def __init__(  # noqa: PLR0913 - settings of a whole session
        self,
        cache: Cache,
        *,
        batch_tokens: int | None = None,
        seed: int = 0,
        calibration: CalibrationTexts | Sequence[str] | None = None,
        progress: Progress | None = None,
        backend: str | BackendFactory = "hf",
        store: Store | None = None,
    ) -> None:
        """Load nothing yet."""
        self.cache = cache
        self.files = FileDigests(cache)
        self.reference = Reference()
        self.progress = progress or Progress()
        self.models_loaded = 0
        self.one_model = False
        self._squeezed = False
        if calibration is not None and not isinstance(calibration, CalibrationTexts):
            calibration = CalibrationTexts(tuple(calibration), "texts")
        self._store = store
        self._settings = Settings(
            seed, calibration, batch_tokens, self.progress.note, progress=self.progress.stage
        )
        self._factory: Any = BACKENDS.load(backend) if isinstance(backend, str) else backend
        self._reads_folder = getattr(self._factory, "reads_folder", True)
        self._backend_name = backend if isinstance(backend, str) else _name_of(backend)
        self._backend_key = self._backend_name
        if not isinstance(backend, str):
            self._backend_key += f" {code_digest(backend.__module__)}"
        self._loaded: dict[Arm, Backend] = {}
        self._digests: dict[Arm, str] = {}
        self._tokenizers: dict[Path, tuple[str, ...]] = {}
        self._deployments: dict[ModelSpec, Deployment] = {}
        self._unstored = Cache(None)
        self._passes_of_closed = 0

    def answer(self, arm: Arm, requests: Sequence[Request]) -> list[Response]:
        """Return one response for each request, in order; equal requests are computed once.

        Of a conversation it is the answer alone: what a model thinks before it is left out, and a
        text that never leaves its thought is a problem. Raises ModelError, CompressionError or
        CacheError.
        """
        digest = self.digest(arm)
        keys = [request_key(digest, request) for request in requests]
        texts = self.reference.known(arm, keys)
        found = {key: decode(key, text) for key, text in texts.items()}
        asked = {key: r for key, r in zip(keys, requests, strict=True) if key not in found}
        found |= self._cache_of(arm).complete(asked, decode, partial(self._compute, arm))
        self._check_unchanged()
        if self.reference.records:
            self._describe(arm)
            self.reference.keep(arm, {key: encode(found[key]) for key in keys})
        return [answer_of(r, found[key]) for key, r in zip(keys, requests, strict=True)]

    def can_answer(self, arm: Arm, requests: Sequence[Request]) -> bool:
        """Whether `answer` has or can compute all of these: not without the dense weights."""
        if not self._lacks(arm.model):
            return True
        keys = [request_key(self.digest(arm), request) for request in requests]
        stored = self.cache.get_many(keys)
        return all(key in stored or self.reference.has(key) for key in keys)

    def record(self, arm: Arm) -> CompressionRecord | None:
        """Return what compression did to `arm`; None for the dense arm.

        Read from the cache where the arm was loaded before; else the arm is loaded.
        """
        if arm.compression is None:
            return None
        key = self._record_key(arm)
        stored = self._cache_of(arm).get_many([key]).get(key)
        if stored is not None:
            record: CompressionRecord = decode(key, stored)
            return record
        return self._load(arm).record

    def classify(self, scorer: Scorer, texts: Sequence[str]) -> list[float]:
        """Return the scorer's number for each text; equal texts are scored once for a cache.

        Raises ScorerError when the scorer returns too few numbers, or one that is NaN or Inf.
        """
        return rated(scorer, texts, self.cache, self.progress)

    def tokens(self, arm: Arm, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids of each text for `arm`, without loading its weights.

        A `checkpoint` is asked for its own tokenizer, where it has one; the baseline where the
        dense one is not here.
        """
        own = self._own_tokenizer(arm)
        self.digest(arm)  # before the files are read, so that a change is noticed
        keys = [self._about(Arm(arm.model), f"tokens of {text}") for text in texts]
        if own is None and self._lacks(arm.model):
            return self.reference.tokens(keys)
        ids: list[tuple[int, ...]] = self._factory.tokens(own or self._folder(arm.model), texts)
        pairs = zip(keys, ids, strict=True)
        self.reference.keep(arm, {key: json.dumps(one) for key, one in pairs})
        return ids

    def tokenizer_differences(self, arm: Arm) -> tuple[str, ...]:
        """Return the names of the parts in which a checkpoint's tokenizer is not the dense one's.

        Empty where the arm has none of its own, and in a baseline run, where the backend compares
        the two when it loads the checkpoint.
        """
        rules = getattr(self._factory, "tokenizer_rules", None)
        own = self._own_tokenizer(arm)
        if own is None or rules is None or self._lacks(arm.model):
            return ()
        dense = self._folder(arm.model)
        if own not in self._tokenizers:
            mine, theirs = dict(rules(dense)), dict(rules(own))
            self._tokenizers[own] = tuple(
                name for name in (mine | theirs) if mine.get(name) != theirs.get(name)
            )
        return self._tokenizers[own]

    def deployments(self, pair: ModelPair) -> tuple[Deployment | None, Deployment | None]:
        """Return how the dense model and, of a checkpoint, the compressed one would be served.

        None where the backend does not say, where there is no checkpoint, or where the dense model
        is not here and its baseline does not have it.
        """
        describe = getattr(self._factory, "deployment", None)
        if describe is None:
            return None, None
        dense = self._dense_deployment(Arm(pair.model), describe)
        own, path = pair.compressed.checkpoint, pair.compressed.gguf
        if own is not None:
            if own not in self._deployments:
                self._deployments[own] = describe(locate(own, tokenizer=False))
            return dense, self._deployments[own]
        of_gguf = getattr(self._factory, "gguf_deployment", None)
        if path is None or dense is None or of_gguf is None:
            return dense, None
        key = self._about(pair.compressed, DEPLOYMENT)  # to read such a file takes seconds
        text = self.cache.get_many([key]).get(key)
        if text is None:
            text = encode(of_gguf(path, dense))
            self.cache.put_many({key: text})
        return dense, decode(key, text)

    def _dense_deployment(
        self, dense: Arm, describe: Callable[[Path | None], Deployment]
    ) -> Deployment | None:
        """Return how the dense model would be served, by its files or by the baseline."""
        key = self._about(dense, DEPLOYMENT)
        if self._lacks(dense.model):
            text = self.reference.baseline and self.reference.baseline.entries.get(key)
            return decode(key, text) if text else None
        if dense.model not in self._deployments:
            self._deployments[dense.model] = describe(self._folder(dense.model))
        found = self._deployments[dense.model]
        self.reference.keep(dense, {key: encode(found)})
        return found

    def digest(self, arm: Arm) -> str:
        """Return what identifies `arm` in the cache.

        Raises ModelError when it is not there, BaselineError when a baseline is of another one.
        """
        if arm not in self._digests:
            identity = self.identity(arm)
            self.reference.check(arm, identity)
            self._digests[arm] = identity.digest()
        return self._digests[arm]

    def identity(self, arm: Arm) -> Identity:
        """Return all that can change the answers of `arm`, beside the request."""
        return arm_identity(
            arm,
            None if self._lacks(arm.model) else self._folder(arm.model),
            platform=platform_of(arm.model, self._backend_key),
            seed=self._settings.seed,
            calibration=self._texts_for(arm),
            files=self.files,
            instead=self.reference.files(arm.model) if self._lacks(arm.model) else "",
        )

    @property
    def crowded(self) -> bool:
        """Whether models have to make room for each other."""
        return self.one_model or self._squeezed

    @property
    def forward_passes(self) -> int:
        """Number of forward passes so far; 0 when the cache knew everything."""
        return self._passes_of_closed + sum(map(_passes, self._loaded.values()))

    def close(self) -> None:
        """Free all models. The cache stays open: it belongs to the caller."""
        for arm in list(self._loaded):
            self._free(arm)

    def _compute(self, arm: Arm, missing: dict[str, Request]) -> dict[str, Response]:
        """Answer `missing` with the backend, storing every batch as soon as it is there."""
        if self._lacks(arm.model) and self.reference.speaks_for(arm):
            raise self.reference.missing(list(missing.values()))
        keys = list(missing)
        answered: dict[str, Response] = {}
        with self.progress.bar(f"{arm.model} {arm.name}", len(keys)) as bar:
            for batch in self._load(arm).answer(list(missing.values())):
                new = {keys[index]: response for index, response in batch}
                self._check_unchanged()
                self._cache_of(arm).put_many({key: encode(value) for key, value in new.items()})
                answered.update(new)
                bar.advance(len(new))
        if len(answered) != len(missing):
            message = (
                f"backend '{self._backend_name}' answered {len(answered)} of {len(missing)} "
                "requests. Expected an answer, or a problem, for each one."
            )
            raise ModelError(message)
        return answered

    def _has_room(self, arm: Arm) -> bool:
        """Whether `arm` may be loaded beside what is loaded."""
        fits = getattr(self._factory, "fits", None)
        return not self.one_model and (fits is None or bool(fits(arm)))

    def _load(self, arm: Arm) -> Backend:
        """Return the arm's backend; other arms are freed first where they have to be."""
        if arm not in self._loaded:
            facts = self._about(Arm(arm.model), FACTS)
            told = self.reference.facts(arm, facts) if self._lacks(arm.model) else None
            while self._loaded and (told or not self._has_room(arm)):
                self._free(next(iter(self._loaded)))
                self._squeezed = True
            share = SHARE_OF_BATCH_AGAIN if arm.again else 1.0
            served = self._served(arm) if told else None
            settings = replace(
                self._settings,
                batch_share=share,
                stored=self._stored(arm),
                dense=told,
                served=served,
            )
            loaded = self._factory(arm, settings)
            self._check_same(arm)
            self._loaded[arm] = loaded
            self.models_loaded += 1
            key = self._record_key(arm) if loaded.record is not None else ""
            if loaded.record is not None and not self._cache_of(arm).get_many([key]):
                self._cache_of(arm).put_many({key: encode(loaded.record)})
        else:
            self._loaded[arm] = self._loaded.pop(arm)  # the one used last is freed last
        return self._loaded[arm]

    def _served(self, arm: Arm) -> Deployment | None:
        """Return how the dense model of an arm is deployed, where its backend says."""
        describe = getattr(self._factory, "deployment", None)
        return self._dense_deployment(Arm(arm.model), describe) if describe else None

    def _cache_of(self, arm: Arm) -> Cache:
        """Return where answers of `arm` are stored: in memory where its code does not identify it.

        A user's function that reads a file may give another model tomorrow, under the same key.
        """
        own = own_modules(arm.compression) if arm.compression else ()
        return self._unstored if any(map(doubt_about, own)) else self.cache

    def _check_same(self, arm: Arm) -> None:
        """Raise ModelError where what was loaded is not what was digested before."""
        if self.identity(arm).digest() != self.digest(arm):
            raise _changed([self._folder(arm.model) or Path(str(arm.model))])

    def _check_unchanged(self) -> None:
        """Raise ModelError where a file that was digested has other bytes now."""
        changed = self.files.changed()
        if changed:
            raise _changed(changed)

    def _texts_for(self, arm: Arm) -> tuple[str, ...] | None:
        """Return the calibration texts if they can change what `arm` answers."""
        texts = self._settings.calibration
        if texts is None or arm.compression is None or not looks_at_texts(arm.compression):
            return None
        return texts.texts

    def _stored(self, arm: Arm) -> StoredModel | None:
        """Return where the arm's compressed model lies, or will; None where none is kept."""
        if self._store is None or arm.compression is None or not is_worth_storing(arm.compression):
            return None
        return StoredModel(self._store.folder, self.digest(arm), self._store.limit_bytes)

    def _free(self, arm: Arm) -> None:
        """Free one arm's model."""
        backend = self._loaded.pop(arm)
        self._passes_of_closed += _passes(backend)
        backend.close()

    def _record_key(self, arm: Arm) -> str:
        """Return the key of an arm's compression record."""
        return self._about(arm, "compression record")

    def _about(self, arm: Arm, what: str) -> str:
        """Return the key of what is known of an arm beside its answers."""
        return digest_json({"arm": self.digest(arm), "what": what})

    def _describe(self, arm: Arm) -> None:
        """Keep what is to be remembered of the dense model, which is loaded if need be."""
        dense = Arm(arm.model)
        key = self._about(dense, FACTS)
        if key in self.reference.kept or not self.reference.speaks_for(arm):
            return
        text = self.cache.get_many([key]).get(key)
        facts = None if text else getattr(self._load(dense), "facts", None)
        if facts:
            text = encode(facts())
            self.cache.put_many({key: text})
        self.reference.keep(dense, {key: text} if text else {})

    def _lacks(self, model: ModelSpec) -> str:
        """Return why the files of the dense model cannot be used; empty where they can."""
        return self.reference.lacks(model) if self._reads_folder else ""

    def _folder(self, model: ModelSpec) -> Path | None:
        """Return the folder of a model's files; None for a backend that reads none."""
        return locate(model) if self._reads_folder else None

    def _own_tokenizer(self, arm: Arm) -> Path | None:
        """Return the folder of a checkpoint with a tokenizer; None where the dense one's counts."""
        step = arm.compression.steps[0] if arm.compression else None
        if step is None or step.method != "checkpoint":
            return None
        try:
            return self._folder(ModelSpec.parse(step.parameter))
        except LlmSafetyError:
            return None


def _changed(paths: Sequence[Path]) -> ModelError:
    """Return the error for files that another program wrote to during the run."""
    more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    return ModelError(
        f"'{paths[0]}'{more} changed while the run was going, so its answers would be those of two "
        "different models. Nothing was stored since. Expected files that stay as they are until "
        "the run ends: write a new model into a folder of its own, and run again."
    )


def _name_of(backend: BackendFactory) -> str:
    """Return what stands for a backend class of the user's in the cache key."""
    return f"{backend.__module__}:{getattr(backend, '__qualname__', type(backend).__name__)}"


def answer_of(request: Request, response: Response) -> Response:
    """Return the answer in a response to a conversation; any other response as it is."""
    if isinstance(request, Generate) and request.chat and isinstance(response, Generation):
        return answered(response, request.think_end)
    return response


def _passes(backend: Backend) -> int:
    """Return the forward passes that a backend has counted; 0 where it counts none."""
    return int(getattr(backend, "forward_passes", 0))
