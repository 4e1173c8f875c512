"""The engine: the cache is asked first, and whatever was computed is kept."""

from __future__ import annotations

import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import CacheError, ModelError, ScorerError
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.models.identity import request_key
from pytest_llmsafety.progress import Bar, Log
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Generate, Generation, Likelihood, Loglikelihood

MODEL = ModelSpec("made-up", device="cpu")
PAIR = ModelPair(MODEL, CompressionSpec.parse("int4"))
REQUESTS = [Loglikelihood("a", f" {number}") for number in range(40)]
RECORD = CompressionRecord("int4", (("library", "q"),), ("a", "b"), (("c", "why"),), 4.5, 0.0, 9, 3)


def telling(calls, **asked):
    """Return a backend class that answers with the request's length and counts its calls."""

    def answer(arm, request):
        calls[arm.name, request] += 1
        if isinstance(request, Generate):
            return Generation((request.context * 2,), (2,), (True,), 1)
        return Likelihood(-float(len(request.continuation)), 1, is_greedy=arm.name == "dense")

    return FakeBackend.factory(answer, **asked)


@pytest.fixture
def calls():
    """How often each (arm, request) was computed."""
    return Counter()


def test_answers_come_in_the_order_of_the_requests(calls):
    """Whatever the order of the backend, response i belongs to request i."""
    engine = Engine(Cache(None), backend=telling(calls))
    shuffled = random.Random(0).sample(REQUESTS, len(REQUESTS))  # noqa: S311 - no secret
    assert [r.logprob for r in engine.answer(PAIR.dense, shuffled)] == [
        -float(len(r.continuation)) for r in shuffled
    ]


def test_equal_requests_are_computed_once(calls):
    """Doubles in one call, and repeats in later calls, cost nothing."""
    engine = Engine(Cache(None), backend=telling(calls))
    engine.answer(PAIR.dense, REQUESTS * 2)
    engine.answer(PAIR.dense, REQUESTS)
    assert set(calls.values()) == {1}
    assert engine.models_loaded == 1


def test_a_second_run_computes_nothing(calls, tmp_path):
    """With the same arguments every answer, record and score comes from the file."""
    backend = telling(calls, records={"int4": RECORD})
    asked = [*REQUESTS, Generate("b", key="k", stop=("x",))]
    first = Engine(Cache(tmp_path / "c.db"), backend=backend)
    answers = [first.answer(arm, asked) for arm in (PAIR.dense, PAIR.compressed)]
    assert first.record(PAIR.compressed) == RECORD
    first.close()
    again = Engine(Cache(tmp_path / "c.db"), backend=backend)
    assert [again.answer(arm, asked) for arm in (PAIR.dense, PAIR.compressed)] == answers
    assert again.record(PAIR.compressed) == RECORD
    assert again.models_loaded == 0
    assert again.forward_passes == 0
    assert set(calls.values()) == {1}


def test_the_dense_arm_is_computed_once_for_all_specs(calls):
    """Pairs of one model share its dense answers."""
    engine = Engine(Cache(None), backend=telling(calls))
    for text in ("int8", "int4", "wanda:0.5"):
        pair = ModelPair(MODEL, CompressionSpec.parse(text))
        engine.answer(pair.dense, REQUESTS)
        engine.answer(pair.compressed, REQUESTS)
    assert Counter(arm for arm, _ in calls) == Counter(
        {name: len(REQUESTS) for name in ("dense", "int8", "int4", "wanda:0.5")}
    )
    assert set(calls.values()) == {1}


def test_a_missing_record_is_had_by_loading(calls):
    """record() loads the compressed arm where no answer was asked for yet, once."""
    engine = Engine(Cache(None), backend=telling(calls, records={"int4": RECORD}))
    assert engine.record(PAIR.dense) is None
    assert engine.models_loaded == 0
    assert engine.record(PAIR.compressed) == RECORD
    assert engine.record(PAIR.compressed) == RECORD
    assert engine.models_loaded == 1


def test_the_seed_of_a_spec_wins(calls):
    """`@seed=1` is the same arm whatever the run's seed is, and as a run with seed 1."""
    model = ModelSpec("fake")
    own, plain = (Arm(model, CompressionSpec.parse(f"wanda:0.5{end}")) for end in ("@seed=1", ""))
    engines = [Engine(Cache(None), backend=telling(calls), seed=seed) for seed in (0, 1)]
    digests = {engine.digest(own) for engine in engines}
    assert len(digests) == 1
    assert [engine.digest(plain) in digests for engine in engines] == [False, True]


def test_calibration_texts_count_for_those_who_look_at_them(calls):
    """Other texts are another wanda, and the same int4."""
    model = ModelSpec("fake")
    for spec, kinds in (("wanda:0.5", 2), ("int4", 1)):
        arm = Arm(model, CompressionSpec.parse(spec))
        engines = [Engine(Cache(None), backend=telling(calls), calibration=[t]) for t in "ab"]
        assert len({engine.digest(arm) for engine in engines}) == kinds


