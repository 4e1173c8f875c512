"""What a session hands to its compressors: calibration texts, and where their models are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors import looks_at_texts
from pytest_llmsafety.compressors.model_store import GIGABYTE, Store
from pytest_llmsafety.datasets.calibration import load_calibration
from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.inference.baseline_file import UPDATE, read
from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.paths import MODELS_FOLDER
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.types import CalibrationTexts

if TYPE_CHECKING:
    from pytest_llmsafety.config.options import Options


def calibration(options: Options) -> CalibrationTexts | None:
    """The calibration texts, where a compression looks at any; None: the packaged ones.

    The built-in model knows no English: without a file of the user's it gets texts of its world.
    """
    if not any(map(looks_at_texts, options.compressions)):
        return None
    if options.calibration:
        return load_calibration(options.calibration)
    if options.model and options.model.is_phantom:
        from pytest_llmsafety.phantom.training_text import calibration_texts

        return CalibrationTexts(calibration_texts(), "the phantom's own world")
    return None


def reference(options: Options) -> DenseSource:
    """What is known of the dense model: from the baseline, unless that is to be written.

    Raises BaselineError for one that cannot be read, or of another seed: with that, other items are
    drawn and other texts sampled, and none of its answers would be of use.
    """
    if options.baseline is None or options.plan:
        return DenseSource(options.model)
    if options.update_baseline:
        return DenseSource(options.model, records=True)
    baseline = read(options.baseline)
    if baseline.seed not in (None, options.seed):
        message = (
            f"--llmsafety-baseline: '{without_access(options.baseline)}' was written with seed "
            f"{baseline.seed}, and this run has seed {options.seed}. Run with --llmsafety-seed="
            f"{baseline.seed}, or write the baseline again with {UPDATE}."
        )
        raise BaselineError(message)
    return DenseSource(options.model, baseline)


def store(options: Options) -> Store | None:
    """Where compressed models are kept; None when nothing is."""
    if options.cache is None or not options.store:
        return None
    return Store(options.cache / MODELS_FOLDER, options.store * GIGABYTE)
