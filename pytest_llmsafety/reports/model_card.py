"""Write model-card.md: a section to paste into the card of a compressed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.compressors.record.coverage import percent
from pytest_llmsafety.reports import gaps, published, rows
from pytest_llmsafety.reports.advice import sentences
from pytest_llmsafety.reports.markdown import bullets, code, text
from pytest_llmsafety.reports.tables import group_lines, verdict_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import Run

LIMIT = (
    "A verdict is about the change that compression made, on prompts like those of its data set. "
    "It does not say that the dense model is safe, nor anything about harms that no row names."
)
ALONE = "Each verdict has an error rate of its own; among many, some are wrong by chance."
DECISIVE = (
    "model", "device", "dtype", "limit", "seed", "samples", "scope", "early_stop", "family",
    "margin ", "alpha", "worst", "pin ", "scorer", "calibration",
    "chat", "template_arg ", "think_end", "answer_tokens",
)  # fmt: skip
"""Beginnings of the settings that can change a figure."""
FAMILY = "A FAIL was kept where it held among all verdicts of the run (Holm)."
MOST = 6
"""The most names of parameters that stayed dense."""
SUITE = "The verdicts are about these items and no others."


class ModelCard:
    """Report of what was compared: the figures, their limits, the data and the commands.

    Paths of files and folders on the machine are left out, because a card is published.
    """

    file_name = "model-card.md"

    def render(self, run: Run) -> str:
        """Return Markdown for the Hugging Face hub; a part for each compression."""
        lines = ["## Safety of the compressed model", ""]
        if run.gaps:
            lines = [
                f"## {gaps.INCOMPLETE}: safety of the compressed model, not all of it tested",
                "",
                f"{text(gaps.sentence(run.gaps))} This card does not support a release.",
                "",
            ]
        for compression, verdicts in rows.blocks(run.verdicts):
            name, public = published.named(compression), [*map(published.of, verdicts)]
            lines += [*_compared(name, public, incomplete=bool(run.gaps)), ""]
        run = published.of(run)
        missing = rows.undecided(run)
        lines += ["Without a verdict:", "", *bullets(missing), ""] if missing else []
        lines += ["### Limits", "", *bullets(_limits(run)), ""]
        lines += ["### How it was measured", "", *bullets(_provenance(run)), ""]
        commands = dict.fromkeys(one.reproduce for one in run.verdicts if one.reproduce)
        return "\n".join([*lines, *code(commands)] if commands else lines[:-1]) + "\n"


def _compared(compression: str, verdicts: Sequence[Verdict], *, incomplete: bool) -> list[str]:
    """Return the models, the table, and a sentence for each verdict that is not a PASS."""
    first = verdicts[0]
    mark = f"{gaps.INCOMPLETE}: " if incomplete else ""
    lines = [
        f"### {mark}{text(shown(first.model))} under {text(shown(compression))}",
        "",
        f"Both models were asked the same items. {text(rows.title(compression, verdicts))}.",
        "",
        *verdict_table(compression, verdicts),
    ]
    served = rows.artefact(verdicts)
    lines += ["", *bullets(served)] if served else []
    groups = group_lines(verdicts)
    lines += ["", *groups] if groups else []
    texts = sentences(verdicts)
    return [*lines, "", *bullets(texts)] if texts else lines


def _limits(run: Run) -> list[str]:
    """Return what the verdicts mean, assume and leave out."""
    settings = dict(run.settings)
    family = FAMILY if settings.get("family") == "session" else ALONE
    texts = [rows.LEGEND, LIMIT, family]
    texts += [SUITE] if any(one.scope == "suite" for one in run.verdicts) else []
    for verdict in run.verdicts:
        texts += [f"assumed: {line}" for line in verdict.assumptions]
        texts += [f"note: {line}" for line in verdict.notes]
    return list(dict.fromkeys(texts))


def _provenance(run: Run) -> list[str]:
    """Return digests of models and data, scorers, recipes, versions and settings."""
    data = [_data(verdict) for verdict in run.verdicts]
    versions = ", ".join(f"{name} {version}" for name, version in run.versions)
    settings = ", ".join(
        f"{name} {value}"
        for name, value in run.settings
        if value and name.startswith(DECISIVE) and value != "False"
    )
    files = [f"{name}: digest of its files (SHA-256) {digest}" for name, digest in run.models]
    texts = [*files, *data, *map(_recipe, run.verdicts)]
    texts += [f"versions: {versions}"] if versions else []
    texts += [f"settings: {settings}"] if settings else []
    return list(dict.fromkeys(filter(None, texts)))


def _data(verdict: Verdict) -> str:
    digest = f", digest of the items {verdict.data_digest}" if verdict.data_digest else ""
    scorer = f", scored by {verdict.scorer}" if verdict.scorer else ""
    return f"{verdict.measurement}: data set {verdict.dataset}{digest}{scorer}"


def _recipe(verdict: Verdict) -> str:
    if verdict.record is None:
        return ""
    given = (*verdict.record.parameters, *verdict.record.calibration)
    recipe = ", ".join(f"{name} {value}" for name, value in given)
    stayed = [f"{name} ({percent(share)})" for name, _, share, *_ in verdict.record.kept[:MOST]]
    dense = f"; stayed dense, of all parameters: {', '.join(stayed)}" if stayed else ""
    how = f"{verdict.record.method}, {recipe}" if recipe else verdict.record.method
    return f"{verdict.compression}: {how}{dense}"
