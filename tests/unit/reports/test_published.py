"""Names for paths in what is published."""

from __future__ import annotations

import pytest

from pytest_llmsafety.reports.published import command, named


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/dense", "dense"),
        ("./dense/", "dense"),
        ("../up/dense@x", "dense@x"),
        ("~/models/dense", "dense"),
        (r"C:\Users\me\dense", "dense"),
        ("delta:/home/me/base:1+int8", "delta:base:1+int8"),
        ("wanda:0.7:alloc=./a.json", "wanda:0.7:alloc=a.json"),
        ("file:///srv/b.gz", "b.gz"),
        ("there is no '/home/me/x.json'.", "there is no 'x.json'."),
    ],
)
def test_a_path_becomes_a_name(text: str, shown: str) -> None:
    """Wherever it stands in a text, and in either way of writing it."""
    assert named(text) == shown


@pytest.mark.parametrize(
    "text",
    ["org/name", "models/dense", "https://host/v1#m", "s3://b/c.gz", "3/4", "a / b", "+/-0.1", "."],
)
def test_what_is_no_path_of_this_machine_stays(text: str) -> None:
    """Hub ids, addresses, fractions, and a folder below the project."""
    assert named(text) == text


@pytest.mark.parametrize(
    ("flag", "kept"),
    [
        ("--llmsafety-data=core", True),
        ("--llmsafety-data=local", False),
        ("--llmsafety-cache=off", True),
        ("--llmsafety-cache=off-line", False),
        ("--llmsafety-calibration=hub:a/b@c", True),
        ("--llmsafety-calibration=texts.txt", False),
        ("--llmsafety-baseline=s3://bucket/b.gz", True),
        ("--llmsafety-baseline=file:///srv/b.gz", False),
        ("--llmsafety-scorer=vader", True),
        ("--llmsafety-scorer=./mine", False),
        ("--llmsafety-scorer-accuracy=a.json", False),
        ("--llmsafety-judge=http://host:8000/v1#m", True),
        ("--llmsafety-margin=toxicity=0.02", True),
    ],
)
def test_a_flag_that_names_a_place_is_left_out(flag: str, *, kept: bool) -> None:
    """What means the same on any machine stays in the command."""
    expected = ["pytest", "t.py", *([flag] if kept else [])]
    assert command(f"pytest t.py '{flag}'").replace("'", "") == " ".join(expected)


def test_a_path_with_blanks_becomes_a_name() -> None:
    """The folders before it are no less private for it."""
    assert command("pytest '--model=/home/my self/a model'") == "pytest '--model=a model'"


def test_a_command_that_no_shell_reads_is_still_searched() -> None:
    """An open quote keeps no path in."""
    assert command("pytest 'x /home/me/y") == "pytest 'x y"
