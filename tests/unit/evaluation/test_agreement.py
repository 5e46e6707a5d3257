"""What people think beside what a model says: against figures computed by hand or in another way, and the pictures."""

import warnings

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features
from matplotlib.text import Text
from scipy.stats import spearmanr

from textlab import evaluation, hub
from textlab.data import ratings as packaged
from textlab.evaluation import agreement, plots

SMALL = [np.array([1, 2, 0, -4]), np.array([-1, -1]), np.array([0, 0, 1])]
# Of the others' means for the first text, -2/3, -1, -1/3 and 1, the classes are negative, negative, neutral, positive:
# only the third person agrees. Both of the second text do; of the third the two whose others have the mean 0.5 do, and
# the last one, with others of mean 0, does not.
AGREED = [1, 2, 2]


def made(texts=200, seed=1):
    """Return ratings by 5 to 20 people, of whom more agree the further the mean is from the cuts."""
    dice = np.random.default_rng(seed)
    return [np.clip(dice.normal(dice.uniform(-3, 3), 1, dice.integers(5, 21)).round(), -4, 4) for _ in range(texts)]


def test_agreement_by_hand():
    found = agreement.agreement(SMALL)
    assert found["agreement"] == pytest.approx(sum(AGREED) / 9)
    assert (found["texts"], found["ratings"]) == (3, 9)
    assert agreement.agreement(SMALL, cut=4.5)["agreement"] == 1  # all are neutral


@pytest.mark.parametrize(
    "kind, share", {"tweets": 0.820, "movies": 0.884, "products": 0.849, "editorials": 0.674}.items()
)
def test_agreement_of_the_packaged_data_is_the_known_one(table, kind, share):
    found = agreement.agreement(table.loc[table["kind"] == kind, "ratings"].tolist(), resamples=200)
    assert found["agreement"] == pytest.approx(share, abs=0.0005)
    low, high = found["agreement_ci95"]
    assert low < share < high and high - low < 0.02


@pytest.fixture(scope="module")
def table():
    return packaged.read(hub.packaged_data().path)


def test_interval_of_agreement_is_a_bootstrap_over_texts():
    ratings, dice = made(), np.random.default_rng(5)
    single = [agreement.agreement([some], resamples=1)["agreement"] * len(some) for some in ratings]
    agreed, counts = np.array(single), np.array([len(some) for some in ratings])
    rows = dice.integers(200, size=(4000, 200))
    wanted = np.percentile(agreed[rows].sum(1) / counts[rows].sum(1), [2.5, 97.5])
    assert agreement.agreement(ratings)["agreement_ci95"] == pytest.approx(wanted, abs=0.005)
    assert agreement.agreement(ratings, seed=3) == agreement.agreement(ratings, seed=3) != agreement.agreement(ratings)


@pytest.mark.parametrize("measure", [agreement.agreement, agreement.split_half])
@pytest.mark.parametrize("ratings", [[], [[1, 2], [1]], [[1, 2], []]])
def test_agreement_needs_two_people(ratings, measure):
    with pytest.raises(ValueError, match="two ratings"):
        measure(ratings)


def test_a_model_beside_one_person_by_hand():
    found = agreement.against_person([[1, 0, 1]], SMALL)
    assert found["difference"] == pytest.approx(2 / 3 - sum(AGREED) / 9)
    with pytest.raises(ValueError, match="got 2 answers and ratings of 3 texts"):
        agreement.against_person([[1, 0]], SMALL)


def test_a_model_and_a_person_are_compared_on_the_same_texts():
    """A model that is right where people agree differs from them by less chance than two intervals suggest."""
    ratings, dice = made(), np.random.default_rng(5)
    agreed = np.array([agreement.agreement([some], resamples=1)["agreement"] for some in ratings])
    right, counts = agreed > 0.8, np.array([len(some) for some in ratings])
    rows = dice.integers(200, size=(4000, 200))
    slow = right[rows].mean(1) - (agreed * counts)[rows].sum(1) / counts[rows].sum(1)
    low, high = agreement.against_person([right], ratings)["difference_ci95"]
    assert (low, high) == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.01)
    other_low, other_high = agreement.against_person([dice.permutation(right)], ratings)["difference_ci95"]
    assert high - low < 0.8 * (other_high - other_low)


