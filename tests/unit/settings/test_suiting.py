"""What fits the data, where a recipe leaves it open."""

import pytest

from textlab.errors import InputError
from textlab.settings import make_recipe, suited


@pytest.mark.parametrize(
    "rows, classes, epochs",
    [
        (50, 2, 56),
        (100, 6, 32),
        (200, 3, 20),
        (500, 3, 13),
        (1000, 6, 10),
        (2000, 6, 5),
        (3000, 3, 3),
        (1540, 77, 16),
        (10**6, 2, 3),
    ],
)
def test_there_are_enough_steps_at_any_size(rows, classes, epochs):
    found, why = suited(make_recipe("short_text"), rows, classes, 20)
    assert found.epochs == epochs and f"{epochs} epochs" in why["epochs"]


@pytest.mark.parametrize(
    "tokens, longest, length",
    [(20, None, 96), (96, 512, 96), (97, 512, 104), (400, 512, 256), (400, 126, 126), (20, 62, 62)],
)
def test_texts_are_cut_where_nine_in_ten_are_whole_or_the_model_ends(tokens, longest, length):
    assert suited(make_recipe("short_text"), 100, 2, tokens, longest)[0].max_length == length


def test_the_contrastive_term_is_for_few_rows_of_models_that_have_it():
    def weight(rows, contrasts=True):
        return suited(make_recipe("short_text"), rows, 2, 20, contrasts=contrasts)[0].contrastive

    assert (weight(2000), weight(2001), weight(100, contrasts=False)) == (0.3, 0, 0)


def test_the_names_of_labels_are_learned_from_where_rows_are_few():
    def found(rows, **more):
        return suited(make_recipe("short_text", **more), rows, 6, 20, named=True)[0]

    assert (found(1000).label_names, found(1001).label_names) == (4, 0)
    many = [suited(make_recipe("short_text"), rows, 77, 20, named=True)[0].label_names for rows in (1540, 1541)]
    assert many == [4, 0]  # 20 rows of each class
    assert (found(100).epochs, found(100, label_names=0).epochs) == (26, 32)  # as many texts in all
    several = suited(make_recipe("short_text"), 100, 6, 20, several=True, named=True)
    assert several[0].label_names == 0 and "is for one label a text" in several[1]["label_names"]


@pytest.mark.parametrize("name, value, told", [("class_weights", True, "true"), ("label_names", 2, "2")])
def test_what_is_for_one_label_is_refused_for_several(name, value, told):
    with pytest.raises(InputError, match=f"{name}: got {told}; it is for one label a text, and here a text has sever"):
        suited(make_recipe("short_text", **{name: value}), 100, 6, 20, several=True)


def test_what_is_set_stays_and_needs_no_reason():
    chosen = {"epochs": 2, "max_length": 32, "contrastive": 0.1, "label_names": 7}
    found, why = suited(make_recipe("short_text", **chosen), 100, 2, 300)
    assert not why and {name: getattr(found, name) for name in chosen} == chosen