def test_another_seed_compresses_anew(calls, tmp_path):
    """The seed of the compression is part of the compressed arm's key, not of the dense one's."""
    for seed in (0, 1):
        engine = Engine(Cache(tmp_path / "c.db"), backend=telling(calls), seed=seed)
        engine.answer(PAIR.dense, REQUESTS[:1])
        engine.answer(PAIR.compressed, REQUESTS[:1])
    assert calls["dense", REQUESTS[0]] == 1
    assert calls["int4", REQUESTS[0]] == 2


@pytest.mark.parametrize("one_model", [False, True])
def test_memory_for_one_model_only(calls, *, one_model):
    """Where both do not fit, or may not, the other is freed before the next is loaded."""
    living, most = set(), []

    class Tight(telling(calls)):
        @staticmethod
        def fits(_arm):
            return one_model or not living

        def __init__(self, arm, settings):
            super().__init__(arm, settings)
            living.add(arm.name)
            most.append(len(living))

        def close(self):
            living.discard(self.arm.name)

    engine = Engine(Cache(None), backend=Tight)
    engine.one_model = one_model
    assert engine.crowded is one_model
    engine.answer(PAIR.dense, REQUESTS)
    engine.answer(PAIR.compressed, REQUESTS)
    assert living == {"int4"}
    assert engine.crowded
    engine.close()
    assert not living
    assert most == [1, 1]


def test_the_record_of_the_first_loading_stays(calls):
    """A model that is loaded again, and took another time, still has one record."""
    took = iter([1.0, 2.0])

    class Slow(telling(calls, records={"int4": RECORD})):
        def __init__(self, arm, settings):
            super().__init__(arm, settings)
            if self.record:
                self.record = replace(RECORD, seconds=next(took))

    engine = Engine(Cache(None), backend=Slow)
    engine.one_model = True
    for key in "ab":
        engine.answer(PAIR.compressed, [Generate(key)])
        engine.answer(PAIR.dense, [Generate(key)])
        assert engine.record(PAIR.compressed).seconds == 1.0
    assert next(took, None) is None


def test_a_backend_that_forgets_a_request_is_an_error(calls):
    """A missing answer is never made up."""

    class Forgetful(telling(calls)):
        def answer(self, _requests):
            yield [(0, Likelihood(-1.0, 1))]

    with pytest.raises(ModelError, match="answered 1 of 40 requests"):
        Engine(Cache(None), backend=Forgetful).answer(PAIR.dense, REQUESTS)


def test_a_problem_is_kept_as_a_problem():
    """A response without a number survives the cache as such."""
    broken = Likelihood(None, 3, problem="NaN or Inf logits")
    engine = Engine(Cache(None), backend=FakeBackend.factory(lambda *_: broken))
    assert engine.answer(PAIR.dense, REQUESTS[:1]) == [broken]
    assert engine.answer(PAIR.dense, REQUESTS[:1]) == [broken]


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "Evil"}', '{"kind": "Likelihood"}'])
def test_an_entry_of_another_form_is_an_error(calls, text):
    """What is stored under an answer's key and is no answer raises, naming the entry."""
    cache = Cache(None)
    engine = Engine(cache, backend=telling(calls))
    engine.answer(PAIR.dense, REQUESTS[:1])
    (key,) = [row[0] for row in cache._connection.execute("SELECT key FROM entry")]
    cache.put_many({key: text})
    with pytest.raises(CacheError, match=key):
        engine.answer(PAIR.dense, REQUESTS[:1])


class Length:
    """A scorer that counts letters, and its own calls."""

    name = "length"

    def __init__(self, digest="1"):
        """Stand for another scorer under another digest."""
        self.digest = digest
        self.seen = Counter()

    def score(self, texts):
        """Return lengths."""
        self.seen.update(texts)
        return [float(len(text)) for text in texts]


def test_scores_are_cached_by_scorer_and_text():
    """Equal texts are scored once; another scorer's numbers are its own."""
    engine, scorer = Engine(Cache(None), backend=FakeBackend), Length()
    texts = [f"text {number % 90}" for number in range(200)]
    assert engine.classify(scorer, texts) == [float(len(text)) for text in texts]
    assert engine.classify(scorer, texts) == [float(len(text)) for text in texts]
    assert set(scorer.seen.values()) == {1}
    other = Length("2")
    engine.classify(other, texts[:1])
    assert other.seen == {"text 0": 1}


@pytest.mark.parametrize("scores", [[1.0], [1.0, math.nan], [math.inf, 0.0]])
def test_a_scorer_that_fails_is_an_error(scores):
    """Too few numbers, NaN and Inf are errors, never scores."""
    scorer = Length()
    scorer.score = lambda _texts: scores
    with pytest.raises(ScorerError, match="'length'"):
        Engine(Cache(None), backend=FakeBackend).classify(scorer, ["a", "b"])