def test_beside_a_person_the_choice_of_seeds_counts_as_it_does_for_accuracy():
    ratings, dice = made(), np.random.default_rng(5)
    right = np.array([dice.random(200) < share for share in (0.6, 0.8, 0.9)])
    split = Dataset.from_dict({"label": [1] * 200}, Features({"label": ClassLabel(names=["no", "yes"])}))
    found = agreement.against_person(right, ratings)
    person = agreement.agreement(ratings)["agreement"]
    assert found["difference"] == pytest.approx(right.mean() - person)
    accuracy = evaluation.score_seeds(split, right.astype(int))["accuracy_ci95"]
    assert np.ptp(found["difference_ci95"]) == pytest.approx(np.ptp(accuracy), rel=0.15) and np.ptp(accuracy) > 0.2


def test_split_halves_by_hand():
    # Two of three divisions of [1, 0, 0] leave the 1 in the larger half, whose mean of 0.5 is neutral.
    three = [np.array([1, 0, 0])]
    assert agreement.split_half(three, halves=3000)["split_half"] == pytest.approx(2 / 3, abs=0.03)
    found = agreement.split_half([np.array([2, 2]), np.array([-1, 1])])
    assert found["split_half"] == 0.5 and found["split_half_ci95"] == [0, 1]
    assert agreement.split_half(three, seed=1) == agreement.split_half(three, seed=1)


def test_halves_of_many_people_agree_more_often_than_single_ones():
    dice = np.random.default_rng(1)
    ratings = [dice.normal(dice.uniform(-3, 3), 2, 40) for _ in range(200)]
    halves = agreement.split_half(ratings)
    assert halves["split_half_ci95"][0] > agreement.agreement(ratings)["agreement_ci95"][1]
    slow = []
    for _ in range(50):
        shuffled = [dice.permutation(some) for some in ratings]
        slow.append(
            np.mean(
                [
                    np.sign(s[:20].mean()) * (abs(s[:20].mean()) > 0.5)
                    == np.sign(s[20:].mean()) * (abs(s[20:].mean()) > 0.5)
                    for s in shuffled
                ]
            )
        )
    assert halves["split_half"] == pytest.approx(np.mean(slow), abs=0.01)


def test_shares_and_disagreement_by_hand():
    assert agreement.shares(SMALL) == pytest.approx(np.array([[1 / 4, 1 / 4, 1 / 2], [1, 0, 0], [0, 2 / 3, 1 / 3]]))
    # The means are -0.25, -1 and 1/3, so the labels are neutral, negative, neutral.
    assert agreement.disagreement(SMALL) == pytest.approx([3 / 4, 0, 1 / 3])
    assert agreement.disagreement([np.array([1, 0])]) == pytest.approx([0.5])  # a mean of 0.5 is neutral


def test_against_spread_by_hand():
    probabilities = np.array([[0.05, 0.05, 0.9], [0.92, 0.04, 0.04], [0.3, 0.2, 0.5]])
    found = agreement.against_spread(probabilities, SMALL)
    assert found["confidence"].tolist() == pytest.approx([0.5, 0.91]) and found["texts"].tolist() == [1, 2]
    assert found["people"].tolist() == pytest.approx([1 / 3, (1 / 2 + 1) / 2])
    assert found.attrs["spearman"] == pytest.approx(1)
    assert len(agreement.against_spread(np.eye(3), SMALL)) == 1  # a probability of 1 has its place in the last bin


def test_correlation_is_spearmans_with_its_interval():
    ratings, dice = made(), np.random.default_rng(2)
    probabilities = dice.dirichlet([1, 1, 1], 200)
    probabilities[::2] = agreement.shares(ratings)[::2]
    found = agreement.against_spread(probabilities, ratings).attrs
    people = agreement.shares(ratings)[np.arange(200), probabilities.argmax(1)]
    pairs = np.stack([probabilities.max(1), people])
    assert found["spearman"] == pytest.approx(spearmanr(*pairs)[0])
    slow = [spearmanr(*pairs[:, rows])[0] for rows in dice.integers(200, size=(1000, 200))]
    assert found["spearman_ci95"] == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.03)


def test_a_model_that_is_always_as_sure_has_no_correlation():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = agreement.against_spread(np.full((3, 3), 1 / 3), SMALL)
    assert np.isnan([found.attrs["spearman"], *found.attrs["spearman_ci95"]]).all() and found["texts"].tolist() == [3]


