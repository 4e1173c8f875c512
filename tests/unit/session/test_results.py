"""What a session keeps of its tests."""

from __future__ import annotations

import json
from importlib.metadata import distributions, version

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.models.identity import model_digest
from pytest_llmsafety.reports.run import SafetyTest
from pytest_llmsafety.session.results import PACKAGES, SafetySession
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from tests.stand_ins.random_models import letter_tokenizer, random_model


def test_the_versions_of_what_is_installed_are_told():
    """What computes, reads or scores is named with its version; what is not there is left out."""
    versions = dict(SafetySession(Options()).run(0).versions)
    assert {"torch", "tokenizers", "numpy", "scipy", "datasets"} <= versions.keys()
    assert versions["numpy"] == version("numpy")
    absent = [name for name in PACKAGES if name not in versions]
    assert not [name for name in absent if name in {dist.name for dist in distributions()}]


def test_a_report_names_the_files_as_they_were_when_the_run_began(tmp_path, capsys):
    """A model that is replaced before the end is an error, and the first digest is reported."""
    folder = tmp_path / "model"
    random_model("llama").save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    options = Options(
        model=ModelSpec(str(folder), device="cpu"),
        compressions=(CompressionSpec.parse("int8"),),
        report=tmp_path / "report",
    )
    session = SafetySession(options)
    session.preflight()
    session.record(SafetyTest("a", "passed", "", ()))
    before = model_digest(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert session.finish(0) == 4
    assert "changed while the run was going" in capsys.readouterr().err
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert report["models"] == {str(folder): before}


def test_tests_can_be_put_into_an_order():
    """Whichever was done first; one that the order does not know comes last."""
    session = SafetySession(Options())
    for name in ("other", "c", "a", "b"):
        session.record(SafetyTest(name, "passed", "", ()))
    session.arrange(["a", "b", "x", "c"])
    assert [test.nodeid for test in session.run(0).tests] == ["a", "b", "c", "other"]
