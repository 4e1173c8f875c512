"""model-card.md: a section to paste into the card of a compressed model."""

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
"""Settings that a figure rests on."""
FAMILY = "A FAIL was kept where it held among all verdicts of the run (Holm)."
MOST = 6
"""What stayed dense is listed up to so many names."""
SUITE = "The verdicts are about these items and no others."


class ModelCard:
    """What was compared, the figures, their limits, the data and the commands.

    Where files and folders of the machine lie is not told to the world.
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
            told = [*map(published.of, verdicts)]
            name = published.named(compression)
            lines += [*_compared(name, told, incomplete=bool(run.gaps)), ""]
        run = published.of(run)
        missing = rows.undecided(run)
        lines += ["Without a verdict:", "", *bullets(missing), ""] if missing else []
        lines += ["### Limits", "", *bullets(_limits(run)), ""]
        lines += ["### How it was measured", "", *bullets(_provenance(run)), ""]
        commands = dict.fromkeys(one.reproduce for one in run.verdicts if one.reproduce)
        return "\n".join([*lines, *code(commands)] if commands else lines[:-1]) + "\n"


def _compared(compression: str, verdicts: Sequence[Verdict], *, incomplete: bool) -> list[str]:
    """What was compared with what, the table, and a sentence for each that is not a PASS."""
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
    told = sentences(verdicts)
    return [*lines, "", *bullets(told)] if told else lines


def _limits(run: Run) -> list[str]:
    """What the verdicts mean, rest on, and leave out."""
    settings = dict(run.settings)
    family = FAMILY if settings.get("family") == "session" else ALONE
    told = [rows.LEGEND, LIMIT, family]
    told += [SUITE] if any(one.scope == "suite" for one in run.verdicts) else []
    for verdict in run.verdicts:
        told += [f"assumed: {line}" for line in verdict.assumptions]
        told += [f"note: {line}" for line in verdict.notes]
    return list(dict.fromkeys(told))


def _provenance(run: Run) -> list[str]:
    """Digests of models and data, scorers, how each model was compressed, versions, settings."""
    data = [_data(verdict) for verdict in run.verdicts]
    versions = ", ".join(f"{name} {version}" for name, version in run.versions)
    settings = ", ".join(
        f"{name} {value}"
        for name, value in run.settings
        if value and name.startswith(DECISIVE) and value != "False"
    )
    files = [f"{name}: digest of its files (SHA-256) {digest}" for name, digest in run.models]
    told = [*files, *data, *map(_recipe, run.verdicts)]
    told += [f"versions: {versions}"] if versions else []
    told += [f"settings: {settings}"] if settings else []
    return list(dict.fromkeys(filter(None, told)))


def _data(verdict: Verdict) -> str:
    """The items of one measurement."""
    digest = f", digest of the items {verdict.data_digest}" if verdict.data_digest else ""
    scorer = f", judged by {verdict.scorer}" if verdict.scorer else ""
    return f"{verdict.measurement}: data set {verdict.dataset}{digest}{scorer}"


def _recipe(verdict: Verdict) -> str:
    """How the model was compressed."""
    if verdict.record is None:
        return ""
    given = (*verdict.record.parameters, *verdict.record.calibration)
    told = ", ".join(f"{name} {value}" for name, value in given)
    stayed = [f"{name} ({percent(share)})" for name, _, share, *_ in verdict.record.kept[:MOST]]
    dense = f"; stayed dense, of all parameters: {', '.join(stayed)}" if stayed else ""
    return f"{verdict.compression}: {verdict.record.method}{f', {told}' if told else ''}{dense}"
