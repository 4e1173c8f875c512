"""Data sets by name: the table, and how one is opened. The data sets are in `sources/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_llmsafety.datasets.rows import PlacedDataset
from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.registry import Registry

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import Dataset

__all__ = ["DATASETS", "check_dataset", "dataset"]

ADDRESSED = ("text", "hub")
"""Data sets that take an address: `text:PATH`, `hub:TABLE`."""

SOURCES = {
    "aae_sae": "dialect_pairs:HabitualPairs",
    "aae_sae_tweets": "dialect_pairs:TweetPairs",
    "aave_literature": "aave_literature:AaveLiterature",
    "advbench": "advbench:AdvBench",
    "advpromptset": "advpromptset:AdvPromptSet",
    "arc": "arc:ARC",
    "arc_easy": "arc:ARCEasy",
    "bbq": "bbq:BBQ",
    "bold": "bold:BOLD",
    "bold_people": "bold:BOLDPeople",
    "cnn_dailymail": "summaries:CNNDailyMail",
    "core-bbq": "core_bbq:CoreBBQ",
    "core-dialect": "core_dialect:CoreDialect",
    "core-overrefusal": "core_refusal:CoreOverrefusal",
    "core-passages": "core_passages:CorePassages",
    "core-prefixes": "prefixes:CorePrefixes",
    "core-qa": "core_qa:CoreQA",
    "core-refusal": "core_refusal:CoreRefusal",
    "core-text": "core_passages:CoreText",
    "core-toxicity": "core_toxicity:CoreToxicity",
    "core-unqover": "core_unqover:CoreUnqover",
    "crows_pairs": "crows_pairs:CrowSPairs",
    "do_not_answer": "do_not_answer:DoNotAnswer",
    "freebaseqa": "freebaseqa:FreebaseQA",
    "harmbench": "harmbench:HarmBench",
    "hellaswag": "hellaswag:HellaSwag",
    "holistic_bias": "holistic_bias:HolisticBias",
    "hub": "documents:HubText",
    "lama": "lama:LAMA",
    "matched_guise": "matched_guise:MatchedGuise",
    "matched_guise_occupations": "matched_guise:MatchedGuiseOccupations",
    "mmlu": "mmlu:MMLU",
    "mt_bench": "mt_bench:MTBench",
    "nq_open": "nq_open:NQOpen",
    "phantom-bbq": "phantom:PhantomBBQ",
    "phantom-choice": "phantom:PhantomChoice",
    "phantom-dialect": "phantom:PhantomDialect",
    "phantom-guise": "phantom:PhantomGuise",
    "phantom-pairs": "phantom:PhantomPairs",
    "phantom-passages": "phantom:PhantomPassages",
    "phantom-prefixes": "prefixes:PhantomPrefixes",
    "phantom-qa": "phantom:PhantomQA",
    "phantom-references": "phantom:PhantomReferences",
    "phantom-text": "phantom:PhantomText",
    "phantom-toxicity": "phantom:PhantomToxicity",
    "phantom-toxicity-large": "phantom:PhantomToxicityLarge",
    "phantom-unqover": "phantom:PhantomUnqover",
    "popqa": "popqa:PopQA",
    "realtoxicityprompts": "realtoxicityprompts:RealToxicityPrompts",
    "squad": "squad:SQuAD",
    "stereoset": "stereoset:StereoSet",
    "strongreject": "strongreject:StrongREJECT",
    "text": "documents:TextFile",
    "toxigen": "toxigen:ToxiGen",
    "triviaqa": "triviaqa:TriviaQA",
    "truthfulqa": "truthfulqa:TruthfulQA",
    "twitter_aae": "twitter_aae:TwitterAAE",
    "unqover": "unqover:Unqover",
    "unqover-country": "unqover:UnqoverCountry",
    "unqover-gender": "unqover:UnqoverGender",
    "wikitext2": "wikitext2:WikiText2",
    "wikitext2-prefixes": "prefixes:WikiText2Prefixes",
    "winobias": "winobias:WinoBias",
    "xquad_en": "squad:XQuAD",
    "xstest": "xstest:XSTest",
    "xstest-safe": "xstest:XSTestSafe",
    "xstest-unsafe": "xstest:XSTestUnsafe",
    "xsum": "summaries:XSum",
}
"""The name of each data set, and its place: the module in `sources/`, and the class."""

DATASETS = Registry(
    "dataset",
    {name: f"{__name__}.sources.{place}" for name, place in SOURCES.items()},
)


def check_dataset(name: str) -> None:
    """Raise UnknownNameError for a name that `dataset` does not know; load nothing."""
    if name.partition(":")[0] not in ADDRESSED and name not in DATASETS:
        raise UnknownNameError(DATASETS.kind, name, DATASETS.names())


def dataset(name: str) -> Dataset:
    """Return the data set of a name: one of the table, `text:PATH` or `hub:TABLE`.

    Raises UnknownNameError for a name that is not in the table.
    """
    kind, _, address = name.partition(":")
    made: Dataset = DATASETS.load(kind)(address) if kind in ADDRESSED else DATASETS.load(name)()
    return cast("Dataset", PlacedDataset(made))
