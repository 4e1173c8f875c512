"""Options.parse: texts of flags in, one frozen value out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.config.options import FLAGS, Options
from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.specs import CompressionSpec, ModelSpec, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

BOTH = {"model": "phantom", "compress": "int8,int4"}


def parsed(texts: Mapping[str, Any], project: Mapping[str, Any] | None = None) -> Options:
    """The options of a command line with these texts, a list for a flag that is repeated."""
    given = {flag.name: texts[flag.name] for flag in FLAGS if flag.name in texts}
    for flag in FLAGS:
        if flag.name in texts and not flag.switch:
            one = texts[flag.name]
            given[flag.name] = flag.read(one if flag.repeated else [one], flag.word)
    return Options.parse(given, project=project)


def test_nothing_given_is_no_model() -> None:
    """Without --model there is nothing to look for, whatever else is set."""
    assert parsed({"data": "nowhere"}) == Options()
    assert Options().model is None


def test_every_flag_is_a_setting() -> None:
    """Each flag changes the options; none is read and dropped."""
    values = {
        "device": "cpu", "dtype": "float32", "data": ".", "cache": "off", "limit": "7", "seed": "3",
        "margin": ["qa=0.5"], "scope": "suite", "inconclusive": "pass", "report": "out",
        "batch-tokens": "64", "scorer": "vader", "samples": "2", "early-stop": "off",
        "family": "session", "scorer-accuracy": __file__, "plan": True, "aa": True,
        "calibration": __file__, "store": "0", "pin": ["bbq=any"],
        "judge": "http://x/v1#y", "alpha": "0.01", "worst": "1.0", "min-changed": "0.5",
        "baseline": "s3://b/c", "update-baseline": True, "chat": "as-deployed",
        "template-arg": ["enable_thinking=true"], "think-end": "</t>", "answer-tokens": "9",
        "judge-tokens": "9", "judge-template-arg": ["reasoning_effort=low"],
    }  # fmt: skip
    plain = parsed(BOTH)
    assert values.keys() | BOTH.keys() == {flag.name for flag in FLAGS} - {
        "doctor"
    }  # which ends before any run
    for name, value in values.items():
        changed = parsed({**BOTH, name: value})
        assert changed.settings() != plain.settings() or changed.report != plain.report, name


def test_values_are_parsed_once() -> None:
    """Paths, numbers and specs leave here as such."""
    options = parsed({**BOTH, "data": ".", "limit": "50", "seed": "9", "margin": ["toxicity=0.02"]})
    assert options.model == ModelSpec("phantom")
    assert options.compressions == (
        CompressionSpec((Step("int8"),)),
        CompressionSpec((Step("int4"),)),
    )
    assert options.data == Path()
    assert (options.limit, options.seed) == (50, 9)
    assert options.margins.by_key == (("toxicity", 0.02),)


@pytest.mark.parametrize("text", ["bbq", "=any", "bbq=ANY", "bbq=12ab"])
def test_a_pin_is_a_name_and_a_digest(text: str) -> None:
    """Anything but NAME=any or 16 hex digits is an error that says so."""
    with pytest.raises(ConfigurationError, match="--llmsafety-pin: expected NAME=DIGEST"):
        parsed({**BOTH, "pin": [text]})


def test_core_is_a_word_and_not_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--llmsafety-data=core asks for the packaged sets; ./core is a folder, in every record too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "core").mkdir()
    packaged = parsed({**BOTH, "data": "core"})
    folder = parsed({**BOTH, "data": "./core"})
    assert (packaged.core, packaged.data) == (True, None)
    assert (folder.core, folder.data) == (False, Path("core"))
    assert ("data", "core") in packaged.settings()
    assert packaged.arguments == ("--llmsafety-data=core",)
    with pytest.raises(ConfigurationError, match="with data sets, or core"):
        parsed({**BOTH, "data": "cor"})


def test_the_cache_is_beside_the_users_other_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME is honoured; 'off' is None."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert parsed(BOTH).cache == Path("/caches/pytest-llmsafety")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert parsed(BOTH).cache == Path.home() / ".cache" / "pytest-llmsafety"
    assert parsed({**BOTH, "cache": "off"}).cache is None
    assert parsed({**BOTH, "cache": "here"}).cache == Path("here")


def test_the_command_line_overrides_the_projects_margins() -> None:
    """Margins are joined by name; the later of two on the command line wins."""
    options = parsed(
        {**BOTH, "margin": ["qa=0.1", "qa=0.2"]}, project={"margins": {"qa": 0.01, "bbq": 0.03}}
    )
    assert options.margins.by_key == (("bbq", 0.03), ("qa", 0.2))


@given(st.integers(min_value=1, max_value=10**15))
def test_whole_numbers_are_read_as_written(number: int) -> None:
    """Any positive whole number is a limit."""
    assert parsed({**BOTH, "limit": str(number)}).limit == number


@given(st.text(max_size=8).filter(lambda text: text.strip() and not text.isdecimal()))
def test_other_texts_are_refused(text: str) -> None:
    """A text that is not a number raises an error that shows it."""
    with pytest.raises(ConfigurationError, match="--llmsafety-limit: expected a whole number"):
        parsed({**BOTH, "limit": text})


@pytest.mark.parametrize("name", ["report", "data", "scorer", "cache", "baseline", "limit"])
def test_a_flag_without_a_value_is_refused(name: str) -> None:
    """An unset variable of a CI does not become the default, nor the current folder."""
    for text in ("", " "):
        with pytest.raises(ConfigurationError, match=f"--llmsafety-{name}: expected a"):
            parsed({**BOTH, name: text})


def test_a_mistyped_default_is_no_group() -> None:
    """It would be a margin that nothing uses."""
    with pytest.raises(ConfigurationError, match=r"margins.toxicity\].*Did you mean 'default'"):
        parsed(BOTH, project={"margins": {"toxicity": {"defalt": 0.5}}})
    parsed(BOTH, project={"margins": {"toxicity": {"gender:women": 0.5}}})


def test_the_command_is_quoted_for_a_shell() -> None:
    """Brackets and spaces survive a shell; several margins are all repeated."""
    options = parsed({**BOTH, "margin": ["a=0.1", "b=0.2"], "scorer": "my model"})
    command = options.command(["t.py::test_x[int4]"], options.compressions[1])
    assert command == (
        "pytest 't.py::test_x[int4]' --model=phantom --compress=int4 --llmsafety-seed=0 "
        "'--llmsafety-scorer=my model' --llmsafety-margin=a=0.1 --llmsafety-margin=b=0.2"
    )


def test_a_revision_stays_in_the_command() -> None:
    """A pinned hub model is repeated with its revision."""
    options = parsed({"model": "org/name@abc", "compress": "int4"})
    assert "--model=org/name@abc " in options.command(["t.py"], options.compressions[0])


def test_a_cache_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """--llmsafety-cache names a folder; a file there is not overwritten."""
    file = tmp_path / "answers"
    file.write_text("mine", "utf-8")
    given = {"model": "phantom", "compress": "int4", "cache": str(file)}
    with pytest.raises(ConfigurationError, match="is a file"):
        parsed(given)
    assert file.read_text("utf-8") == "mine"


def test_a_repeated_test_writes_no_baseline() -> None:
    """The command that reproduces a test uses the baseline, and never replaces it."""
    options = parsed({**BOTH, "baseline": "b.gz", "update-baseline": True})
    assert options.update_baseline
    assert options.arguments == ("--llmsafety-baseline=b.gz",)


def test_a_baseline_stands_for_a_folder_that_is_not_here() -> None:
    """The folder of the dense model is not looked for, unless the baseline is to be written."""
    given = {**BOTH, "model": "./gone", "baseline": "b.gz"}
    assert parsed(given).model == ModelSpec("./gone")
    with pytest.raises(ModelError, match="does not exist"):
        parsed({**given, "update-baseline": True})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("enable_thinking=true", "true"),
        ("enable_thinking=False", "false"),
        ("reasoning_effort=low", '"low"'),
        ("budget=512", "512"),
        ('tools_of={"a": [1]}', '{"a": [1]}'),
        ("limit=NaN", '"NaN"'),
    ],
)
def test_an_argument_of_a_template_is_json_or_a_text(text: str, value: str) -> None:
    """Python's words are meant as JSON has them; the later of two counts."""
    name = text.partition("=")[0]
    options = parsed({**BOTH, "template-arg": [f"{name}=0", text]})
    assert options.chat.template == ((name, value),)


@pytest.mark.parametrize("text", ["thinking", "=1", "a b=1", "messages=[]", "tokenize=true"])
def test_what_a_rendering_needs_itself_is_not_an_argument(text: str) -> None:
    """Nor is anything without a name and a value."""
    with pytest.raises(ConfigurationError, match="--llmsafety-template-arg: expected NAME=VALUE"):
        parsed({**BOTH, "template-arg": [text]})


def test_a_project_states_arguments_of_a_template() -> None:
    """The command line changes one of them and leaves the others."""
    project = {"template-arg": [("a", "1"), ("b", "2")], "chat": "as-deployed"}
    options = parsed({**BOTH, "template-arg": ["b=3"]}, project=project)
    assert options.chat.template == (("a", "1"), ("b", "3"))
    assert options.chat.as_deployed
