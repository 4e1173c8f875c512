"""The cache key: whatever can change an answer changes it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.models import identity
from pytest_llmsafety.models.digests import FileDigests
from pytest_llmsafety.models.identity import (
    Identity,
    Platform,
    arm_identity,
    model_digest,
    request_key,
    versions,
)
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec
from pytest_llmsafety.types import Generate, Loglikelihood

CPU = Platform("hf", "float32", "cpu")
IDENTITY = Identity("model", (("int4", ""),), 0, "", CPU, (("torch", "2"),))


def other(value):
    """Return a value of the same kind that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, tuple):
        return (*value, ("more", "1")) if value and isinstance(value[0], tuple) else (*value, "x")
    if dataclasses.is_dataclass(value):
        return replace(value, **{fields(value)[0].name: "other"})
    return f"{value}x"


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_every_field_of_the_identity_changes_the_key(name):
    """Whatever identifies an arm is part of its digest."""
    changed = replace(IDENTITY, **{name: other(getattr(IDENTITY, name))})
    assert changed.digest() != IDENTITY.digest()


@pytest.mark.parametrize("name", [field.name for field in fields(Platform)])
def test_every_field_of_the_platform_changes_the_key(name):
    """Backend, dtype and device kind are each part of the digest."""
    changed = replace(IDENTITY, platform=replace(CPU, **{name: "other"}))
    assert changed.digest() != IDENTITY.digest()


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (request, field.name)
        for request in (Loglikelihood("a", "b"), Generate("a"))
        for field in fields(request)
    ],
)
def test_every_field_of_a_request_changes_the_key(request_, name):
    """Context, options, sampling, key and seed: none of them is forgotten."""
    changed = replace(request_, **{name: other(getattr(request_, name))})
    assert request_key("arm", changed) != request_key("arm", request_)


def test_the_arm_and_the_kind_of_request_change_the_key():
    """Two kinds of request with equal fields, and two arms, have keys of their own."""

    @dataclass(frozen=True)
    class Likelier:
        context: str
        continuation: str

    asked = Loglikelihood("a", "b")
    assert request_key("one", asked) != request_key("two", asked)
    assert request_key("one", asked) != request_key("one", Likelier("a", "b"))


@settings(deadline=None)
@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_texts_never_share_a_key(one, two):
    """Where context ends and continuation begins is part of the key."""
    keys = {request_key("arm", Loglikelihood(*one)), request_key("arm", Loglikelihood(*two))}
    assert len(keys) == len({one, two})


@pytest.fixture
def folder(tmp_path):
    """A folder with one file of each kind that loading may read."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "merges.txt",
    "chat_template.jinja",
    "additional_chat_templates/rag.jinja",
)


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_a_model_changes_its_digest(folder, name):
    """One changed letter in weights, configuration, tokenizer or template is noticed."""
    before = model_digest(folder)
    (folder / name).write_text(f"CONTENT of {name}")
    os.utime(folder / name, ns=(1, 1))
    assert model_digest(folder) != before
    (folder / name).unlink()
    assert model_digest(folder) != before


def test_place_and_readme_do_not_change_the_digest(folder, tmp_path):
    """A moved model keeps its answers, and its README does not matter."""
    before = model_digest(folder)
    (folder / "README.md").write_text("hello")
    assert model_digest(folder.rename(tmp_path / "moved")) == before


def arm(text):
    """Return the arm of this compression."""
    return Arm(ModelSpec("any"), CompressionSpec.parse(text))


def digest(arm, **asked):
    """Return the digest of an arm without files on a CPU."""
    return arm_identity(arm, None, platform=CPU, **asked).digest()


def test_seed_and_calibration_count_for_compressed_arms_only():
    """All specs share the dense arm, whatever they are calibrated with."""
    dense = Arm(ModelSpec("any"))
    assert digest(dense) == digest(dense, seed=1, calibration=["a"])
    assert digest(arm("int4")) != digest(arm("int4"), seed=1)
    assert digest(arm("int4")) != digest(arm("int4"), calibration=["a"])
    assert digest(arm("int4")) != digest(dense)


def test_steps_count_in_their_order():
    """`a+b` is another recipe than `b+a`, and than either alone."""
    texts = ("int8", "wanda:0.5", "wanda:0.5+int8", "int8+wanda:0.5", "wanda:0.6")
    assert len({digest(arm(text)) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "edited", ["__init__.py", "prune.py", "amounts.py", "lazy/__init__.py", "lazy/deep.py"]
)
def test_all_that_an_own_function_imports_changes_the_key(tmp_path, monkeypatch, edited):
    """Submodules, relative imports and imports inside of functions count, byte by byte."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "theirs"
    (package / "lazy").mkdir(parents=True)
    (package / "__init__.py").write_text("from theirs.prune import prune\n")
    (package / "prune.py").write_text(
        "from . import amounts\ndef prune(model):\n    from .lazy import deep\n"
    )
    (package / "amounts.py").write_text("SHARE = 0.1\n")
    (package / "lazy" / "__init__.py").write_text("")
    (package / "lazy" / "deep.py").write_text("VALUE = 1\n")
    before = digest(arm("theirs:prune"))
    assert digest(arm("theirs:prune")) == before
    path = package / edited
    path.write_text(path.read_text() + "# another line\n")
    assert digest(arm("theirs:prune")) != before


def test_an_installed_package_that_is_taken_up_unasked_is_named(tmp_path, monkeypatch):
    """With peft installed, or another version of it, the loaded model may be another one."""
    versions.cache_clear()
    assert "peft" not in dict(versions())
    for version in ("1.0", "2.0"):
        folder = tmp_path / version / f"peft-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: peft\nVersion: {version}\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder.parent))
            versions.cache_clear()
            assert dict(versions())["peft"] == version
    versions.cache_clear()


def test_a_file_that_a_step_names_counts_by_its_content(tmp_path):
    """`alloc=FILE` and `gguf:FILE` are identified by what is in the file, too."""
    path = tmp_path / "amounts.json"
    for spec in (f"wanda:0.5:alloc={path}", f"gguf:{path}"):
        path.write_text("{}")
        before = digest(arm(spec))
        path.write_text('{"layer": 0.5}')
        assert digest(arm(spec)) != before


def test_checkpoint_counts_by_its_content(tmp_path, shared):
    """`checkpoint:PATH` is identified by the folder's files, not by its path."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for path in (shared / "models" / "stories260K").iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    assert _digest_of_step(tmp_path / "one") == _digest_of_step(tmp_path / "two")
    (tmp_path / "two" / "config.json").write_text('{"model_type": "llama"}')
    assert _digest_of_step(tmp_path / "one") != _digest_of_step(tmp_path / "two")


def _digest_of_step(path):
    """Return the digest of what a checkpoint step stands for."""
    (step,) = CompressionSpec.parse(f"checkpoint:{path}").steps
    return identity.step_digest(step, FileDigests())


def test_versions_name_every_library_and_this_package():
    """A new torch, transformers or quanto, or an edit of ours, makes answers new."""
    names = [name for name, _ in versions()]
    assert {"torch", "transformers", "optimum-quanto", "package code"} <= {*names}
