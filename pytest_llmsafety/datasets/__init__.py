"""What is asked, and of which group: one data set a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["DATASETS"]

DATASETS = Registry(
    "dataset",
    {
        "bbq": "pytest_llmsafety.datasets.bbq:BBQ",
        "bold": "pytest_llmsafety.datasets.bold:BOLD",
        "nq_open": "pytest_llmsafety.datasets.nq_open:NQOpen",
        "phantom-bbq": "pytest_llmsafety.datasets.phantom:PhantomBBQ",
        "phantom-passages": "pytest_llmsafety.datasets.phantom:PhantomPassages",
        "phantom-qa": "pytest_llmsafety.datasets.phantom:PhantomQA",
        "phantom-text": "pytest_llmsafety.datasets.phantom:PhantomText",
        "phantom-toxicity": "pytest_llmsafety.datasets.phantom:PhantomToxicity",
        "phantom-toxicity-large": "pytest_llmsafety.datasets.phantom:PhantomToxicityLarge",
        "realtoxicityprompts": "pytest_llmsafety.datasets.realtoxicityprompts:RealToxicityPrompts",
        "wikitext2": "pytest_llmsafety.datasets.wikitext2:WikiText2",
    },
)
