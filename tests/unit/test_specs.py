"""Model and compression specs: what is parsed prints as it was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import DTYPES, CompressionSpec, ModelSpec, Step

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
PARAMETERS = st.one_of(
    st.just(""), WORDS, st.tuples(WORDS, WORDS).map(":".join), st.tuples(WORDS, WORDS).map("/".join)
)
METHODS = WORDS.filter(lambda word: not word[0].isdigit())
STEPS = st.lists(st.builds(Step, METHODS, PARAMETERS), min_size=1, max_size=3).map(tuple)
SEEDS = st.none() | st.integers(0, 999)
SPECS = st.builds(CompressionSpec, STEPS, SEEDS)


@given(SPECS)
def test_a_compression_survives_its_text(spec: CompressionSpec) -> None:
    """parse(str(spec)) is spec."""
    assert CompressionSpec.parse(str(spec)) == spec


@given(st.lists(SPECS, min_size=1, max_size=4, unique=True))
def test_a_list_keeps_its_order(specs: list[CompressionSpec]) -> None:
    """Compressions are tested in the order given."""
    assert CompressionSpec.parse_list(",".join(map(str, specs))) == tuple(specs)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("int4", [("int4", "")]),
        ("wanda:2:4+int8", [("wanda", "2:4"), ("int8", "")]),
        ("int8+a8", [("int8", ""), ("a8", "")]),
        ("gptq:8:actorder:g128", [("gptq", "8:actorder:g128")]),
        ("gguf:C:\\models\\x.gguf", [("gguf", "C:\\models\\x.gguf")]),
        (" wanda:0.5 + int8 ", [("wanda", "0.5"), ("int8", "")]),
        ("checkpoint:/models/x", [("checkpoint", "/models/x")]),
        ("my_module:my_function", [("my_module", "my_function")]),
    ],
)
def test_methods_and_parameters(text: str, steps: list[tuple[str, str]]) -> None:
    """The first colon ends the method; a plus sign ends the step."""
    assert CompressionSpec.parse(text).steps == tuple(Step(*step) for step in steps)


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("alphapruning:wanda:0.7", "wanda:0.7:alpha"),
        ("alphapruning:wanda:0.7:epsilon=0.2", "wanda:0.7:epsilon=0.2:alpha"),
        ("alphapruning:sparsegpt:0.5+int8@seed=1", "sparsegpt:0.5:alpha+int8@seed=1"),
    ],
)
def test_alphapruning_is_another_spelling(spelled: str, canonical: str) -> None:
    """It is read as the method with alpha, prints as that, and counts as the same compression."""
    spec = CompressionSpec.parse(spelled)
    assert str(spec) == canonical
    assert CompressionSpec.parse(canonical) == spec
    with pytest.raises(ConfigurationError, match="twice"):
        CompressionSpec.parse_list(f"{spelled},{canonical}")


@pytest.mark.parametrize("text", ["alphapruning", "alphapruning:0.7", "alphapruning:wanda"])
def test_alphapruning_alone_says_what_it_needs(text: str) -> None:
    """The message shows both spellings."""
    with pytest.raises(
        ConfigurationError, match=r"like alphapruning:wanda:0\.7, or wanda:0\.7:alpha"
    ):
        CompressionSpec.parse(text)


@pytest.mark.parametrize("text", ["wanda:0,5", "wanda:0.5,0.6", "int4, 2:4", "gptq:4,3:g64"])
def test_a_comma_inside_a_compression_is_told(text: str) -> None:
    """No method begins with a digit: a decimal comma or a method left out is meant."""
    with pytest.raises(ConfigurationError, match=r"A comma separates .*a fraction has a dot"):
        CompressionSpec.parse_list(text)


@pytest.mark.parametrize("text", ["", "+", "int8+", ":4", "int4:", "int8,,int4", ","])
def test_an_empty_step_is_refused(text: str) -> None:
    """The message shows the text and what is expected."""
    with pytest.raises(ConfigurationError, match="Expected method, method:parameter"):
        CompressionSpec.parse_list(text)


@given(STEPS, st.integers(0, 99), st.integers(0, 9))
def test_a_range_of_seeds_is_one_compression_each(steps, first, more) -> None:
    """`a+b@seed=2..4` stands for three compressions that differ in nothing but the seed."""
    plain = CompressionSpec(steps)
    specs = CompressionSpec.parse_list(f"{plain}@seed={first}..{first + more}")
    assert [spec.seed for spec in specs] == list(range(first, first + more + 1))
    assert {spec.steps for spec in specs} == {steps}


def test_a_seed_stays_in_the_text() -> None:
    """What the user reads in a test's name runs that very replicate again."""
    (one, two) = CompressionSpec.parse_list("wanda:0.5+int8@seed=0..1")
    assert str(two) == "wanda:0.5+int8@seed=1"
    assert CompressionSpec.parse(str(one)) == one


