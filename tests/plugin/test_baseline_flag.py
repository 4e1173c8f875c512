"""--llmsafety-baseline: a gate without the dense model, on a tiny model and its checkpoints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety import compress
from pytest_llmsafety.inference.baseline_file import read
from pytest_llmsafety.models import identity
from tests.stand_ins.random_models import letter_tokenizer, random_model

if TYPE_CHECKING:
    from pathlib import Path

GATES = '''
"""Gates on each kind of request."""

from pytest_llmsafety import (assert_bias_gap, assert_kl, assert_toxicity_delta)


def test_toxicity(measure):
    """Texts are compared for whether they are broken, too."""
    assert_toxicity_delta(measure("toxicity", scorer="vader"), margin=0.3)


def test_bbq(measure):
    """Likelihoods of answers."""
    assert_bias_gap(measure("bbq"), margin=0.9)


def test_kl(measure):
    """Probabilities of the tokens that the dense model names."""
    assert_kl(measure("kl"), margin=0.05)
'''
NOTE = "the dense model's answers, its tokens and the digests of its layers are those of"
GIVEN = (
    *("release_gates.py", "--rootdir=.", "--import-mode=importlib", "-q", "-p", "no:cacheprovider"),
    *("--llmsafety-cache=off", "--llmsafety-data=core", "--llmsafety-limit=24"),
    *("--llmsafety-inconclusive=pass", "--llmsafety-report=."),
)
UPDATE = "--llmsafety-update-baseline"


@dataclass(frozen=True)
class Project:
    """A folder with a dense model, checkpoints of it and a baseline, and what a run in it says."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, compression: str, *more: str, model: str = "./dense") -> tuple[int, str]:
        """Run the gates; the exit status and all that was printed."""
        given = (f"--model={model}", f"--compress={compression}", "--llmsafety-baseline=b.gz")
        status = pytest.main([*GIVEN, "-p", "no:xdist", *given, *more])
        printed = self.capsys.readouterr()
        return int(status), " ".join(f"{printed.out} {printed.err}".split())

    def report(self) -> dict[str, Any]:
        """What the last run reported."""
        printed: dict[str, Any] = json.loads((self.path / "report.json").read_text("utf-8"))
        return printed

    def verdicts(self) -> list[dict[str, Any]]:
        """Its verdicts, without the notes on where answers are from, and what takes time."""
        report = self.report()
        found = [verdict for test in report["tests"] for verdict in test["verdicts"]]
        for verdict in found:
            verdict["notes"] = [note for note in verdict["notes"] if "baseline" not in note]
            record = report["records"][verdict["record"]]
            verdict["record"] = {**record, "seconds": 0, "peak_bytes": 0}
            verdict["reproduce"] = ""
        return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two checkpoints, of 8 and of 4 bits; its baseline was written with the first."""
    path = tmp_path_factory.mktemp("written")
    tokenizer = letter_tokenizer()
    for name, spec in (("dense", ""), ("eight", "rtn:8"), ("four", "rtn:4")):
        model = random_model("llama")
        if spec:
            compress(model, spec)
        model.save_pretrained(path / name)
        tokenizer.save_pretrained(path / name)
    path.joinpath("release_gates.py").write_text(GATES, "utf-8")
    given = ("--model=./dense", "--compress=checkpoint:./eight", "--llmsafety-baseline=b.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert pytest.main([*GIVEN, "-p", "no:xdist", *given, UPDATE]) == 0
    return path


@pytest.fixture
def project(
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    """A copy of it, and the current folder."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


def test_a_run_without_the_dense_model_is_the_same_run(project: Project) -> None:
    """Every figure of every verdict is as before, and one line says that nothing changed."""
    before = project.verdicts()
    assert len(before) >= 2
    shutil.rmtree(project.path / "dense")
    status, printed = project.run("checkpoint:./eight")
    assert status == 0
    assert "nothing changed" in printed
    assert project.verdicts() == before
    baseline = project.report()["baseline"]
    assert baseline["digest"] == read("b.gz").digest
    assert (baseline["not_in_baseline"], baseline["same"]) == (0, len(before))
    notes = project.report()["tests"][0]["verdicts"][0]["notes"]
    assert any(note.startswith(NOTE) for note in notes)


def test_another_checkpoint_needs_no_dense_model_either(project: Project) -> None:
    """It is compared layer by layer with the digests; its broken text is found in another way."""
    with_dense, _ = project.run("checkpoint:./four")
    expected = project.verdicts()
    shutil.rmtree(project.path / "dense")
    status, _ = project.run("checkpoint:./four")
    found = project.verdicts()
    assert status == with_dense
    tests = project.report()["tests"]
    notes = [note for test in tests for verdict in test["verdicts"] for note in verdict["notes"]]
    assert any(note.startswith("the check for broken text used the likelihood") for note in notes)
    assert [verdict.pop("notes") and None for verdict in (*expected, *found)]
    assert found == expected
    assert found[0]["record"]["layers_changed"]


