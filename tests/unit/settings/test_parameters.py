"""Parameters: strict YAML, types and ranges, and messages that help."""

import dataclasses

import papermill
import pytest
import yaml

import readme
from conftest import NOTEBOOKS, ROOT
from textlab.errors import InputError
from textlab.settings import parameters, search_space, strict_yaml
from textlab.settings.recipe import RECIPE, Recipe
from textlab.settings.rules import convert
from textlab.settings.sweep_options import SWEEP_OPTIONS


def write(tmp_path, text):
    file = tmp_path / "p.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_numbers_and_booleans_are_read_as_people_mean_them(tmp_path):
    read = strict_yaml.read_yaml(
        write(tmp_path, "a: 2e-5\nb: 1e3\nc: no\nd: true\ne: null\nf: 0.5\ng: 7\nh: 2026-01-01\n")
    )
    assert read == {"a": 2e-5, "b": 1000.0, "c": "no", "d": True, "e": None, "f": 0.5, "g": 7, "h": "2026-01-01"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("epochs: 1\nepochs: 2\n", "line 2: 'epochs' is given twice"),
        ("search_space: {a: 1, a: 2}\n", "'a' is given twice"),
        ("x: !!set {a}\n", "the tag tag:yaml.org,2002:set is not accepted"),
        ("x: !!binary aGk=\n", "binary is not accepted"),
        ("x: !!python/object:os.system a\n", "is not accepted"),
        ("- a\n- b\n", "accepted are lines of the form"),
        ("a: [1\n", "line 2"),
    ],
)
def test_yaml_that_cannot_be_meant_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        strict_yaml.read_yaml(write(tmp_path, text))
    assert message in str(error.value) and "\n" not in str(error.value) and "p.yaml" in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match="nowhere.yaml does not exist"):
        strict_yaml.read_yaml("nowhere.yaml")


def test_an_empty_file_gives_nothing(tmp_path):
    assert strict_yaml.read_yaml(write(tmp_path, "# nothing\n")) == {}


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("learning_rate", "2e-5", 2e-5),
        ("learning_rate", 1, 1.0),
        ("learning_rate", None, None),
        ("epochs", "3", 3),
        ("epochs", 2.0, 2),
        ("epochs", "null", None),
        ("sentences", "[a, b]", ["a", "b"]),
        ("dataset", "123", "123"),
    ],
)
def test_values_are_converted(name, value, expected):
    rule = parameters.NOTEBOOKS["02_fine_tuning"][name]
    converted = convert(name, value, rule)
    assert converted == expected and type(converted) is type(expected)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("learning_rate", -1, "learning_rate: got -1; accepted is a number above 0 and at most 100, or null"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", float("nan"), "accepted is a number"),
        ("learning_rate", "fast", "got 'fast'"),
        ("epochs", True, "got True"),
        ("epochs", 1.5, "a whole number"),
        ("epochs", 0, "from 1 to 1000"),
        ("batch_size", [8], "got [8]"),
        ("seed", None, "got None"),
        ("seed", 2**32, "a whole number from 0 to 4294967295"),
        ("recipe", "labs", "accepted is one of short_text, fast, probe, lab; did you mean 'lab'?"),
        ("dataset", 5, "accepted is text"),
    ],
)
def test_values_out_of_range_are_refused_with_what_is_accepted(name, value, message):
    with pytest.raises(InputError) as error:
        convert(name, value, parameters.NOTEBOOKS["02_fine_tuning"][name])
    assert message in str(error.value)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("registered_model", "a/b", "without / : and quotes"),
        ("registered_model", "anna's", "without / : and quotes"),
        ("registered_model", "", "not empty"),
        *(
            (("registered_model", name, "without / :"))
            for name in ("a@b", "what?", "a:b", 'a"b', "a\nb", "..", " a", "x" * 257)
        ),
        ("experiment", " ", "not empty"),
        ("experiment", "a\nb", "on one line"),
        ("experiment", "x" * 501, "up to 500 characters"),
        ("study", "a\0b", "on one line"),
        ("tracking_uri", "http://me:p@secret@host", "without a password"),
        ("tracking_uri", "http://me:p/secret@host", "without a password"),
        ("tracking_uri", "http://host?token=secret", "without a password or token"),
        ("tracking_uri", "http://host:5000;token=secret", "without a password or token"),
        ("tracking_uri", "http://host:5000/x;token=secret", "without a password or token"),
        ("tracking_uri", "http://me:5000secret@host:5000/a@b", "without a password"),
        ("sync_to", "databricks://token:secret@host", "without a password"),
        ("sweep_options", {"storage": "postgresql://host/db?password=secret"}, "without a password"),
        ("tracking_uri", "postgresql://me:secret@host/db", "without a password"),
        ("sweep_options", {"storage": "postgresql://me:secret@host/db"}, "without a password"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_and_passwords_not_shown(name, value, message):
    with pytest.raises(InputError, match=message) as error:
        convert(name, value, parameters.NOTEBOOKS["03_mlflow_tracking"][name])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "name, value",
    [
        *(("registered_model", name) for name in ("emotion", "my model", "Müller-数", "a%20b", "a#b", "v1.2", "...")),
        ("tracking_uri", "postgresql://me@host/db?sslmode=require"),
        ("tracking_uri", "sqlite:////a:b@c/mlflow.db"),
        ("tracking_uri", "databricks://profile"),
        ("tracking_uri", "http://[::1]:5000"),
        ("tracking_uri", "http://host:5000/a@b"),
        ("tracking_uri", "http://me@host:5000/a@b;c"),
    ],
)
def test_odd_but_good_names_and_addresses_are_accepted(name, value):
    assert convert(name, value, parameters.NOTEBOOKS["03_mlflow_tracking"][name]) == value


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, str(2**60), 1e300, 10**400])
def test_whole_numbers_that_a_reader_of_json_may_round_are_refused(value):
    rule = parameters.NOTEBOOKS["02_fine_tuning"]["max_train_rows"]
    with pytest.raises(InputError, match="max_train_rows: got .*, of at most 9,007,199,254,740,992"):
        convert("max_train_rows", value, rule)
    assert convert("max_train_rows", 2**53, rule) == 2**53


