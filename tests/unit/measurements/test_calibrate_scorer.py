"""A scorer's error measured on labelled texts, from Python and from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.measurements import calibrate_scorer as command
from pytest_llmsafety.measurements.scorer_accuracy import calibrate, load, read_labelled, save
from pytest_llmsafety.metrics.scorers.base import FunctionScorer

if TYPE_CHECKING:
    from pathlib import Path

SHOUTING = FunctionScorer(
    "shouting:here", "1", lambda texts: [0.9 if text.isupper() else 0.2 for text in texts]
)
TEXTS = ["NO", "NO", "go away", "YES", "yes", "yes"] * 20
LABELS = [True, True, True, False, False, False] * 20


def test_mean_scores_give_sensitivity_and_specificity() -> None:
    """The mean score of toxic texts, and 1 - that of the others, with counts and scorer."""
    error = calibrate(SHOUTING, TEXTS, LABELS)
    assert error.sensitivity == pytest.approx((0.9 + 0.9 + 0.2) / 3)
    assert error.specificity == pytest.approx(1 - (0.9 + 0.2 + 0.2) / 3)
    assert (error.n_positive, error.n_negative) == (60, 60)
    assert (error.scorer, error.digest, error.threshold) == ("shouting:here", "1", None)


def test_a_threshold_makes_decisions() -> None:
    """At or above the threshold a score counts as 1."""
    error = calibrate(SHOUTING, TEXTS, LABELS, threshold=0.9)
    assert error.sensitivity == pytest.approx(2 / 3)
    assert error.specificity == pytest.approx(2 / 3)
    assert error.threshold == 0.9


def test_one_kind_of_text_calibrates_nothing() -> None:
    """Without toxic texts, without others, or with too few labels there is no error to know."""
    for labels in ([True, True], [False, False], [True]):
        with pytest.raises(DatasetError, match="texts of both kinds"):
            calibrate(SHOUTING, ["a", "b"], labels)


def test_a_saved_error_is_that_of_one_scorer(tmp_path: Path) -> None:
    """It loads for the same scorer in any folder, and is refused for another one."""
    error, path = calibrate(SHOUTING, TEXTS, LABELS), tmp_path / "error.json"
    save(error, path)
    moved = FunctionScorer("shouting:elsewhere", "1", SHOUTING.function)
    assert load(path) == load(path, SHOUTING) == load(path, moved) == error
    with pytest.raises(ConfigurationError, match="the scorer in use is 'shouting:here'"):
        load(path, FunctionScorer("shouting:here", "2", SHOUTING.function))
    with pytest.raises(ConfigurationError, match="cannot read the scorer's error"):
        load(tmp_path / "absent.json")
    path.write_text("[]")
    with pytest.raises(ConfigurationError, match="not the error of a scorer"):
        load(path)


def write(path: Path, *rows: str) -> Path:
    """A CSV file of these lines."""
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_labels_are_read_from_a_csv_file(tmp_path: Path) -> None:
    """Plain labels need no explanation; --positive names any other."""
    path = write(tmp_path / "a.csv", "text,label,kind", '"a, b",Toxic,bad', "c,not toxic,fine")
    assert read_labelled(path, text_column="text", label_column="label") == (
        ["a, b", "c"],
        [True, False],
    )
    assert read_labelled(path, text_column="text", label_column="kind", positive="bad")[1] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("rows", "column", "said"),
    [
        (["text,label", "a,2"], "label", "has the label '2'"),
        (["text,label", "a,1"], "labels", "no column 'labels'. Its columns: text, label"),
        (["text,label", "a"], "label", "row 1 of .* is too short"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, rows: list[str], column: str, said: str
) -> None:
    """A label that says neither, an absent column and a short row are errors."""
    path = write(tmp_path / "a.csv", *rows)
    with pytest.raises(DatasetError, match=said):
        read_labelled(path, text_column="text", label_column=column)


def test_the_command_writes_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints both shares and the informedness, and writes what `load` reads."""
    monkeypatch.setattr(command, "load_scorer", lambda _name, **_device: SHOUTING)
    rows = [f"{text},{int(toxic)}" for text, toxic in zip(TEXTS, LABELS, strict=True)] * 5
    texts = write(tmp_path / "a.csv", "text,toxic", *rows)
    out = tmp_path / "error.json"
    arguments = ["--scorer=shouting", f"--texts={texts}", "--text-column=text", f"--out={out}"]
    assert command.main([*arguments, "--label-column=toxic"]) == 0
    assert load(out, SHOUTING) == calibrate(SHOUTING, TEXTS * 5, LABELS * 5)
    said = capsys.readouterr().out
    assert "sensitivity 0.667, specificity 0.567, informedness 0.233" in said


def test_the_command_refuses_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An absent file, and a scorer that says nothing, end with 2 and leave no file."""
    monkeypatch.setattr(command, "load_scorer", lambda _name, **_device: SHOUTING)
    out = tmp_path / "error.json"
    columns = ["--scorer=shouting", "--text-column=t", "--label-column=l", f"--out={out}"]
    assert command.main([*columns, f"--texts={tmp_path / 'absent.csv'}"]) == 2
    blind = write(tmp_path / "a.csv", "t,l", *(["NO,1", "NO,0"] * 30))
    assert command.main([*columns, f"--texts={blind}"]) == 2
    assert "not shown to be above 0" in capsys.readouterr().err
    assert not out.exists()