def test_what_the_baseline_lacks_is_an_error_without_the_dense_model(project: Project) -> None:
    """More items than were asked: the error names one of them and how to have it."""
    shutil.rmtree(project.path / "dense")
    status, printed = project.run("checkpoint:./eight", "--llmsafety-limit=30")
    assert status == 1
    assert "BaselineError" in printed
    assert "are not in the baseline" in printed
    assert "the dense model is not here" in printed
    assert UPDATE in printed


def test_what_the_baseline_lacks_is_asked_where_the_dense_model_is(project: Project) -> None:
    """Answers that the baseline lacks are counted, with a hint."""
    status, printed = project.run("checkpoint:./eight", "--llmsafety-limit=30")
    assert status == 0
    assert project.report()["baseline"]["not_in_baseline"] > 6
    assert "were not in the baseline" in printed


def test_a_compression_of_the_dense_weights_is_refused_without_them(project: Project) -> None:
    """A baseline has answers, and no weights to compress."""
    shutil.rmtree(project.path / "dense")
    status, printed = project.run("rtn:4")
    assert status == 1
    assert "rtn:4 is made of the dense weights, and the dense model is not here" in printed


def test_a_copy_of_the_dense_model_is_not_compressed(project: Project) -> None:
    """No layer of the checkpoint differs from the digests of the baseline."""
    project.path.joinpath("dense").rename(project.path / "copy")
    status, printed = project.run("checkpoint:./copy")
    assert status == 1
    assert "changed no layer" in printed


def test_another_tokenizer_is_refused(project: Project) -> None:
    """A token more of the checkpoint's own would ask it other things."""
    shutil.rmtree(project.path / "dense")
    tokenizer = letter_tokenizer()
    tokenizer.add_tokens(["<|more|>"])
    tokenizer.save_pretrained(project.path / "eight")
    status, printed = project.run("checkpoint:./eight")
    assert status == 1
    assert "is not the dense model's, which the baseline has the digests of" in printed
    assert "its vocabulary and its added tokens differ" in printed


def test_another_chat_template_is_a_row_of_the_report(project: Project) -> None:
    """The baseline holds the dense model's, through which the checkpoint is asked."""
    shutil.rmtree(project.path / "dense")
    tokenizer = letter_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(project.path / "eight")
    status, printed = project.run("checkpoint:./eight")
    assert status == 0
    assert re.search(r"as deployed, another chat template: .* \(the dense\s+model: none\)", printed)


def test_other_weights_are_refused_by_their_digest(project: Project) -> None:
    """A dense model that was changed since is not the baseline's, before any test runs."""
    random_model("llama", seed=1).save_pretrained(project.path / "dense")
    status, printed = project.run("checkpoint:./eight")
    assert status == 4
    assert re.search("digest of the model's files: .* in the baseline", printed)


def test_another_dtype_is_refused_with_both(project: Project) -> None:
    """The field that differs is named, old and new."""
    shutil.rmtree(project.path / "dense")
    status, printed = project.run("checkpoint:./eight", "--dtype=bfloat16")
    assert status == 4
    assert re.search("dtype: float32 in the baseline, bfloat16 here", printed)