@pytest.mark.parametrize("value", [["x"], [True], [-1], [2**32], [1.5], 3])
def test_seeds_are_whole_numbers(value):
    rule = parameters.NOTEBOOKS["02_fine_tuning"]["seeds"]
    assert convert("seeds", "[1, 2]", rule) == [1, 2] and convert("seeds", [], rule) == []
    with pytest.raises(InputError, match="accepted is a list of whole numbers from 0 to"):
        convert("seeds", value, rule)


def test_sentences_are_texts():
    with pytest.raises(InputError, match="accepted is a list of texts"):
        convert("sentences", [1, 2], parameters.NOTEBOOKS["02_fine_tuning"]["sentences"])


def test_a_path_to_another_notebook_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a notebook of this project"):
        parameters.notebook_name(str(tmp_path / "02_fine_tuning.ipynb"))
    assert parameters.notebook_name(str(ROOT / "notebooks" / "02_fine_tuning.ipynb")) == "02_fine_tuning"


def test_an_unknown_name_gets_a_suggestion(tmp_path):
    with pytest.raises(
        InputError, match="p.yaml: 02_fine_tuning has no parameter 'learning_rat'; did you mean 'learning_rate'?"
    ):
        parameters.gather("02_fine_tuning", [write(tmp_path, "learning_rat: 1e-3\n")], {})
    with pytest.raises(InputError, match="the command line: .*'zzz'; accepted are dataset, "):
        parameters.gather("02_fine_tuning", [], {"zzz": "1"})


def test_later_values_win(tmp_path):
    file = write(tmp_path, "epochs: 1\nseed: 5\n")
    assert parameters.gather("02_fine_tuning", [file], {"epochs": "4"}) == {"epochs": 4, "seed": 5}


def test_check_needs_every_parameter():
    with pytest.raises(InputError, match="no value for .*model.*run the parameters cell first"):
        parameters.check("02_fine_tuning", {"dataset": "packaged"})


@pytest.mark.parametrize("given", ["02", "02_fine_tuning", "02_fine_tuning.ipynb"])
def test_notebooks_have_short_names(given):
    assert parameters.notebook_name(given) == "02_fine_tuning"


