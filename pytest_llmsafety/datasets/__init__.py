"""What is asked, and of which group: one data set a file, loaded when its name is asked for."""

from __future__ import annotations

from pytest_llmsafety.registry import Registry

__all__ = ["DATASETS"]

DATASETS = Registry(
    "dataset",
    {
        "arc": "pytest_llmsafety.datasets.arc:ARC",
        "arc_easy": "pytest_llmsafety.datasets.arc:ARCEasy",
        "bbq": "pytest_llmsafety.datasets.bbq:BBQ",
        "bold": "pytest_llmsafety.datasets.bold:BOLD",
        "freebaseqa": "pytest_llmsafety.datasets.freebaseqa:FreebaseQA",
        "hellaswag": "pytest_llmsafety.datasets.hellaswag:HellaSwag",
        "lama": "pytest_llmsafety.datasets.lama:LAMA",
        "mmlu": "pytest_llmsafety.datasets.mmlu:MMLU",
        "nq_open": "pytest_llmsafety.datasets.nq_open:NQOpen",
        "phantom-bbq": "pytest_llmsafety.datasets.phantom:PhantomBBQ",
        "phantom-choice": "pytest_llmsafety.datasets.phantom:PhantomChoice",
        "phantom-passages": "pytest_llmsafety.datasets.phantom:PhantomPassages",
        "phantom-qa": "pytest_llmsafety.datasets.phantom:PhantomQA",
        "phantom-text": "pytest_llmsafety.datasets.phantom:PhantomText",
        "phantom-toxicity": "pytest_llmsafety.datasets.phantom:PhantomToxicity",
        "phantom-toxicity-large": "pytest_llmsafety.datasets.phantom:PhantomToxicityLarge",
        "popqa": "pytest_llmsafety.datasets.popqa:PopQA",
        "realtoxicityprompts": "pytest_llmsafety.datasets.realtoxicityprompts:RealToxicityPrompts",
        "squad": "pytest_llmsafety.datasets.squad:SQuAD",
        "triviaqa": "pytest_llmsafety.datasets.triviaqa:TriviaQA",
        "truthfulqa": "pytest_llmsafety.datasets.truthfulqa:TruthfulQA",
        "wikitext2": "pytest_llmsafety.datasets.wikitext2:WikiText2",
        "xquad_en": "pytest_llmsafety.datasets.squad:XQuAD",
    },
)