def test_suspects_by_hand():
    found = agreement.suspects_disagree([0], [0, 1, 2], SMALL)
    assert found["suspected"] == pytest.approx(3 / 4) and found["others"] == pytest.approx(1 / 6)
    assert found["difference"] == pytest.approx(3 / 4 - 1 / 6) and found["texts"] == 1
    assert found["other_texts"] == 2 and agreement.suspects_disagree([0], [1], SMALL)["others"] == 0
    assert found["difference_ci95"] == pytest.approx([3 / 4 - 1 / 3, 3 / 4])  # the others: one twice, or each once
    assert agreement.suspects_disagree([], [1], SMALL) == agreement.suspects_disagree([0, 1], [1], SMALL) == {}


def test_suspects_that_are_drawn_at_random_do_not_disagree_more():
    ratings = made()
    worst = np.argsort(agreement.disagreement(ratings))
    low, high = agreement.suspects_disagree(np.arange(60), range(200), ratings)["difference_ci95"]
    assert low < 0 < high
    assert agreement.suspects_disagree(worst[-60:], range(200), ratings)["difference_ci95"][0] > 0.1


def test_a_model_that_is_right_on_all_texts_of_a_kind_has_an_exact_interval():
    table = agreement.by_kind(["a"] * 30, [np.array([1.0, 1.0])] * 30, [1] * 30, {"m": [1] * 30})
    low, high = table.loc[table["who"] == "m", ["low", "high"]].to_numpy()[0]
    assert (low, high) == (pytest.approx(0.884, abs=1e-3), 1)


def test_by_kind_by_hand():
    kinds, true = ["b", "a", "b"], [1, 0, 1]
    found = agreement.by_kind(kinds, SMALL, true, {"never": [2, 2, 2], "half": [1, 0, 0]})
    assert found["kind"].tolist() == ["b"] * 3 + ["a"] * 3 and found["texts"].tolist() == [2] * 3 + [1] * 3
    assert found["who"].tolist() == ["never", "half", "one person"] * 2
    assert found["accuracy"].tolist() == pytest.approx([0, 1 / 2, 3 / 7, 0, 1, 1])
    assert (found["low"] <= found["accuracy"]).all() and (found["accuracy"] <= found["high"]).all()
    assert found.loc[1, ["low", "high"]].tolist() == [0, 1]


# Pictures


def compared(kinds=("tweets", "movies", "products", "editorials")):
    people = {"tweets": 0.82, "movies": 0.884, "products": 0.849, "editorials": 0.674}
    rows = [
        (kind, who, people[kind] - less, people[kind] - less - 0.02, people[kind] - less + 0.02, 800)
        for kind in kinds
        for who, less in {"most frequent class": 0.3, "TF-IDF + SVM": 0.1, "fine-tuned": 0.004, "one person": 0}.items()
    ]
    return pd.DataFrame(rows, columns=["kind", "who", "accuracy", "low", "high", "texts"])


@pytest.fixture(scope="module")
def drawn():
    plots.use_style()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = {
            "four": plots.people(compared()),
            "one": plots.people(compared(["tweets"])),
            "against": plots.against_people(agreement.against_spread(np.eye(3) * 0.8 + 0.1, SMALL)),
        }
        for figure in figures.values():
            figure.draw_without_rendering()
    return figures


@pytest.mark.parametrize("name", ["four", "one", "against"])
def test_nothing_lies_on_another(drawn, name):
    texts = [text for text in drawn[name].findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent() for text in texts]
    assert not [
        (one.get_text(), other.get_text())
        for i, one in enumerate(texts)
        for j, other in enumerate(texts[:i])
        if boxes[i].overlaps(boxes[j])
    ]
    panel = drawn[name].axes[0]
    named = [text.get_window_extent() for text in panel.texts]
    assert all(panel.bbox.contains(*box.min) and panel.bbox.contains(*box.max) for box in named)


def test_people_draws_every_figure_and_the_line_to_beat(drawn):
    (axes,) = drawn["four"].axes
    assert [text.get_text() for text in axes.texts[-4:]] == ["0.820", "0.884", "0.849", "0.674"]
    assert len(axes.texts) == 16
    assert [line.get_xdata().tolist() for line in axes.lines][-1] == [0.82, 0.884, 0.849, 0.674]
    assert {line.get_marker() for line in axes.lines} == {"s", "D", "^", "o"}


def test_against_people_draws_the_bins(drawn):
    (axes,) = drawn["against"].axes
    assert axes.collections[0].get_offsets().tolist() == pytest.approx(np.array([[0.9, (1 / 4 + 0 + 1 / 3) / 3]]))
