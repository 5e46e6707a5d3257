"""Registered versions carried between stores: none is lost without a word, and what the target has itself stays."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from mlflow import MlflowClient

from mlflow_stores import register
from textlab.errors import IncompleteError
from textlab.tracking import store, sync


@pytest.fixture
def stores(tmp_path, empty_store):
    """Clients of two stores; the first has two runs whose models are versions 1 and 2 of `emotions`."""
    clients = []
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name)
        clients.append(store.open_client(store.store_uri(tmp_path / name)))
    for _ in range(2):
        train(clients[0])
    return clients


def train(client):
    """Record a run with a model and register it."""
    place = store.use_experiment(client, "texts")
    run = client.create_run(place, 1).info.run_id
    model = client.create_logged_model(place, "model", run)
    client.finalize_logged_model(model.model_id, "READY")
    client.set_terminated(run, "FINISHED", 99)
    register(client, model, {})


def carry(source, target, experiment=""):
    return sync.carry(source.tracking_uri, target.tracking_uri, experiment)


def versions(client, name="emotions"):
    return sorted(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))


def champion(client, name="emotions"):
    return int(client.get_registered_model(name).aliases["champion"])


@pytest.mark.parametrize("experiment", ["", "texts"])
def test_the_champion_of_a_run_that_was_deleted_is_named(stores, experiment):
    source, target = stores
    source.set_registered_model_alias("emotions", "champion", "1")
    source.delete_run(source.get_model_version("emotions", "1").run_id)
    line = carry(source, target, experiment)
    for words in (
        "1 models left behind, since their run was deleted",
        "1 versions of emotions left behind, since their run was deleted",
        "1 alias champion of emotions left behind with its version",
    ):
        assert words in line
    assert versions(target) == [1] and not target.get_registered_model("emotions").aliases


def test_versions_of_another_experiment_than_that_which_is_carried_are_no_matter(stores):
    source, target = stores
    source.set_registered_model_alias("emotions", "champion", "1")
    source.delete_run(source.get_model_version("emotions", "1").run_id)
    source.create_run(store.use_experiment(source, "other"), 1)
    assert carry(source, target, "other").endswith(": 1 runs")


@pytest.mark.parametrize("fails", ["run", "experiment"])
def test_what_is_left_behind_is_told_beside_what_failed(stores, fails):
    source, target = stores
    source.set_registered_model_alias("emotions", "champion", "1")
    failing, deleted = (source.get_model_version("emotions", number).run_id for number in "12")
    source.delete_run(deleted)
    if fails == "experiment":
        target.delete_experiment(store.use_experiment(target, "texts"))
    else:
        with closing(sqlite3.connect(store.file_of(source.tracking_uri))) as database, database:
            database.execute("UPDATE runs SET end_time = 'noon' WHERE run_uuid = ?", (failing,))
    with pytest.raises(IncompleteError, match=f"^1 could not be carried, all else was: {fails} .*; 1 ") as error:
        carry(source, target, "texts")
    for words in (
        "1 versions of emotions left behind, since their run was not carried",
        "1 versions of emotions left behind, since their run was deleted",
        "1 alias champion of emotions left behind with its version",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("experiment", ["", "texts"])
@pytest.mark.parametrize("of", ["no run", "a damaged run"])
def test_what_a_run_made_that_cannot_be_read_holds_nothing_back(stores, of, experiment):
    source, target = stores
    source.set_registered_model_alias("emotions", "champion", "1")
    place, odd = store.use_experiment(source, "texts"), "my old run"  # MLflow takes it, and never finds such a run
    if of == "a damaged run":
        odd = source.create_run(place, 1).info.run_id
        source.delete_run(odd)
        with closing(sqlite3.connect(store.file_of(source.tracking_uri))) as database, database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            database.execute("UPDATE runs SET status = NULL WHERE run_uuid = ?", (odd,))
    source.create_logged_model(place, "model", odd)
    source.create_model_version("emotions", "s3://away/model", odd)
    line = carry(source, target, experiment)
    why = "was deleted" if of == "no run" else "cannot be read"
    assert f"1 models left behind, since their run {why}" in line and "2 runs" in line
    if not (experiment and of == "no run"):
        assert f"1 versions of emotions left behind, since their run {why}" in line
    assert versions(target) == [1, 2] and champion(target) == 1


def test_the_models_of_deleted_runs_are_counted_where_no_run_is_left(stores):
    source, target = stores
    for run in source.search_runs([store.use_experiment(source, "texts")]):
        source.delete_run(run.info.run_id)
    assert "2 models left behind, since their run was deleted" in carry(source, target)
    assert target.get_experiment_by_name("texts") is None


def test_what_was_done_to_pulled_runs_is_named_and_the_target_stays_as_it_is(stores):
    owner, puller = stores
    owner.set_registered_model_alias("emotions", "champion", "1")
    carry(owner, puller)
    assert "nothing, all was there" in carry(puller, owner)
    puller.set_registered_model_alias("emotions", "champion", "2")
    register(puller, puller.search_logged_models([store.use_experiment(puller, "texts")])[0], {})
    puller.set_registered_model_alias("emotions", "candidate", "3")
    line = carry(puller, owner)
    assert "1 versions of emotions left behind, since the target has their runs itself" in line
    assert "1 alias candidate of emotions left behind with its version" in line
    assert "1 alias champion of emotions left as the target has it" in line
    assert versions(owner) == [1, 2] and champion(owner) == 1


def test_a_champion_of_the_target_stays_when_the_source_has_pulled_it(stores):
    owner, puller = stores
    owner.set_registered_model_alias("emotions", "champion", "1")
    carry(owner, puller)
    train(puller)
    puller.set_registered_model_alias("emotions", "champion", "3")
    assert "1 alias champion of emotions left as the target has it" in carry(puller, owner)
    assert versions(owner) == [1, 2, 3] and champion(owner) == 1


def test_the_targets_own_versions_are_listed_once(stores, monkeypatch):
    owner, puller = stores
    carry(owner, puller)
    asked, search = [], MlflowClient.search_model_versions

    def listen(client, *arguments, **options):
        asked.append(client.tracking_uri)
        return search(client, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "search_model_versions", listen)
    assert "nothing, all was there" in carry(puller, owner)
    assert asked.count(owner.tracking_uri) == 1


def test_the_copy_of_a_champion_that_the_source_has_deleted_makes_way(stores):
    source, target = stores
    source.set_registered_model_alias("emotions", "champion", "1")
    carry(source, target)
    source.delete_model_version("emotions", "1")
    source.set_registered_model_alias("emotions", "champion", "2")
    assert "1 aliases" in carry(source, target) and champion(target) == 2


def test_versions_that_were_promoted_from_others_are_carried_and_never_taken_for_copies(stores):
    source, target = stores
    promoted = source.copy_model_version("models:/emotions/2", "staged")
    source.copy_model_version(f"models:/staged/{promoted.version}", "prod")
    source.set_registered_model_alias("prod", "champion", "1")
    assert "4 model versions" in carry(source, target)
    copy, second = target.get_model_version_by_alias("prod", "champion"), target.get_model_version("emotions", "2")
    assert (copy.source, copy.run_id) == (second.source, second.run_id)
    target.copy_model_version("models:/emotions/1", "emotions")
    assert "nothing, all was there" in carry(source, target) and versions(target) == [1, 2, 3]
