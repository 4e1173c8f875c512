"""What is asked, and of which group: one data set a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["DATASETS"]

DATASETS = Registry(
    "dataset",
    {
        "bbq": "pytest_llmsafety.datasets.bbq:BBQ",
        "bold": "pytest_llmsafety.datasets.bold:BOLD",
        "crows_pairs": "pytest_llmsafety.datasets.crows_pairs:CrowSPairs",
        "nq_open": "pytest_llmsafety.datasets.nq_open:NQOpen",
        "phantom-bbq": "pytest_llmsafety.datasets.phantom:PhantomBBQ",
        "phantom-pairs": "pytest_llmsafety.datasets.phantom_choices:PhantomPairs",
        "phantom-passages": "pytest_llmsafety.datasets.phantom:PhantomPassages",
        "phantom-qa": "pytest_llmsafety.datasets.phantom:PhantomQA",
        "phantom-references": "pytest_llmsafety.datasets.phantom_choices:PhantomReferences",
        "phantom-text": "pytest_llmsafety.datasets.phantom:PhantomText",
        "phantom-toxicity": "pytest_llmsafety.datasets.phantom:PhantomToxicity",
        "phantom-toxicity-large": "pytest_llmsafety.datasets.phantom:PhantomToxicityLarge",
        "phantom-unqover": "pytest_llmsafety.datasets.phantom_choices:PhantomUnqover",
        "realtoxicityprompts": "pytest_llmsafety.datasets.realtoxicityprompts:RealToxicityPrompts",
        "stereoset": "pytest_llmsafety.datasets.stereoset:StereoSet",
        "unqover": "pytest_llmsafety.datasets.unqover:Unqover",
        "unqover-country": "pytest_llmsafety.datasets.unqover:UnqoverCountry",
        "unqover-gender": "pytest_llmsafety.datasets.unqover:UnqoverGender",
        "wikitext2": "pytest_llmsafety.datasets.wikitext2:WikiText2",
        "winobias": "pytest_llmsafety.datasets.winobias:WinoBias",
    },
)