def test_the_fake_by_name_answers_everything():
    """backend=FakeBackend gives answers that depend on the arm and the request only."""
    engine = Engine(Cache(None), backend=FakeBackend)
    asked = [*REQUESTS, Generate("a", n=3)]
    dense, compressed = (engine.answer(arm, asked) for arm in (PAIR.dense, PAIR.compressed))
    assert dense != compressed
    assert dense == Engine(Cache(None), backend=FakeBackend).answer(PAIR.dense, asked)
    assert len(dense[-1].texts) == 3
    assert engine.tokens(PAIR.dense, ["ab"]) == [(97, 98)]


RUN = """
import json, os, sys, time
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.specs import Arm
from pytest_llmsafety.types import (Likelihood, Loglikelihood)
from pytest_llmsafety.specs import ModelSpec

log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def answer(arm, request):
    os.write(log, (request.continuation + "\\n").encode())
    time.sleep(0.003)
    return Likelihood(-float(request.continuation), 1)

engine = Engine(Cache(sys.argv[1]), backend=FakeBackend.factory(answer, batch=8))
asked = [Loglikelihood("a", str(number)) for number in range(200)]
answers = engine.answer(Arm(ModelSpec("made-up", device="cpu")), asked)
print(json.dumps([a.logprob for a in answers]))
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_resumes_and_repeats_one_batch_at_most(tmp_path, seed):
    """A kill -9 at random moments costs at most the batch in flight, each time."""
    wait = random.Random(seed)  # noqa: S311 - no secret
    log, kills = tmp_path / "log", 0
    command = [sys.executable, "-c", RUN, str(tmp_path / "c.db"), str(log)]
    while True:
        done = len(log.read_text().split()) if log.exists() else 0
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        deadline, goal = time.monotonic() + 30, done + wait.randrange(1, 90)
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and len(log.read_text().split()) >= goal:
                break
            time.sleep(0.002)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    assert json.loads(process.communicate()[0]) == [-float(number) for number in range(200)]
    computed = log.read_text().split()
    assert set(computed) == {str(number) for number in range(200)}
    assert len(computed) - 200 <= 8 * kills
    assert kills


def test_a_bar_shows_what_runs():
    """On a file for it: the model, the arm and how far it is. Without one: nothing."""
    shown = io.StringIO()
    engine = Engine(Cache(None), backend=FakeBackend, progress=Bar(shown))
    engine.answer(PAIR.compressed, REQUESTS)
    engine.classify(Length(), ["a"])
    engine.progress.note("out of memory")
    for words in ("made-up int4", "scoring with length", "/40", "out of memory\n"):
        assert words in shown.getvalue()


def test_a_log_has_a_line_now_and_then():
    """It tells which model answers and how far it is; before the first minute nothing."""
    shown, silent = io.StringIO(), io.StringIO()
    for log in (Log(shown, who="gw1", seconds=0), Log(silent)):
        Engine(Cache(None), backend=FakeBackend, progress=log).answer(PAIR.compressed, REQUESTS)
    assert shown.getvalue().endswith("\nllmsafety gw1: made-up int4: 40 of 40 requests\n")
    assert not silent.getvalue()
    log.note("out of memory")
    assert silent.getvalue() == "\nllmsafety: out of memory\n"


def test_no_bar_without_a_place_for_it(capfd):
    """Quiet runs stay as they are."""
    Engine(Cache(None), backend=FakeBackend).answer(PAIR.dense, REQUESTS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("when", ["load", "answer"])
def test_a_model_that_changes_under_the_run_is_an_error(calls, tmp_path, shared, when):
    """Weights that are swapped between digest, load and answer are never stored as the old ones."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (shared / "models" / "stories260K").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())

    class Swapped(telling(calls)):
        reads_folder = True

        def __init__(self, *asked):
            super().__init__(*asked)
            self.swap("load")

        def answer(self, requests):
            for batch in super().answer(requests):
                self.swap("answer")
                yield batch

        def swap(self, now):
            weights = folder / "model.safetensors"
            if now == when:
                weights.write_bytes(weights.read_bytes()[:-1] + b"!")

    engine = Engine(Cache(None), backend=Swapped)
    with pytest.raises(ModelError, match=r"model.*changed while the run was going"):
        engine.answer(Arm(ModelSpec(str(folder), device="cpu")), REQUESTS)
    stored = engine.cache.get_many(
        [request_key(engine.digest(Arm(ModelSpec(str(folder), device="cpu"))), r) for r in REQUESTS]
    )
    assert not stored


def test_answers_of_a_function_that_reads_a_file_are_not_stored(calls, tmp_path, monkeypatch):
    """They are kept for the run that asked, and the next one asks again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reading.py").write_text("def prune(model): open('mask.txt')")
    arm = Arm(MODEL, CompressionSpec.parse("reading:prune"))
    for run in (1, 2):
        engine = Engine(Cache(tmp_path / "c.db"), backend=telling(calls))
        for _ in range(2):
            engine.answer(arm, REQUESTS[:1])
        assert sum(calls.values()) == run