@pytest.mark.parametrize(
    "text", ["a@seed=", "a@seed=x", "a@seed=3..1", "a@seed=0..100", "a@seed=1+b", "a@seed=1@seed=2"]
)
def test_seeds_that_cannot_be_read_are_refused(text: str) -> None:
    """The message says where seeds go and what they look like."""
    with pytest.raises(ConfigurationError, match=r"at the very end.*such as wanda:0.5"):
        CompressionSpec.parse_list(text)


def test_one_compression_has_one_seed() -> None:
    """A range of seeds is for --compress, which makes a test of each."""
    with pytest.raises(ConfigurationError, match=r"stands for 3 compressions.*x@seed=0"):
        CompressionSpec.parse("x@seed=0..2")


def test_a_revision_is_not_a_seed() -> None:
    """An @ without seed= belongs to the path or hub id."""
    step = CompressionSpec.parse("checkpoint:org/name@v1.0@seed=2").steps[0]
    assert step == Step("checkpoint", "org/name@v1.0")


def test_a_compression_may_not_come_twice() -> None:
    """Two tests with one id would be no use."""
    with pytest.raises(ConfigurationError, match="twice"):
        CompressionSpec.parse_list("int4, int4")


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("phantom", "phantom", None),
        ("org/name", "org/name", None),
        ("org/name@v1.0", "org/name", "v1.0"),
        ("./dir@home", "./dir@home", None),
        ("/a/b@c", "/a/b@c", None),
        ("~/m@1", "~/m@1", None),
    ],
)
def test_a_model_and_its_revision(text: str, name: str, revision: str | None) -> None:
    """An @ pins the revision of a hub id; in a path it is a letter like any other."""
    spec = ModelSpec.parse(text)
    assert (spec.name, spec.revision) == (name, revision)
    assert str(spec) == text


def test_the_phantom_is_known_by_name() -> None:
    """Only the exact name is the built-in model."""
    assert ModelSpec.parse("phantom").is_phantom
    assert not ModelSpec.parse("./phantom").is_phantom


def test_unknown_data_types_are_refused() -> None:
    """The message lists the known ones."""
    with pytest.raises(ConfigurationError, match=", ".join(DTYPES)):
        ModelSpec.parse("phantom", dtype="int3")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_model_is_refused(text: str) -> None:
    """An unset variable in a script does not select a model by accident."""
    with pytest.raises(ConfigurationError, match="--model is empty"):
        ModelSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "backend", "name"),
    [
        ("org/name", "hf", "org/name"),
        ("vllm:org/name@main", "vllm", "org/name"),
        ("http://host:8000/v1#name", "http", "//host:8000/v1#name"),
        ("./vllm:name", "hf", "./vllm:name"),
        ("/data/vllm:name", "hf", "/data/vllm:name"),
        (r"C:\models", "hf", r"C:\models"),
    ],
)
def test_a_model_may_name_its_backend(text, backend, name):
    """A word before the first colon; a path that begins as one is a path."""
    spec = ModelSpec.parse(text)
    assert (spec.backend, spec.name, str(spec)) == (backend, name, text)


def test_a_checkpoint_is_a_folder_or_hub_id():
    """Colons in its path are letters like any other."""
    (step,) = CompressionSpec.parse("checkpoint:runs:v2").steps
    assert (step.model.backend, step.model.name) == ("hf", "runs:v2")
