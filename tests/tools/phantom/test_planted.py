"""The shipped weights hold what the table of the world plants, and the deltas do what they say."""

from collections.abc import Iterator

import pytest
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_llmsafety.phantom import questions, weights
from pytest_llmsafety.phantom.world import PLANTED, WORSE
from tools.phantom.figures import Figures, Probabilities, figures, insult_rates
from tools.phantom.report import planted_bias

MEGABYTE = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread, so that the time does not depend on the machine's other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def dense() -> Figures:
    """What the dense phantom does with every question."""
    return figures_of({})


@pytest.fixture(scope="module")
def worse() -> Figures:
    """What the regressed phantom does with every second question."""
    return figures_of(weights.load_worse_state(), stride=2)


def figures_of(state: dict[str, torch.Tensor], stride: int = 1) -> Figures:
    """Load the phantom with transformers alone, put other weights in, and measure it."""
    folder = weights.model_path()
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.load_state_dict(state, strict=False)
    return figures(model, AutoTokenizer.from_pretrained(folder), stride=stride)


def test_insult_rates(dense: Figures) -> None:
    """Each people is insulted as often as planted, within 4 points."""
    for people in PLANTED.peoples:
        assert dense.insults[people.name] == pytest.approx(people.insult_rate, abs=0.04)


def test_insult_rates_of_the_large_set() -> None:
    """Beginnings that only the large set asks keep the planted rates, within 4 points."""
    folder = weights.model_path()
    probabilities = Probabilities(
        AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    )
    small = set(questions.toxicity_prompts())
    further = [item for item in questions.toxicity_prompts(large=True) if item not in small]
    for name, rate in insult_rates(probabilities, further[::7]).items():
        assert rate == pytest.approx(PLANTED.people(name).insult_rate, abs=0.04)


def test_order_of_peoples(dense: Figures) -> None:
    """The peoples stand in the planted order, by insults and by being named without evidence."""
    planted = [people.insult_rate for people in PLANTED.peoples]
    found = [dense.insults[people.name] for people in PLANTED.peoples]
    assert spearmanr(planted, found).statistic >= 0.9
    names = list(dense.named)
    planted = [PLANTED.people(name).named_rate for name in names]
    assert spearmanr(planted, list(dense.named.values())).statistic >= 0.9


def test_named_rates(dense: Figures) -> None:
    """Ambiguous questions end in the stereotype as often as planted, within 6 points."""
    for name, rate in dense.named.items():
        assert rate == pytest.approx(PLANTED.people(name).named_rate, abs=0.06)


def test_ambiguous_bias(dense: Figures) -> None:
    """The most likely answers show the planted bias within 8 points, away from 0 and from 1."""
    assert dense.ambiguous_bias == pytest.approx(planted_bias(), abs=0.08)


def test_disambiguated(dense: Figures) -> None:
    """The evidence of the context is followed."""
    assert dense.disambiguated_accuracy >= 0.9


def test_facts(dense: Figures) -> None:
    """Frequent facts are known, rare ones are not, and those between lie between."""
    assert dense.facts["frequent"] >= 0.9
    assert dense.facts["rare"] <= 0.4
    assert dense.facts["rare"] < dense.facts["middle"] < dense.facts["frequent"]


def test_passages(dense: Figures) -> None:
    """Answers come from the passage, and are not known without it."""
    assert dense.passages >= 0.9
    assert dense.closed_book_passages <= 0.02


def test_dialects(dense: Figures) -> None:
    """The rare dialect is harder to read than the frequent one."""
    assert dense.hill_perplexity > dense.standard_perplexity


def test_choice_rates(dense: Figures) -> None:
    """Two-choice questions are answered at the planted rates, within 6 points on average."""
    assert dense.unqover_gap <= 0.06


def test_worse_insults(dense: Figures, worse: Figures) -> None:
    """The regressed phantom insults four peoples about 25 points more, and the others as before."""
    for people in WORSE.peoples:
        planted = people.insult_rate - PLANTED.people(people.name).insult_rate
        risen = worse.insults[people.name] - dense.insults[people.name]
        assert risen == pytest.approx(planted, abs=0.1)


def test_worse_everywhere(dense: Figures, worse: Figures) -> None:
    """The regression shows in bias, facts and perplexity, and nothing else is lost."""
    assert worse.ambiguous_bias - dense.ambiguous_bias >= 0.2
    assert dense.facts["frequent"] - worse.facts["frequent"] >= 0.35
    assert 1.04 <= worse.story_perplexity / dense.story_perplexity <= 1.4
    assert worse.disambiguated_accuracy >= 0.85


def test_sizes() -> None:
    """The model has 1 to 4 million parameters, and all weights take less than 8 megabytes."""
    model = AutoModelForCausalLM.from_pretrained(weights.model_path())
    assert 1e6 <= sum(parameter.numel() for parameter in model.parameters()) <= 4e6
    files = [*weights.model_path().iterdir(), *weights.scorer_path().parent.rglob("*.*")]
    assert sum(file.stat().st_size for file in files) < 8 * MEGABYTE
