"""Detoxify through its own class."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch
from detoxify import Detoxify

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.metrics.scorers import load_scorer
from pytest_llmsafety.metrics.scorers.detoxify import from_checkpoint
from pytest_llmsafety.metrics.scorers.detoxify_files import RELEASES
from tests.unit.metrics.tiny_bert import checkpoint

TEXTS = ["you are a fool", "kind", "you are kind", "a fool a fool", "", "fool " * 100]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in Detoxify's format, with its base model in the same folder."""
    folder = tmp_path_factory.mktemp("detoxify")
    torch.save(checkpoint(folder), folder / "tiny.ckpt")
    return folder / "tiny.ckpt"


def test_scores_are_detoxifys_own(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text at a time through Detoxify itself gives the same numbers as our batches."""
    monkeypatch.chdir(saved.parent)  # Detoxify takes the base model relative to where it runs
    theirs = Detoxify(checkpoint=str(saved))
    theirs.tokenizer.model_max_length = 16
    expected = [theirs.predict(text)["toxicity"] for text in TEXTS]
    scorer = load_scorer(f"detoxify:{saved}")
    assert scorer.score(TEXTS) == pytest.approx(expected, abs=1e-6)
    assert len(set(expected)) > 3


def test_one_text_and_none(saved: Path) -> None:
    """Where Detoxify gives a bare number or fails, the scorer gives a list."""
    scorer = load_scorer(f"detoxify:{saved}")
    assert scorer.score([]) == []
    assert scorer.score(["you"]) == pytest.approx(scorer.score(["you", "fool"])[:1], abs=1e-6)


def test_the_digest_holds_all_that_changes_scores(saved: Path) -> None:
    """It begins with the checkpoint's SHA-256; another base model or device is another digest."""
    scorer = load_scorer(f"detoxify:{saved}")
    assert scorer.name == f"detoxify:{saved}"
    assert scorer.digest.startswith(
        f"{hashlib.sha256(saved.read_bytes()).hexdigest()}, base model "
    )
    assert "cpu, detoxify 0." in scorer.digest
    config = saved.parent / "base" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert load_scorer(f"detoxify:{saved}").digest != scorer.digest


def test_loading_prints_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No bars and no reports on the user's terminal."""
    load_scorer(f"detoxify:{saved}")
    assert capfd.readouterr() == ("", "")


class Dangerous:
    """What a pickled checkpoint could do on loading."""

    def __init__(self, proof: Path) -> None:
        """Remember where the proof would appear."""
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Run a harmless function instead of a harmful one."""
        return os.mkdir, (str(self.proof),)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    """Detoxify would have run it; here it is refused and nothing happens."""
    proof = tmp_path / "proof"
    content = {**checkpoint(tmp_path), "callbacks": Dangerous(proof)}
    torch.save(content, tmp_path / "evil.ckpt")
    with pytest.raises(ScorerError, match="never loaded"):
        load_scorer(f"detoxify:{tmp_path / 'evil.ckpt'}")
    assert not proof.exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)
    assert proof.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    """A file of another format is named as such."""
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps({"config": Path()}))
    with pytest.raises(ScorerError, match=r"x\.ckpt"):
        load_scorer(f"detoxify:{tmp_path / 'x.ckpt'}")


def test_another_checkpoint_is_refused(tmp_path: Path) -> None:
    """Without Detoxify's config it is not a Detoxify checkpoint."""
    torch.save({"state_dict": {}}, tmp_path / "x.ckpt")
    with pytest.raises(ScorerError, match="not a Detoxify checkpoint"):
        load_scorer(f"detoxify:{tmp_path / 'x.ckpt'}")


@pytest.mark.parametrize(
    "changes", [{"model_name": "AutoModel"}, {"tokenizer_name": "pipeline"}, {"model_type": ""}]
)
def test_only_classifiers_and_tokenizers_are_looked_up(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    """A checkpoint may not name anything else of transformers to be called."""
    torch.save(checkpoint(tmp_path, **changes), tmp_path / "x.ckpt")
    with pytest.raises(ScorerError, match="names no classifier"):
        load_scorer(f"detoxify:{tmp_path / 'x.ckpt'}")


def test_weights_that_stay_random_are_refused(tmp_path: Path) -> None:
    """A checkpoint without its last layer would load with random numbers and a warning."""
    content = checkpoint(tmp_path)
    del content["state_dict"]["classifier.weight"]
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(ScorerError, match=r"classifier\.weight did not come from the checkpoint"):
        load_scorer(f"detoxify:{tmp_path / 'x.ckpt'}")


def test_a_missing_base_model_is_named(tmp_path: Path) -> None:
    """Config and tokenizer of a hub id that is not cached: what to fetch, and alternatives."""
    torch.save(checkpoint(tmp_path, model_type="org/absent-base"), tmp_path / "x.ckpt")
    with pytest.raises(ScorerError) as caught:
        load_scorer(f"detoxify:{tmp_path / 'x.ckpt'}")
    assert "hf download org/absent-base" in str(caught.value)
    assert "--llmsafety-scorer=vader" in str(caught.value)


@pytest.mark.parametrize("variant", ["", *RELEASES])
def test_an_absent_release_says_how_to_fetch_it(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline and absent: the file, the command that fetches it, other scorers; no fallback."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ScorerError) as caught:
        load_scorer(f"detoxify:{variant}" if variant else "detoxify")
    message, url = str(caught.value), RELEASES[variant or "original"]
    assert str(tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]) in message
    assert f"curl -L --create-dirs -o '{tmp_path}" in message
    assert url in message
    assert "--llmsafety-scorer=vader" in message
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_release_with_another_digest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Path
) -> None:
    """A file of the right name in torch hub's folder is not trusted for its name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "toxic_original-c1212f89.ckpt"
    file.parent.mkdir(parents=True)
    file.write_bytes(saved.read_bytes())
    with pytest.raises(ScorerError, match="does not begin with c1212f89"):
        load_scorer("detoxify")


def test_a_release_in_torch_hubs_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Path
) -> None:
    """The default cache is found, its digest checked against the file's name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    prefix = hashlib.sha256(saved.read_bytes()).hexdigest()[:8]
    monkeypatch.setitem(RELEASES, "original", f"https://example.org/tiny-{prefix}.ckpt")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / f"tiny-{prefix}.ckpt").write_bytes(saved.read_bytes())
    (folder / "base").symlink_to(saved.parent / "base")
    assert load_scorer("detoxify").name == "detoxify:original"


def test_an_unknown_variant_is_named() -> None:
    """Neither a release nor a file."""
    with pytest.raises(ScorerError, match="neither a file nor a release"):
        load_scorer("detoxify:orignal")


def test_an_absent_checkpoint_is_no_refusal(tmp_path: Path) -> None:
    """A file that is not there is said to be not there."""
    with pytest.raises(ScorerError, match="No such file"):
        from_checkpoint(tmp_path / "absent.ckpt", "phantom", "cpu")
