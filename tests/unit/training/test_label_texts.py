"""The names of the labels as texts to learn from."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import TrainerCallback

from textlab import data, hub, training
from textlab.errors import TrainingError
from textlab.settings import Recipe, make_recipe
from textlab.training.label_texts import are_words, with_names

LABELS = ["card_arrival", "lost card"]
ROWS = {"text": ["where is it", "it is gone", "still not here"], "label": [0, 1, 0]}


@pytest.fixture(scope="module")
def known():
    """Return a tiny source with its tokenizer, and rows of two labels as texts and as tokens."""
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    features = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
    rows = Dataset.from_dict(ROWS, features)
    splits = DatasetDict(train=rows, validation=rows)
    return source, tokenizer, splits, data.tokenize(splits, tokenizer, 16)


def test_each_name_comes_after_the_rows_as_often_as_it_is_asked_for(known):
    _, tokenizer, _, tokens = known
    found = with_names(tokens["train"], LABELS, tokenizer, 2, 16)
    assert found["label"][:] == [0, 1, 0, 0, 0, 1, 1] and found.features == tokens["train"].features
    assert found[:3] == tokens["train"][:3]
    assert found["input_ids"][3:] == [tokenizer(name)["input_ids"] for name in ["card arrival"] * 2 + ["lost card"] * 2]


def test_a_long_name_is_cut_and_none_is_added_for_no_copies(known):
    _, tokenizer, _, tokens = known
    found = with_names(tokens["train"], ["word " * 40, "x y"], tokenizer, 1, 16)
    assert data.row_lengths(found)[3] == 16
    assert with_names(tokens["train"], LABELS, tokenizer, 0, 16) is tokens["train"]


@pytest.mark.parametrize(
    "labels",
    [
        ["0", "1"],
        ["joy", "3"],
        ["A", "B"],
        ["LABEL_0", "LABEL_1"],
        ["label 1", "sad"],
        ["card_arrival", "card arrival"],  # read alike
        ["ความสุข", "ความเศร้า"],  # both unknown to an English tokenizer
    ],
)
def test_names_that_say_nothing_or_the_same_are_not_learned_from(labels):
    assert not are_words(labels, training.load_tokenizer(hub.resolve_model("packaged")))


def test_words_are():
    tokenizer = training.load_tokenizer(hub.resolve_model("packaged"))
    assert are_words(["радость", "悲しみ", "très_bien", "B2B", "NOT-OFFENSIVE"], tokenizer)


def test_few_rows_learn_from_the_names_and_many_do_not(known):
    source, tokenizer, splits, _ = known
    recipe, why = training.suit(make_recipe("short_text"), splits["train"], tokenizer, source)
    assert recipe.label_names == 4 and why["label_names"].startswith("3 rows: each label's name is learned from")
    many = Dataset.from_dict({name: values * 400 for name, values in ROWS.items()}, splits["train"].features)
    assert training.suit(make_recipe("short_text"), many, tokenizer, source)[0].label_names == 0
    numbers = many.select(range(9)).cast_column("label", ClassLabel(names=["0", "1"]))
    recipe, why = training.suit(make_recipe("short_text"), numbers, tokenizer, source)
    assert recipe.label_names == 0 and "not each of them is a word of its own" in why["label_names"]


def test_a_training_reads_them_in_each_epoch(known, tmp_path):
    source, tokenizer, _, tokens = known
    seen = []

    def fit(copies, folder):
        recipe = Recipe(epochs=2, batch_size=4, label_names=copies, max_length=16, contrastive=0.0)
        model = training.load_model(source, LABELS, recipe, 1)
        model.register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(kwargs["input_ids"]) if module.training else None, with_kwargs=True
        )
        return training.fit(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path / folder))

    plain, named = fit(0, "plain"), len(seen)
    fitted = fit(3, "named")
    assert (plain.steps, fitted.steps) == (2, 6)  # 3 rows, and 3 rows with 6 names, in batches of 4
    name = tokenizer("lost card")["input_ids"]
    read = [row[: len(name)].tolist() for batch in seen for row in batch]
    assert read.count(name) == 6 and sum(map(len, seen[named:])) == 18


def test_a_message_names_rows_of_the_data_alone(known, tmp_path):
    source, tokenizer, _, tokens = known

    class Poison(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **kwargs):
            model.classifier.weight.data[0, 0] = float("nan")

    recipe = Recipe(epochs=1, batch_size=64, label_names=4, max_length=16, contrastive=0.0)
    model = training.load_model(source, LABELS, recipe, 1)
    with pytest.raises(TrainingError, match="step 1 .epoch 1, batch 1 of 1") as error:
        training.fit(model, tokenizer, tokens, recipe, 1, training.Unsaved(tmp_path), [Poison()])
    told = str(error.value).split("with rows ")[1].split(" of train")[0]
    assert sorted(map(int, told.split(", "))) == [0, 1, 2]


def test_a_class_of_which_only_the_name_is_learned_from_has_a_weight(known, tmp_path):
    source, tokenizer, _, tokens = known
    recipe = Recipe(epochs=1, batch_size=1, label_names=1, max_length=16, contrastive=0.0, class_weights=True)
    rare = DatasetDict(train=tokens["train"].select([0, 2]), validation=tokens["validation"])
    model = training.load_model(source, LABELS, recipe, 1)
    fitted = training.fit(model, tokenizer, rare, recipe, 1, training.Unsaved(tmp_path))
    assert fitted.history["loss"].notna().sum() == fitted.steps == 4


def test_texts_are_padded_to_the_longest_name_too(known, tmp_path):
    source, tokenizer, _, tokens = known
    recipe = Recipe(epochs=1, label_names=1, max_length=16, contrastive=0.0, batches="padded")
    features = tokens["train"].features | {"label": ClassLabel(names=[LABELS[0], "lost " * 9])}
    splits = DatasetDict({name: rows.cast(Features(features)) for name, rows in tokens.items()})
    model = training.load_model(source, LABELS, recipe, 1)
    trainer = training.build(model, tokenizer, splits, recipe, 1, training.Unsaved(tmp_path))
    assert {batch["input_ids"].shape[1] for batch in trainer.get_train_dataloader()} == {11}
