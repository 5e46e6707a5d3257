"""What fits the data, where a recipe leaves it open."""

import pytest

from textlab.settings import make_recipe, suited


@pytest.mark.parametrize(
    "rows, classes, epochs",
    [(50, 2, 96), (100, 6, 64), (200, 3, 48), (1000, 6, 10), (2000, 6, 5), (3000, 3, 3), (1540, 77, 16), (10**6, 2, 3)],
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


def test_what_is_set_stays_and_needs_no_reason():
    chosen = {"epochs": 2, "max_length": 32, "contrastive": 0.1}
    found, why = suited(make_recipe("short_text", **chosen), 100, 2, 300)
    assert not why and {name: getattr(found, name) for name in chosen} == chosen