@pytest.mark.parametrize("given", ["05", "0", "", "02_fine_tunning"])
def test_a_wrong_notebook_name_lists_the_right_ones(given):
    with pytest.raises(InputError, match="there are 01_hub_exploration, 02_fine_tuning"):
        parameters.notebook_name(given)


def test_a_wrong_profile_gets_a_suggestion():
    with pytest.raises(InputError, match="no profile is called 'demos'; there are .*did you mean 'demo'?"):
        parameters.profile_file("demos", "02_fine_tuning")


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_rules_and_parameters_cell_agree(notebook):
    """The cell holds names, types, defaults and help; the rules accept exactly these names, types and defaults."""
    cell = papermill.inspect_notebook(ROOT / "notebooks" / f"{notebook}.ipynb")
    known = parameters.NOTEBOOKS[notebook]
    assert set(cell) == set(known)
    for name, found in cell.items():
        kind = known[name].type.__name__
        assert found["inferred_type_name"] == kind and (found["default"] == "None") == known[name].optional, name
        assert found["help"], f"{name} has no help"
        default = yaml.safe_load(found["default"].replace("None", "null").replace("True", "true"))
        convert(name, default, known[name])


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_demo_profile_equals_the_notebooks_defaults(notebook):
    cell = papermill.inspect_notebook(ROOT / "notebooks" / f"{notebook}.ipynb")
    defaults = {name: eval(found["default"], {}) for name, found in cell.items()}  # literals of our own notebooks
    assert strict_yaml.read_yaml(ROOT / "params" / "demo" / f"{notebook}.yaml") == defaults


@pytest.mark.parametrize("file", sorted((ROOT / "params").glob("*/*.yaml")), ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_every_params_file_is_accepted(file):
    values = parameters.gather(file.stem, [file], {})
    assert yaml.safe_load(file.read_text()).keys() == values.keys()  # papermill itself can read it too


@pytest.mark.parametrize(
    "space, message",
    [
        ({}, "is empty"),
        ({"lr": [1]}, "'lr' cannot be searched; accepted are learning_rate"),
        ({"epochs": []}, "accepted is a list of choices"),
        ({"epochs": 3}, "accepted is a list of choices or {low"),
        ({"epochs": {"low": 1}}, "accepted is a list"),
        ({"epochs": {"low": 4, "high": 1}}, "low must be below high"),
        ({"epochs": {"low": "a", "high": 1}}, "got 'a'; accepted is a whole number"),
        ({"batch_size": ["abc"]}, "got 'abc'"),
        ({"learning_rate": [-1.0]}, "above 0"),
        ({"learning_rate": {"low": 1, "high": 2, "log": True, "step": 1}}, "no step"),
        ({"dropout": {"low": 0, "high": 1}}, "a list of choices"),
        ({"weight_decay": {"low": 0, "high": 1, "log": True}}, "log needs low above 0"),
        ({"epochs": {"low": 1, "high": 2, "lg": True}}, "accepted is a list"),
    ],
)
def test_a_wrong_space_is_refused_before_anything_starts(space, message):
    with pytest.raises(InputError, match="search_space: ") as error:
        search_space.check_space(space)
    assert message in str(error.value)


def test_the_params_in_the_readmes_are_accepted():
    values = [parameters.gather("03_mlflow_tracking", [], yaml.safe_load(block)) for block in readme.blocks("yaml")]
    assert len(values) == 2 and len(search_space.check_space(values[0]["search_space"])) == 4


def test_defaults_are_those_of_the_parameters_cell():
    for name in NOTEBOOKS:
        assert vars(parameters.check(name, parameters.defaults(name))).keys() == parameters.NOTEBOOKS[name].keys()


def test_a_recipes_rules_follow_from_its_fields():
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    fitted = {"epochs", "max_length", "contrastive", "label_names"}
    assert {name for name, rule in RECIPE.items() if rule.optional} == fitted
    assert all(type(value) is RECIPE[name].type for name, value in defaults.items() if value is not None)
    for name, value in defaults.items():
        assert convert(name, value, RECIPE[name]) == value
    assert RECIPE["learning_rate"].accepted() == "a number above 0 and at most 100"
    assert SWEEP_OPTIONS["max_minutes"].optional and not SWEEP_OPTIONS["parallel"].optional
