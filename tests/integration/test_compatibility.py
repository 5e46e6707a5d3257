"""The library calls that have changed before, made the way the notebooks make them: an upgrade fails here first."""

import inspect
import warnings

import huggingface_hub
import mlflow
import pytest
import transformers
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from textlab import data, hub, settings, tracking, training
from textlab.training.callbacks import ValidateAt


@pytest.fixture(scope="module")
def pieces():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": [f"text {i}" for i in range(16)], "label": [0, 1] * 8}, features)
    source = hub.resolve_model("tiny")
    tokenizer = training.load_tokenizer(source)
    return source, tokenizer, data.tokenize(DatasetDict(train=rows, validation=rows), tokenizer, 16)


def test_trainer_and_its_arguments_are_accepted_without_a_warning(pieces, tmp_path):
    source, tokenizer, tokens = pieces
    for name in settings.RECIPES:
        recipe = settings.make_recipe(name)
        model = training.load_model(source, ["bad", "good"], recipe, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trainer = training.build(model, tokenizer, tokens, recipe, 0, training.Resumable(tmp_path / name))
        assert trainer.processing_class is tokenizer
        each, metric = ("epoch", "macro_f1") if recipe.keep == "best" else ("no", None)  # else when callbacks ask
        assert trainer.args.eval_strategy == trainer.args.save_strategy == each
        assert trainer.args.logging_nan_inf_filter is False and trainer.args.report_to == []
        assert trainer.args.metric_for_best_model == metric and trainer.args.learning_rate == recipe.learning_rate
        assert any(isinstance(one, ValidateAt) for one in trainer.callback_handler.callbacks) == (metric is None)


def test_trainer_still_has_the_hooks_that_are_overridden():
    assert list(inspect.signature(transformers.Trainer._get_train_sampler).parameters) == ["self", "train_dataset"]
    assert list(inspect.signature(transformers.Trainer._get_eval_sampler).parameters) == ["self", "eval_dataset"]


def test_hub_listing_takes_the_arguments_of_the_search():
    models = inspect.signature(huggingface_hub.HfApi.list_models).parameters
    sets = inspect.signature(huggingface_hub.HfApi.list_datasets).parameters
    assert {"pipeline_tag", "sort", "limit", "expand"} <= set(models) and {"filter", "sort", "limit", "expand"} <= set(
        sets
    )
    assert "timeout" not in models  # once it has one, reach.bound_calls is no longer needed


def test_a_model_is_logged_registered_and_loaded_without_a_warning(pieces, store):
    source, tokenizer, _ = pieces
    model = training.load_model(source, ["bad", "good"], settings.make_recipe("short_text"), seed=0)
    tokenizer.model_max_length = 24
    tracking.connect(store, "tests")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tracking.run("x") as active:
            tracking.log_scores("validation", {"macro_f1": 0.5})
            version = tracking.log_model(
                model, tokenizer, ["text 1"], "tests", {"validation_macro_f1": 0.5}, ["validation_macro_f1"], 7
            )
        tracking.set_alias("tests", "champion", version)
        pipeline = tracking.load_model("models:/tests@champion")
    assert pipeline(["text 1", "text 2"])[0]["label"] in ("bad", "good")
    info = mlflow.models.get_model_info("models:/tests@champion")
    client = mlflow.MlflowClient()
    (point,) = client.get_metric_history(active.info.run_id, "validation_macro_f1")  # one for the run and its model
    assert [(p.key, p.value, p.step) for p in client.get_logged_model(info.model_id).metrics] == [
        (point.key, 0.5, point.step)
    ]
    assert info.signature is not None and info.saved_input_example_info is not None
    versions = tracking.model_versions("tests")
    assert versions.loc[1, "aliases"] == "candidate, champion" and versions.loc[1, "validation_macro_f1"] == "0.5"
    assert tracking.version_of("tests", versions.loc[1, "run_id"]) == 1
    served = mlflow.pyfunc.load_model("models:/tests/1")
    assert served.predict(["text 1"])["label"][0] in ("bad", "good")
    long = ["so good and so bad " * 150]  # longer than the model reads, and cut where training cut
    expected = training.probabilities(model, tokenizer, long, 24).max()
    assert pipeline(long)[0]["score"] == pytest.approx(expected, abs=1e-6)
    assert served.predict(long)["score"][0] == pytest.approx(expected, abs=1e-6)