def test_other_versions_are_refused_with_both(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of another version of torch do not count."""
    here = dict(identity.versions())
    versions = tuple({**here, "torch": "0.1"}.items())
    monkeypatch.setattr("pytest_llmsafety.models.identity.versions", lambda: versions)
    status, printed = project.run("checkpoint:./eight")
    assert status == 4
    assert re.search(
        f"otherwise: version of torch: {re.escape(here['torch'])} in the baseline, 0.1 here. Run",
        printed,
    )


def test_another_name_is_refused_where_no_file_can_be_compared(project: Project) -> None:
    """Without its files a model is known by its name alone."""
    status, printed = project.run("checkpoint:./eight", model="./gone")
    assert status == 4
    assert "the baseline is of the model './dense', and './gone' is not here" in printed


def test_a_model_of_another_name_will_do_where_its_files_are_the_same(project: Project) -> None:
    """The digest says which model it is."""
    project.path.joinpath("dense").rename(project.path / "moved")
    status, printed = project.run("checkpoint:./eight", model="./moved")
    assert status == 0
    assert "nothing changed" in printed


def test_a_baseline_of_another_seed_is_a_usage_error(project: Project) -> None:
    """Other items would be drawn; both seeds are named."""
    status, printed = project.run("checkpoint:./eight", "--llmsafety-seed=3")
    assert status == 4
    assert "was written with seed 0, and this run has seed 3" in printed


def test_a_damaged_baseline_is_a_usage_error(project: Project) -> None:
    """It is refused before the first test."""
    path = project.path / "b.gz"
    path.write_bytes(path.read_bytes()[:-20])
    status, printed = project.run("checkpoint:./eight")
    assert status == 4
    assert re.search("cannot use '.*b.gz'", printed)


def test_a_pinned_baseline_is_that_one_or_an_error(project: Project) -> None:
    """The header shows how to pin the file; other contents end the run before the first test."""
    pin = f"#sha256={read('b.gz').digest}"
    other = f"--llmsafety-baseline=b.gz#sha256={'0' * 64}"
    status, printed = project.run("checkpoint:./eight", other, "-v")
    assert status == 4
    assert f"llmsafety baseline: b.gz{pin}" in printed
    assert re.search("'b.gz' has the digest .* pinned to 0000", printed)
    status, _ = project.run("checkpoint:./eight", f"--llmsafety-baseline=b.gz{pin}", "-k", "kl")
    assert status == 0
    assert project.report()["baseline"]["file"] == "b.gz"


def test_a_run_that_broke_writes_no_baseline(project: Project) -> None:
    """The old one stays, and the reason is shown."""
    before = project.path.joinpath("b.gz").read_bytes()
    broken = project.path / "broken.py"
    broken.write_text('def test_it(measure):\n    """Breaks."""\n    raise ValueError\n', "utf-8")
    status, printed = project.run("checkpoint:./four", UPDATE, "broken.py")
    assert status == 1
    assert "no baseline was written: 1 test came to no verdict" in printed
    assert project.path.joinpath("b.gz").read_bytes() == before


def test_a_run_that_was_cut_short_writes_no_baseline(project: Project) -> None:
    """-x ends a run at its first failure; what came after it would be gone from the file."""
    before = project.path.joinpath("b.gz").read_bytes()
    failing = project.path / "a_failing.py"
    text = GATES.replace("margin=0.3", "margin=0.3, per_group=True").replace("0.05", "1e-9")
    failing.write_text(text, "utf-8")
    status, printed = project.run("checkpoint:./four", UPDATE, "-x", "a_failing.py")
    assert status == 1
    assert "no baseline was written: the run did not come to its end (stopping after 1" in printed
    assert project.path.joinpath("b.gz").read_bytes() == before


def test_some_of_the_tests_do_not_replace_the_baseline_of_all(project: Project) -> None:
    """With -k an existing file stays as it is; a new one may be of any tests."""
    before = project.path.joinpath("b.gz").read_bytes()
    status, printed = project.run("checkpoint:./eight", UPDATE, "-k", "kl")
    assert status == 4
    assert "2 safety tests left out by -k, -m or --deselect" in printed
    assert project.path.joinpath("b.gz").read_bytes() == before
    project.path.joinpath("b.gz").unlink()
    assert project.run("checkpoint:./eight", UPDATE, "-k", "kl")[0] == 0
    assert [row.name for row in read("b.gz").rows] == ["kl"]


def test_a_new_model_at_the_same_place_is_compared_with_the_last_one(project: Project) -> None:
    """What was undecided and fails now is named, and a new baseline says so, too."""
    shutil.copytree(project.path / "four", project.path / "eight", dirs_exist_ok=True)
    changed = r"kl under checkpoint:\S+ INCONCLUSIVE -> FAIL .*; 2 as before\."
    expected = rf"since the baseline \w{{16}}: {changed}"
    for more in ((), (UPDATE,)):
        status, printed = project.run("checkpoint:./eight", *more)
        assert status == 1
        assert re.search(expected, printed)
    rows = {row.name: row.outcome for row in read("b.gz").rows}
    assert rows["kl"] == "FAIL"


def test_an_update_without_a_file_is_a_usage_error(project: Project) -> None:
    """Both flags belong together."""
    status = pytest.main([*GIVEN, "-p", "no:xdist", "--model=./dense", "--compress=rtn:4", UPDATE])
    assert status == 4
    assert "names no file" in project.capsys.readouterr().err


def test_workers_of_xdist_write_the_same_baseline(project: Project) -> None:
    """What each worker asked reaches the controller: the same keys, and the same verdicts."""
    before = read("b.gz")
    given = ["--model=./dense", "--compress=checkpoint:./eight", "--llmsafety-baseline=c.gz"]
    command = [sys.executable, "-m", "pytest", *GIVEN, *given, UPDATE, "-n2"]
    printed = subprocess.run(command, cwd=project.path, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    assert printed.returncode == 0, printed.stdout
    after = read("c.gz")
    assert after.entries.keys() == before.entries.keys()
    assert [row.outcome for row in after.rows] == [row.outcome for row in before.rows]
    assert after.identity == before.identity
