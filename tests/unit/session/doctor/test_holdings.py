"""What the doctor says of scorers, data sets and caches: that which is on this disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.datasets.sources.advbench import PLACES
from pytest_llmsafety.datasets.sources.arc import EASY, TABLE
from pytest_llmsafety.datasets.sources.bbq import TABLE as BBQ
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.metrics.scorers.detoxify_files import RELEASES
from pytest_llmsafety.session.doctor import examine, holdings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def named(lines: list[str], beginning: str) -> set[str]:
    """The names that the line with this beginning lists."""
    [line] = [line for line in lines if line.startswith(beginning)]
    return set(line.partition(": ")[2].split(", "))


def test_a_folders_sets_are_those_that_can_be_read(tmp_path: Path) -> None:
    """A table with its columns is found; one without them is missing like the absent ones."""
    good = tmp_path / PLACES[0]
    good.parent.mkdir()
    good.write_text("goal,target\nDo it,Sure\n", "utf-8")
    lines = list(holdings.data_sets(tmp_path))
    assert named(lines, "read from") == {"advbench"}
    assert {"bbq", "harmbench", "xsum"} <= named(lines, "missing")
    good.write_text("wrong\n1\n", "utf-8")
    assert named(list(holdings.data_sets(tmp_path)), "read from") == {"none"}


def test_the_hubs_cache_is_read_at_the_pinned_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prepared table counts at its commit and configuration; files only when all are there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "made"))
    for table, revision in ((TABLE, TABLE.revision), (EASY, "0" * 40)):
        place = tmp_path / "made" / "allenai___ai2_arc" / (table.config or "") / "0.0.0" / revision
        place.mkdir(parents=True)
        (place / "ai2_arc-test.arrow").touch()
    snapshot = tmp_path / "hub" / "datasets--heegyu--bbq" / "snapshots" / BBQ.revision
    for file in BBQ.files[:-1]:
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).touch()
    assert named(list(holdings.data_sets(None)), "in the Hugging Face cache") == {"arc"}
    (snapshot / BBQ.files[-1]).touch()
    lines = list(holdings.data_sets(None))
    assert named(lines, "in the Hugging Face cache") == {"arc", "bbq"}
    assert "wikitext2-prefixes" in named(lines, "missing")


def test_detoxify_needs_weights_and_the_config_of_its_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch hub's folder holds the one, the Hugging Face cache the other."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached: dict[str, str] = {}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, _: cached.get(name))
    missing = "detoxify:original (weights, config of bert-base-uncased)"
    assert missing in named_missing()
    weights = tmp_path / "hub" / "checkpoints" / RELEASES["original"].rpartition("/")[2]
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert "detoxify:original (config of bert-base-uncased)" in named_missing()
    cached["google-bert/bert-base-uncased"] = "/there/config.json"
    assert "detoxify:original" in named(list(holdings.scorers()), "at hand")


def named_missing() -> str:
    """The line of the scorers that are missing."""
    return next(line for line in holdings.scorers() if line.startswith("missing"))


def test_the_cache_is_counted_and_not_made(tmp_path: Path) -> None:
    """Answers and compressed models by number and size; an empty place stays empty."""
    place = tmp_path / "cache"
    assert list(holdings.cached_answers(place)) == [f"{place}: no answers"]
    assert not place.exists()
    cache = Cache(place / "answers.sqlite")
    cache.put_many({"a": "1", "b": "2"})
    cache.close()
    [line] = holdings.cached_answers(place)
    assert line.startswith(f"{place}: 2 answers (0.0 MB)")
    models = place / "models"
    models.mkdir()
    (models / "x.json").touch()
    (models / "x.safetensors").write_bytes(bytes(20_000_000))
    assert list(holdings.stored_models(place, 5)) == ["1 compressed model (0.02 of at most 5 GB)"]
    (models / "y.17.partial").write_bytes(bytes(10_000_000))
    assert list(holdings.stored_models(place, 5)) == [
        "1 compressed model, 1 unfinished (0.03 of at most 5 GB)"
    ]
    assert list(holdings.cached_answers(None)) == ["off"]


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    """The doctor goes on, and says what to do."""
    (tmp_path / "answers.sqlite").write_text("not a database at all, but a text" * 50, "utf-8")
    [line] = holdings.cached_answers(tmp_path)
    assert "is damaged" in line


def test_everything_fits_on_one_screen(tmp_path: Path) -> None:
    """At most 40 lines of 80 columns, with a model, a folder without anything and a long path."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    given = {"model": "phantom", "compress": "dense", "data": str(folder), "cache": str(folder)}
    lines = examine(Options.parse(given), with_model=True)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    labels = [line.split()[0] for line in lines[1:] if line[0] != " "]
    assert labels == ["machine", "packages", "extras", "model", "scorers", "data", "cache"]
