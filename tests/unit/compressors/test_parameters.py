"""Parameters of a step: any order, one meaning, and errors that explain the grammar."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.compressors import COMPRESSORS, check, looks_at_texts
from pytest_llmsafety.compressors.parameters import Key, Parameters, Values, read
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import CompressionSpec, Step

BITS = Parameters(
    example="gptq:4:g128",
    bits=(2, 8),
    group=True,
    flags=(("actorder", "large columns first"), ("sym", "no zero point")),
    keys=(Key("damp", "share of the diagonal", high=1), Key("alloc", "a file", "text")),
    calibrated=True,
)
PRUNING = Parameters(
    example="wanda:2:4", sparsity=True, pattern=True, flags=(("alpha", "by layer"),)
)
WITH_FILE = Parameters(example="wanda:0.5", sparsity=True, keys=(Key("alloc", "a file", "text"),))
PARTS = {"4": {"bits": 4}, "g128": {"group_size": 128}, "sym": {}, "damp=0.1": {}, "nsamples=8": {}}


@given(st.permutations(list(PARTS)))
def test_order_does_not_matter(parts):
    """The parts of a step may come in any order."""
    values = read(Step("gptq", ":".join(parts)), BITS)
    assert values == Values(
        bits=4,
        group_size=128,
        flags=frozenset({"sym"}),
        keys=(("damp", 0.1), ("nsamples", 8)),
    )


@pytest.mark.parametrize(
    ("parameter", "declared", "values"),
    [
        ("2:4", PRUNING, Values(pattern=(2, 4))),
        ("alpha:4:8", PRUNING, Values(pattern=(4, 8), flags=frozenset({"alpha"}))),
        ("0.5", PRUNING, Values(sparsity=0.5)),
        ("0:alloc=x.json", WITH_FILE, Values(sparsity=0.0, keys=(("alloc", "x.json"),))),
        ("3:g64", BITS, Values(bits=3, group_size=64)),
        ("8:actorder", BITS, Values(bits=8, flags=frozenset({"actorder"}))),
        ("4:alloc=a/b.json", BITS, Values(bits=4, keys=(("alloc", "a/b.json"),))),
    ],
)
def test_what_parts_mean(parameter, declared, values):
    """Two neighbouring whole numbers are N:M only where the method takes N:M."""
    assert read(Step("m", parameter), declared) == values


@pytest.mark.parametrize(
    ("parameter", "declared", "words"),
    [
        ("1.5", PRUNING, r"1.5 is outside \(0, 1\)\. Write it like wanda:2:4\. m takes .* 0.5"),
        ("50", PRUNING, r"for 50 percent write 0.5"),
        ("1", PRUNING, r"sparsity 1 is outside \(0, 1\)"),
        ("0", PRUNING, "a sparsity of 0 removes nothing"),
        ("0.0:alpha", PRUNING, "a sparsity of 0 removes nothing"),
        (" 0.5", PRUNING, "it holds a blank"),
        ("2: 4", PRUNING, "it holds a blank"),
        ("4:2", PRUNING, "4:2 is not N:M"),
        ("0.5:2:4", PRUNING, "expected one of them"),
        ("", PRUNING, "strength is missing"),
        ("alpha", PRUNING, "strength is missing"),
        ("0.5:0.6", PRUNING, "two values were given for sparsity"),
        ("0.5:alhpa", PRUNING, "did you mean alpha"),
        ("0.5:alpha:alpha", PRUNING, "alpha was given twice"),
        ("0.5::alpha", PRUNING, "a parameter is empty"),
        ("9", BITS, r"9 bits are outside 2\.\.8"),
        ("4:g1", BITS, "group size 1 is smaller"),
        ("4:128", BITS, "two values were given for bits|128 bits are outside"),
        ("4:damp=2", BITS, "damp has to be a number from 0 to 1, '2' was given"),
        ("4:nsamples=0", BITS, "nsamples has to be a whole number from 1"),
        ("4:damp=0.1:damp=0.2", BITS, "damp= was given twice"),
        ("4:dmp=0.1", BITS, "did you mean damp=?"),
        ("4:alloc=", BITS, "alloc= has no value"),
        ("0.5", BITS, "'0.5' is not a parameter of it"),
        ("x", Parameters(example="m"), "m takes no parameter"),
        ("", Parameters(example="m:FILE", rest="FILE"), "is missing.*like m:FILE.*takes m:FILE"),
    ],
)
def test_wrong_parameters_teach_the_grammar(parameter, declared, words):
    """The message has what was given, what the method takes, and an example."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        read(Step("m", parameter), declared)
    assert declared.example in str(caught.value)


