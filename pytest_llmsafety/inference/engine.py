"""Engine: asks the cache first, sends the rest to a backend, and stores every batch at once."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors import is_worth_storing, looks_at_texts, own_modules
from pytest_llmsafety.compressors.model_store import Store, StoredModel
from pytest_llmsafety.errors import LlmSafetyError, ModelError, PlanOnlyError, ScorerError
from pytest_llmsafety.inference.backends import BACKENDS, backend_of
from pytest_llmsafety.inference.backends.base import SHARE_OF_BATCH_AGAIN, BackendSettings
from pytest_llmsafety.inference.backends.thinking import without_thoughts
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.cached_loop import complete
from pytest_llmsafety.inference.codec import decode, encode
from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.models.digests import FileDigests, digest_json
from pytest_llmsafety.models.identity import (
    arm_identity,
    code_digest,
    platform_of,
    request_key,
)
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.user_code import doubt_about
from pytest_llmsafety.progress import Progress
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import CalibrationTexts, Generate, Generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.inference.backends.base import Backend
    from pytest_llmsafety.metrics.scorers.base import Scorer
    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.models.identity import Identity
    from pytest_llmsafety.specs import ModelPair
    from pytest_llmsafety.types import Request, Response

TEXTS_AT_ONCE = 64
FACTS, DEPLOYMENT = "dense model", "deployment"


class Engine:
    """Answers requests for any arm, each one computed at most once for a cache.

    `seed` and `calibration` (texts) are for the compression; `batch_tokens`, `progress` and
    `store`, where compressed models are kept, do not change any answer. `backend` runs every
    model; None takes the one that the model's spec names. `models_loaded` and `forward_passes`
    count what this engine had to compute.

    Set `one_model` to free every model before another is loaded, however much room there is,
    `dense_source` where the dense model's answers come from or go to a baseline, and `only_plans`
    to raise PlanOnlyError instead of asking any model.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        batch_tokens: int | None = None,
        seed: int = 0,
        calibration: CalibrationTexts | Sequence[str] | None = None,
        progress: Progress | None = None,
        backend: type[Backend] | None = None,
        store: Store | None = None,
    ) -> None:
        """Take the settings; models are loaded when they are needed."""
        self.cache = cache
        self.files = FileDigests(cache)
        self.dense_source = DenseSource()
        self.progress = progress or Progress()
        self.models_loaded = 0
        self.one_model = False
        self.only_plans = False
        self._squeezed = False
        if calibration is not None and not isinstance(calibration, CalibrationTexts):
            calibration = CalibrationTexts(tuple(calibration), "texts")
        self._store = store
        self._settings = BackendSettings(
            seed, calibration, batch_tokens, self.progress.note, progress=self.progress.stage
        )
        self._backend = backend
        self._loaded: dict[Arm, Backend] = {}
        self._digests: dict[Arm, str] = {}
        self._tokenizers: dict[Path, tuple[str, ...]] = {}
        self._deployments: dict[ModelSpec, Deployment | None] = {}
        self._unstored = Cache(None)
        self._passes_of_closed = 0

    def answer(self, arm: Arm, requests: Sequence[Request]) -> list[Response]:
        """Return one response for each request, in order; equal requests are computed once.

        Thoughts are removed from the answers to conversations; a text that is nothing but thought
        becomes a problem. Raises ModelError, CompressionError, BaselineError or CacheError.
        """
        digest = self.digest(arm)
        keys = [request_key(digest, request) for request in requests]
        texts = self.dense_source.answers(arm, keys)
        found = {key: decode(key, text) for key, text in texts.items()}
        unanswered = {key: r for key, r in zip(keys, requests, strict=True) if key not in found}
        found |= complete(
            self._cache_of(arm),
            unanswered,
            partial(self._compute, arm),
            self.progress,
            f"{arm.model} {arm.name}",
        )
        self._check_unchanged()
        if self.dense_source.collects:
            self._describe(arm)
            self.dense_source.keep(arm, {key: encode(found[key]) for key in keys})
        return [answer_of(r, found[key]) for key, r in zip(keys, requests, strict=True)]

    def can_answer(self, arm: Arm, requests: Sequence[Request]) -> bool:
        """Return whether `answer` can answer these; without dense weights, what is stored."""
        if not self._absence_of(arm.model):
            return True
        keys = [request_key(self.digest(arm), request) for request in requests]
        stored = self.cache.get_many(keys)
        return all(key in stored or self.dense_source.has(key) for key in keys)

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
        keys = [digest_json({"scorer": scorer.digest, "text": text}) for text in texts]
        found = complete(
            self.cache,
            dict(zip(keys, texts, strict=True)),
            partial(_scores, scorer),
            self.progress,
            f"scoring with {scorer.name}",
        )
        return [found[key] for key in keys]

    def tokens(self, arm: Arm, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids of each text for `arm`, without loading its weights.

        A `checkpoint` with a tokenizer of its own uses that. Where the dense model's files are not
        available, its token ids come from the baseline.
        """
        own = self._own_tokenizer(arm)
        self.digest(arm)  # before the files are read, so that a change is noticed
        keys = [self._about(Arm(arm.model), f"tokens of {text}") for text in texts]
        if own is None and self._absence_of(arm.model):
            return self.dense_source.tokens(keys)
        ids = self.backend_of(arm.model).tokens(own or self.folder(arm.model), texts)
        pairs = zip(keys, ids, strict=True)
        self.dense_source.keep(arm, {key: json.dumps(one) for key, one in pairs})
        return ids

    def tokenizer_differences(self, arm: Arm) -> tuple[str, ...]:
        """Return the names of the parts in which a checkpoint's tokenizer differs.

        Empty where the arm has no tokenizer of its own, and in a baseline run, where the backend
        compares the two before it answers.
        """
        own = self._own_tokenizer(arm)
        dense = None if self._absence_of(arm.model) else self.folder(arm.model)
        if own is None or dense is None:
            return ()
        if own not in self._tokenizers:
            rules = self.backend_of(arm.model).tokenizer_rules
            mine, theirs = dict(rules(dense)), dict(rules(own))
            self._tokenizers[own] = tuple(
                name for name in (mine | theirs) if mine.get(name) != theirs.get(name)
            )
        return self._tokenizers[own]

    def deployments(self, pair: ModelPair) -> tuple[Deployment | None, Deployment | None]:
        """Return how the dense model and the compressed one, a checkpoint, would be served.

        None where the backend does not say, where there is no checkpoint, or where neither the
        dense model's files nor its baseline are available.
        """
        backend, dense = self.backend_of(pair.model), self._dense_deployment(pair.model)
        own, path = pair.compressed.checkpoint, pair.compressed.gguf
        if own is not None and backend.reads_folder:
            if own not in self._deployments:
                self._deployments[own] = backend.deployment(locate(own, tokenizer=False))
            return dense, self._deployments[own]
        if path is None or dense is None:
            return dense, None
        key = self._about(pair.compressed, DEPLOYMENT)  # to read such a file takes seconds
        text = self.cache.get_many([key]).get(key)
        if text is not None:
            return dense, decode(key, text)
        found = backend.gguf_deployment(path, dense)
        self.cache.put_many({key: encode(found)} if found else {})
        return dense, found

    def _dense_deployment(self, model: ModelSpec) -> Deployment | None:
        """Return how the dense model would be served, by its files or by the baseline."""
        dense = Arm(model)
        key = self._about(dense, DEPLOYMENT)
        if self._absence_of(model):
            text = self.dense_source.baseline and self.dense_source.baseline.entries.get(key)
            return decode(key, text) if text else None
        if model not in self._deployments:
            self._deployments[model] = self.backend_of(model).deployment(self.folder(model))
        found = self._deployments[model]
        self.dense_source.keep(dense, {key: encode(found)} if found else {})
        return found

    def digest(self, arm: Arm) -> str:
        """Return what identifies `arm` in the cache.

        Raises ModelError when it is not there, BaselineError when a baseline is of another one,
        and PlanOnlyError where the session only plans.
        """
        if self.only_plans:
            message = "--llmsafety-plan asks no model, so there are no scores or answers to read."
            raise PlanOnlyError(message)
        if arm not in self._digests:
            identity = self.identity(arm)
            self.dense_source.check(arm, identity)
            self._digests[arm] = identity.digest()
        return self._digests[arm]

    def identity(self, arm: Arm) -> Identity:
        """Return everything except the request that can change the answers of `arm`."""
        return arm_identity(
            arm,
            None if self._absence_of(arm.model) else self.folder(arm.model),
            platform=platform_of(arm.model, self._backend_key(arm.model)),
            seed=self._settings.seed,
            calibration=self._texts_for(arm),
            files=self.files,
            known_digest=self.dense_source.files(arm.model) if self._absence_of(arm.model) else "",
        )

    @property
    def crowded(self) -> bool:
        """Return whether models have to make room for each other."""
        return self.one_model or self._squeezed

    @property
    def forward_passes(self) -> int:
        """Return the number of forward passes so far; 0 if the cache had all answers."""
        return self._passes_of_closed + sum(one.forward_passes for one in self._loaded.values())

    def close(self) -> None:
        """Free all models. The cache stays open: it belongs to the caller."""
        for arm in list(self._loaded):
            self._free(arm)

    def backend_of(self, model: ModelSpec) -> type[Backend]:
        """Return the class of the backend that runs `model`. Raises UnknownNameError."""
        return self._backend or backend_of(model)

    def folder(self, model: ModelSpec) -> Path | None:
        """Return the folder of a model's files; None for a backend that reads none.

        Raises ModelError where there is no such folder.
        """
        return locate(model) if self.backend_of(model).reads_folder else None

    def _backend_key(self, model: ModelSpec) -> str:
        """Return the backend's part of the cache key: its name, and a digest of a user's code."""
        backend = self.backend_of(model)
        if self._backend is None and model.backend in BACKENDS.table:
            return model.backend
        name = f"{backend.__module__}:{backend.__qualname__}"
        return f"{name} {code_digest(backend.__module__)}"

    def _compute(
        self, arm: Arm, requests: list[Request]
    ) -> Iterator[Sequence[tuple[int, Response]]]:
        if self._absence_of(arm.model) and self.dense_source.is_dense(arm):
            raise self.dense_source.missing_error(requests)
        answered: set[int] = set()
        for batch in self._load(arm).answer(requests):
            self._check_unchanged()
            answered.update(index for index, _ in batch)
            yield batch
        if len(answered) != len(requests):
            message = (
                f"backend '{self.backend_of(arm.model).__qualname__}' answered {len(answered)} of "
                f"{len(requests)} requests. Expected an answer, or a problem, for each one."
            )
            raise ModelError(message)

    def _has_room(self, arm: Arm) -> bool:
        return not self.one_model and self.backend_of(arm.model).fits(arm)

    def _load(self, arm: Arm) -> Backend:
        """Return the arm's backend, after freeing others where there is no room for it."""
        if arm not in self._loaded:
            key, dense = self._about(Arm(arm.model), FACTS), None
            if self._absence_of(arm.model):
                dense = self.dense_source.facts(arm, key)
            while self._loaded and (dense or not self._has_room(arm)):
                self._free(next(iter(self._loaded)))
                self._squeezed = True
            share = SHARE_OF_BATCH_AGAIN if arm.again else 1.0
            served = self._dense_deployment(arm.model) if dense else None
            settings = replace(
                self._settings,
                batch_share=share,
                stored=self._stored(arm),
                dense=dense,
                served=served,
            )
            loaded = self.backend_of(arm.model)(arm, settings)
            self._check_same(arm)
            self._loaded[arm] = loaded
            self.models_loaded += 1
            key = self._record_key(arm) if loaded.record is not None else ""
            if loaded.record is not None and not self._cache_of(arm).get_many([key]):
                self._cache_of(arm).put_many({key: encode(loaded.record)})
        else:
            self._loaded[arm] = self._loaded.pop(arm)  # the one used last is freed last
        return self._loaded[arm]

    def _cache_of(self, arm: Arm) -> Cache:
        """Return where answers of `arm` are stored: in memory if its code does not identify it.

        A user's function that reads a file may give another model tomorrow, under the same key.
        """
        own = own_modules(arm.compression) if arm.compression else ()
        return self._unstored if any(map(doubt_about, own)) else self.cache

    def _check_same(self, arm: Arm) -> None:
        """Raise ModelError where the loaded files are not those that were digested before."""
        if self.identity(arm).digest() != self.digest(arm):
            raise _changed([self.folder(arm.model) or Path(str(arm.model))])

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
        """Return where the compressed model of `arm` is kept; None where none is."""
        if self._store is None or arm.compression is None or not is_worth_storing(arm.compression):
            return None
        return StoredModel(self._store.folder, self.digest(arm), self._store.limit_bytes)

    def _free(self, arm: Arm) -> None:
        backend = self._loaded.pop(arm)
        self._passes_of_closed += backend.forward_passes
        backend.close()

    def _record_key(self, arm: Arm) -> str:
        return self._about(arm, "compression record")

    def _about(self, arm: Arm, what: str) -> str:
        """Return the key of other facts about an arm than its answers."""
        return digest_json({"arm": self.digest(arm), "what": what})

    def _describe(self, arm: Arm) -> None:
        """Keep the dense model's facts for a new baseline; the model is loaded if need be."""
        dense = Arm(arm.model)
        key = self._about(dense, FACTS)
        if key in self.dense_source.kept or not self.dense_source.is_dense(arm):
            return
        text = self.cache.get_many([key]).get(key)
        facts = None if text else self._load(dense).facts()
        if facts:
            text = encode(facts)
            self.cache.put_many({key: text})
        self.dense_source.keep(dense, {key: text} if text else {})

    def _absence_of(self, model: ModelSpec) -> str:
        """Return why the dense model's files cannot be used; empty where they can."""
        return self.dense_source.absence_of(model) if self.backend_of(model).reads_folder else ""

    def _own_tokenizer(self, arm: Arm) -> Path | None:
        """Return the folder of a checkpoint that has a tokenizer; None for any other arm."""
        own = arm.checkpoint
        if own is None or not self.backend_of(arm.model).reads_folder:
            return None
        try:
            return locate(own)
        except LlmSafetyError:
            return None


def _changed(paths: Sequence[Path]) -> ModelError:
    """Return the error for files that another program wrote to during the run."""
    more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    return ModelError(
        f"'{paths[0]}'{more} changed while the run was going, so its answers would come from two "
        "different models. Nothing was stored since. Expected files that stay as they are until "
        "the run ends: write a new model into a folder of its own, and run again."
    )


def answer_of(request: Request, response: Response) -> Response:
    """Return the answer in a response to a conversation; any other response as it is."""
    if isinstance(request, Generate) and request.chat and isinstance(response, Generation):
        return without_thoughts(response, request.think_end)
    return response


def _scores(scorer: Scorer, texts: list[str]) -> Iterator[list[tuple[int, float]]]:
    """Yield the scorer's numbers, one finite number a text."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = texts[start : start + TEXTS_AT_ONCE]
        scores = [float(value) for value in scorer.score(part)]
        if len(scores) != len(part) or not all(map(math.isfinite, scores)):
            message = (
                f"scorer '{scorer.name}' returned {len(scores)} numbers for {len(part)} texts, "
                f"{sum(map(math.isfinite, scores))} of them finite. Expected a finite number for "
                "each."
            )
            raise ScorerError(message)
        yield [*enumerate(scores, start)]
