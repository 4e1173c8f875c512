"""Tables of the Hugging Face hub, each pinned to one commit, read with `datasets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.rows import DataRow
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.libraries import quiet_datasets

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class HubTable:
    """One table: `repository` at the commit `revision` (40 hex digits).

    `files` are JSON-lines files of the repository, which the generic JSON reader reads one after
    the other. Without them the repository's own table `config`, `split` is read. No code of the
    repository runs in either case.
    """

    repository: str
    revision: str
    config: str | None = None
    split: str = "train"
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the repository and an abbreviated commit."""
        return f"{self.repository}@{self.revision[:12]}"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in order, as plain values.

        Raises DatasetError when the hub cannot be reached or the table cannot be read.
        """
        if not self.files:
            yield from _load(self, self.repository, self.config, revision=self.revision)
        for file in self.files:
            address = f"hf://datasets/{self.repository}@{self.revision}/{file}"
            yield from _load(self, "json", data_files=address)


def _load(
    table: HubTable, path: str, config: str | None = None, **place: str
) -> Iterator[dict[str, Any]]:
    import datasets

    try:
        with quiet_datasets():
            rows = datasets.load_dataset(path, config, split=table.split, **place)
    except Exception as error:
        raise DatasetError(unreachable(table, error)) from error
    for number, row in enumerate(rows, start=1):
        yield DataRow(row, f"{table} row {number}")


def unreachable(table: HubTable, error: Exception) -> str:
    """Return the error message for a table that cannot be loaded, with a remedy."""
    import huggingface_hub

    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    # `datasets` raises the same class for all of these, without a cause: only its text differs.
    refused = any(word in reason.lower() for word in ("gated", "403", "401"))
    advice = (
        f"Accept its terms at https://huggingface.co/datasets/{table.repository} and log in "
        "(hf auth login)"
        if refused
        else "HF_HUB_OFFLINE is set: unset it and try again"
        if huggingface_hub.is_offline_mode()
        else "Try again when the hub can be reached"
    )
    return (
        f"cannot load {table} from the hub ({reason}). {advice}. Without network: fetch the files "
        "elsewhere and give their folder with --llmsafety-data=FOLDER; docs/data.md says which "
        "files go where."
    )
