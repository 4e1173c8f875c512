"""A second look at a gate is counted, the same run again is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.gate import gate, observe
from pytest_llmsafety.assertions.means import assess_mean
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.look_history import Looks, look_note, ordinal
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.models.identity import Identity, Platform
from tests.stand_ins.lazy_measurement import ITEMS, Answers, SpokenNumber
from tests.stand_ins.measurements import PAIR

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.specs import Arm


def test_other_draws_count_and_repetitions_do_not(tmp_path: Path) -> None:
    """Each new look is one more, whichever process counts; an old one leaves the number."""
    path = tmp_path / "new" / "looks.sqlite"
    numbers = [Looks(path).count(["gate", 0.02], [seed, "a", "b"]) for seed in (0, 1, 1, 2, 0)]
    assert numbers == [1, 2, 2, 3, 3]
    assert Looks(path).count(["gate", 0.03], [0, "a", "b"]) == 1


def test_without_a_file_nothing_is_counted(tmp_path: Path) -> None:
    """No cache, a file that is none, a folder that takes no file: 0, and no error."""
    broken, folder = tmp_path / "broken.sqlite", tmp_path / "folder"
    broken.write_text("this is not a database, and long enough to be taken for a damaged one")
    folder.mkdir()
    for path in (None, broken, folder, broken / "below"):
        assert Looks(path).count(["gate"], [0]) == 0


def test_a_further_look_says_so() -> None:
    """The first look says nothing; the third names itself and what it does to error rates."""
    assert look_note(0) == look_note(1) == ""
    assert look_note(3).startswith("third look at this gate")
    assert [ordinal(n) for n in (1, 9, 11, 21, 22, 23, 112)] == [
        "first", "9th", "11th", "21st", "22nd", "23rd", "112th",
    ]  # fmt: skip


def test_a_cache_that_does_not_last_counts_nothing(tmp_path: Path) -> None:
    """Workers of a run without a cache share one that is gone when they end."""
    given = {"model": "phantom", "compress": "int4"}
    kept = Options.parse({**given, "cache": str(tmp_path)})
    assert kept.looks == kept.for_worker(0, 2, None).looks == tmp_path
    gone = Options.parse({**given, "cache": "off"}).for_worker(0, 2, tmp_path)
    assert (gone.cache, gone.looks) == (tmp_path, None)


class Model(Answers):
    """An engine whose model has an identity."""

    def identity(self, arm: Arm) -> Identity:
        """That of one model, compressed with a seed."""
        recipe = ((str(arm.compression), ""),)
        return Identity("abc", recipe, 7, "", Platform("fake", "float32", "cpu"), ())


def judged(looks: Looks, seed: int = 0, n: int = 200, margin: float = 0.05, **settings: Any) -> int:
    """The number of the look that a verdict on `n` unchanged answers is."""
    question = Question("qa", "made-up", ITEMS[:n], SpokenNumber(), data_digest="d", n_data=1000)
    measured = LazyMeasurement(
        question, PAIR, Model(lambda _: "1"), Settings(seed=seed, **settings), looks
    )
    with observe(lambda _: None, tolerate=frozenset({"INCONCLUSIVE"})):
        return gate(measured, Claim(margin), assess_mean).look


def test_a_gate_counts_its_looks(tmp_path: Path) -> None:
    """Seed, limit, alpha and scope make another look; another margin is another gate."""
    looks = Looks(tmp_path / "looks.sqlite")
    assert [judged(looks), judged(looks)] == [1, 1]
    assert judged(looks, seed=1) == 2
    assert judged(looks, n=150) == 3
    assert judged(looks, confidence=0.99) == 4
    assert judged(looks, scope="suite") == 5
    assert judged(looks, margin=0.06) == 1
    assert judged(Looks(None)) == 0