@pytest.mark.parametrize("method", sorted(COMPRESSORS.table))
def test_an_error_shows_what_to_write_before_it_gets_long(method):
    """Every method's error has at most 400 characters, and its example before its parameters."""
    declared = COMPRESSORS.load(method).parameters
    if declared.rest:
        return
    with pytest.raises(ConfigurationError) as caught:
        read(Step(method, "no-such-word"), declared)
    text = str(caught.value)
    assert len(text) <= 400
    assert text.index(f"Write it like {declared.example}.") < text.index(f"{method} takes")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("kv:4", "int4"), ("kv:fp8", "int8"), ("kv:in2", "int2"), ("kv:int4:kiwi", "kivi")],
)
def test_a_word_that_is_near_is_suggested(given, meant):
    """A similar word is suggested, or one with the same number of bits."""
    with pytest.raises(ConfigurationError, match=rf"did you mean {meant}\?"):
        check(CompressionSpec.parse(given))


def test_a_rest_is_kept_as_it_is():
    """Colons, equals signs and numbers of a path mean nothing."""
    declared = Parameters(example="gguf:FILE", rest="FILE")
    assert read(Step("gguf", "C:/a=1:2:4"), declared).rest == "C:/a=1:2:4"


@pytest.mark.parametrize("method", sorted(COMPRESSORS.table))
def test_every_method_declares_an_example_that_passes(method):
    """Each compressor says what it takes, and accepts its example, if the file in it is there."""
    declared = COMPRESSORS.load(method).parameters
    spec = CompressionSpec.parse(declared.example)
    assert method in {step.method for step in spec.steps}
    try:
        check(spec)
    except ConfigurationError as error:
        assert method in {"gguf", "llmcompressor"}
        assert "does not exist" in str(error)  # noqa: PT017


def test_a_seed_without_effect_is_refused():
    """Replicates of a method that looks at no texts would be one result three times."""
    with pytest.raises(ConfigurationError, match=r"a seed changes nothing. Write rtn:4"):
        check(CompressionSpec.parse("rtn:4@seed=1"))
    check(CompressionSpec.parse("rtn:4+wanda:0.5@seed=1"))


@pytest.mark.parametrize(
    ("without", "with_texts"),
    [
        ("llm-pruner:0.2:l1", "llm-pruner:0.2"),
        ("delta:org/base:1:nearest", "delta:org/base:1"),
        ("delta:org/base:sign", "delta:org/base:2"),
        ("magnitude:0.5", "magnitude:0.5+dsnot"),
        ("a8", "a8-static"),
    ],
)
def test_words_decide_whether_texts_are_looked_at(without, with_texts):
    """A seed, and settings of the texts, are refused wherever the step looks at none."""
    assert not looks_at_texts(CompressionSpec.parse(without))
    assert looks_at_texts(CompressionSpec.parse(with_texts))
    check(CompressionSpec.parse(f"{with_texts}@seed=1"))
    for setting in ("@seed=1", ":nsamples=8"):
        check(CompressionSpec.parse(without))
        with pytest.raises(ConfigurationError):
            check(CompressionSpec.parse(without + setting))


def test_the_record_gets_what_was_given():
    """Values become rows of texts, in a fixed order."""
    values = read(Step("gptq", "sym:damp=0.1:4"), BITS)
    assert values.rows() == (("bits", "4"), ("sym", "yes"), ("damp", "0.1"))


@pytest.mark.parametrize("method", sorted(COMPRESSORS.table))
def test_every_method_is_in_the_docs(method):
    """docs/compressors.md names each method of the table."""
    page = Path(__file__).resolve().parents[3] / "docs" / "compressors.md"
    assert re.search(rf"`{re.escape(method)}[:`]", page.read_text("utf-8"))
