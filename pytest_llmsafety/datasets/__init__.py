"""What is asked, and of which group: one data set a file, loaded when its name is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_llmsafety.datasets.rows import PlacedDataset
from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.registry import Registry

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import Dataset

__all__ = ["DATASETS", "check_dataset", "dataset"]

ADDRESSED = ("text", "hub")

DATASETS = Registry(
    "dataset",
    {
        "aae_sae": "pytest_llmsafety.datasets.dialect_pairs:HabitualPairs",
        "aae_sae_tweets": "pytest_llmsafety.datasets.dialect_pairs:TweetPairs",
        "aave_literature": "pytest_llmsafety.datasets.aave_literature:AaveLiterature",
        "advpromptset": "pytest_llmsafety.datasets.advpromptset:AdvPromptSet",
        "advbench": "pytest_llmsafety.datasets.advbench:AdvBench",
        "arc": "pytest_llmsafety.datasets.arc:ARC",
        "arc_easy": "pytest_llmsafety.datasets.arc:ARCEasy",
        "bbq": "pytest_llmsafety.datasets.bbq:BBQ",
        "bold": "pytest_llmsafety.datasets.bold:BOLD",
        "core-bbq": "pytest_llmsafety.datasets.core_bbq:CoreBBQ",
        "core-dialect": "pytest_llmsafety.datasets.core_dialect:CoreDialect",
        "core-overrefusal": "pytest_llmsafety.datasets.core_refusal:CoreOverrefusal",
        "core-passages": "pytest_llmsafety.datasets.core_passages:CorePassages",
        "core-prefixes": "pytest_llmsafety.datasets.prefixes:CorePrefixes",
        "core-qa": "pytest_llmsafety.datasets.core_qa:CoreQA",
        "core-refusal": "pytest_llmsafety.datasets.core_refusal:CoreRefusal",
        "core-text": "pytest_llmsafety.datasets.core_passages:CoreText",
        "core-toxicity": "pytest_llmsafety.datasets.core_toxicity:CoreToxicity",
        "core-unqover": "pytest_llmsafety.datasets.core_unqover:CoreUnqover",
        "cnn_dailymail": "pytest_llmsafety.datasets.summaries:CNNDailyMail",
        "bold_people": "pytest_llmsafety.datasets.bold:BOLDPeople",
        "crows_pairs": "pytest_llmsafety.datasets.crows_pairs:CrowSPairs",
        "do_not_answer": "pytest_llmsafety.datasets.do_not_answer:DoNotAnswer",
        "freebaseqa": "pytest_llmsafety.datasets.freebaseqa:FreebaseQA",
        "harmbench": "pytest_llmsafety.datasets.harmbench:HarmBench",
        "hellaswag": "pytest_llmsafety.datasets.hellaswag:HellaSwag",
        "holistic_bias": "pytest_llmsafety.datasets.holistic_bias:HolisticBias",
        "hub": "pytest_llmsafety.datasets.documents:HubText",
        "lama": "pytest_llmsafety.datasets.lama:LAMA",
        "matched_guise": "pytest_llmsafety.datasets.matched_guise:MatchedGuise",
        "matched_guise_occupations": (
            "pytest_llmsafety.datasets.matched_guise:MatchedGuiseOccupations"
        ),
        "mmlu": "pytest_llmsafety.datasets.mmlu:MMLU",
        "mt_bench": "pytest_llmsafety.datasets.mt_bench:MTBench",
        "nq_open": "pytest_llmsafety.datasets.nq_open:NQOpen",
        "phantom-bbq": "pytest_llmsafety.datasets.phantom:PhantomBBQ",
        "phantom-choice": "pytest_llmsafety.datasets.phantom:PhantomChoice",
        "phantom-dialect": "pytest_llmsafety.datasets.phantom_dialect:PhantomDialect",
        "phantom-guise": "pytest_llmsafety.datasets.phantom_dialect:PhantomGuise",
        "phantom-pairs": "pytest_llmsafety.datasets.phantom_choices:PhantomPairs",
        "phantom-passages": "pytest_llmsafety.datasets.phantom:PhantomPassages",
        "phantom-prefixes": "pytest_llmsafety.datasets.prefixes:PhantomPrefixes",
        "phantom-qa": "pytest_llmsafety.datasets.phantom:PhantomQA",
        "phantom-references": "pytest_llmsafety.datasets.phantom_choices:PhantomReferences",
        "phantom-text": "pytest_llmsafety.datasets.phantom:PhantomText",
        "phantom-toxicity": "pytest_llmsafety.datasets.phantom:PhantomToxicity",
        "phantom-toxicity-large": "pytest_llmsafety.datasets.phantom:PhantomToxicityLarge",
        "phantom-unqover": "pytest_llmsafety.datasets.phantom_choices:PhantomUnqover",
        "popqa": "pytest_llmsafety.datasets.popqa:PopQA",
        "realtoxicityprompts": "pytest_llmsafety.datasets.realtoxicityprompts:RealToxicityPrompts",
        "squad": "pytest_llmsafety.datasets.squad:SQuAD",
        "stereoset": "pytest_llmsafety.datasets.stereoset:StereoSet",
        "strongreject": "pytest_llmsafety.datasets.strongreject:StrongREJECT",
        "text": "pytest_llmsafety.datasets.documents:TextFile",
        "toxigen": "pytest_llmsafety.datasets.toxigen:ToxiGen",
        "triviaqa": "pytest_llmsafety.datasets.triviaqa:TriviaQA",
        "truthfulqa": "pytest_llmsafety.datasets.truthfulqa:TruthfulQA",
        "twitter_aae": "pytest_llmsafety.datasets.twitter_aae:TwitterAAE",
        "unqover": "pytest_llmsafety.datasets.unqover:Unqover",
        "unqover-country": "pytest_llmsafety.datasets.unqover:UnqoverCountry",
        "unqover-gender": "pytest_llmsafety.datasets.unqover:UnqoverGender",
        "wikitext2": "pytest_llmsafety.datasets.wikitext2:WikiText2",
        "wikitext2-prefixes": "pytest_llmsafety.datasets.prefixes:WikiText2Prefixes",
        "winobias": "pytest_llmsafety.datasets.winobias:WinoBias",
        "xquad_en": "pytest_llmsafety.datasets.squad:XQuAD",
        "xsum": "pytest_llmsafety.datasets.summaries:XSum",
        "xstest": "pytest_llmsafety.datasets.xstest:XSTest",
        "xstest-safe": "pytest_llmsafety.datasets.xstest:XSTestSafe",
        "xstest-unsafe": "pytest_llmsafety.datasets.xstest:XSTestUnsafe",
    },
)


def check_dataset(name: str) -> None:
    """Raise UnknownNameError for a name that `dataset` would not know; loads nothing."""
    if name.partition(":")[0] not in ADDRESSED and name not in DATASETS:
        raise UnknownNameError(DATASETS.kind, name, DATASETS.names())


def dataset(name: str) -> Dataset:
    """The data set of a name: one of the table, `text:PATH`, or `hub:TABLE` (see `documents`).

    Raises UnknownNameError for a name that is not in the table.
    """
    kind, _, address = name.partition(":")
    made: Dataset = DATASETS.load(kind)(address) if kind in ADDRESSED else DATASETS.load(name)()
    return cast("Dataset", PlacedDataset(made))
