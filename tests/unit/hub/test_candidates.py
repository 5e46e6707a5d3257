"""Candidates from a stand-in Hub, a bundle's listing and the shipped one; tables of them, cards, and reasons."""

import dataclasses
import json
import re

import pytest

from conftest import error, refused_port, serve
from standin_hub import emotion_data, repository, tiny_model
from textlab import hub
from textlab.evaluation import plots
from textlab.hub import candidates, connection

TASK = "text-classification"
DISTILBERT = "distilbert/distilbert-base-uncased"


@pytest.fixture(scope="module", autouse=True)
def outputs(tmp_path_factory):
    """Keep the tiny model of these tests away from the project's outputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTLAB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        yield


@pytest.fixture(autouse=True)
def no_cache(hub_at):
    """Let every test begin with an empty cache and a Hub that refuses."""


# --- searching ------------------------------------------------------------------------------------


@pytest.fixture
def shelf(standin):
    for kind, tag in (("model", TASK), ("dataset", f"task_categories:{TASK}")):
        for name, downloads, likes, modified, tags in [
            ("a/one", 5, 1, "2024-01-03", ["license:mit"]),
            (
                "a/two",
                9,
                3,
                "2024-01-01",
                [
                    "license:apache-2.0",
                    "size_categories:1K<n<10K",
                    "safetensors" if kind == "model" else "format:parquet",
                ],
            ),
            ("a/three", 7, 2, "2024-01-04", []),
            ("a/four", 1, 9, "2024-01-02", ["license:other"]),
        ]:
            big = name == "a/two"
            index = [
                {
                    "name": "two",
                    "results": [
                        {
                            "task": {"type": TASK},
                            "dataset": {"name": "emotion", "type": "emotion"},
                            "metrics": [{"type": "accuracy", "value": 0.927}],
                        }
                    ],
                }
            ]
            serve(
                standin,
                repository(
                    kind,
                    name,
                    {"README.md": b"---\nlicense: mit\n---\n# T\n\nWhat it is.\n"} if big else {},
                    tags=[tag, *tags],
                    downloads=downloads,
                    likes=likes,
                    modified=modified,
                    weights=66_955_010 if big else 0,
                    size=5_000_000 if big else 0,
                    card={"language": ["en", "de"] if big else "fr"},
                    index=index if big else None,
                ),
            )
        other = {"tags": ["translation"], "downloads": 99, "likes": 99, "modified": "2030-01-01"}
        serve(standin, repository(kind, "a/translator", {}, **other))
    return standin


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize(
    "sort, names",
    [
        ("downloads", ["a/two", "a/three", "a/one"]),
        ("likes", ["a/four", "a/two", "a/three"]),
        ("last_modified", ["a/three", "a/one", "a/four"]),
    ],
)
def test_search_sorts_and_limits_over_pages(shelf, kind, sort, names):
    found = candidates.search(kind, TASK, sort, limit=3)
    assert list(found.index) == names and found.index.name == "id" and tuple(found.columns) == candidates.COLUMNS


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_row_holds_what_the_hub_states(shelf, kind):
    found = candidates.search(kind, TASK, "downloads", limit=9)
    two = dict(found.loc["a/two"].items())
    sha = next(repo["sha"] for repo in shelf.repositories if (repo["kind"], repo["id"]) == (kind, "a/two"))
    assert two == {
        "task": TASK,
        "downloads": 9,
        "likes": 3,
        "licence": "apache-2.0",
        "languages": "en, de",
        "changed": "2024-01-01",
        "rows": "1K<n<10K",
        "summary": "What it is.",
        "revision": sha,
        **(
            {"parameters": 67.0, "megabytes": 267.8, "format": "safetensors", "published": "accuracy 0.927 (emotion)"}
            if kind == "model"
            else {"parameters": None, "megabytes": 5.0, "format": "parquet", "published": None}
        ),
    }
    three = found.loc["a/three"]
    assert three[["licence", "parameters", "megabytes", "format", "published", "summary"]].isna().all()


@pytest.mark.parametrize(
    "filters, names",
    [
        ({"licence": "mit"}, ["a/one"]),
        ({"language": "de"}, ["a/two"]),
        ({"language": "fr"}, ["a/three", "a/one"]),
        ({"max_megabytes": 300}, ["a/two"]),
        ({"max_megabytes": 3}, []),
        ({"licence": "mit", "language": "en"}, []),
    ],
)
def test_filters(shelf, filters, names):
    assert list(candidates.search("model", TASK, "downloads", limit=2, **filters).index) == names


def test_search_that_the_hub_refuses_is_one_line(standin, monkeypatch):
    monkeypatch.setattr("standin_hub._Handler._list", lambda handler, *_: handler._send(403, b"<h1>blocked</h1>"))
    message = error(candidates.search, "model", TASK, "likes", 3)
    assert "the search at http://127.0.0.1" in message and "HF_HUB_OFFLINE=1" in message


@pytest.mark.parametrize("path", ["GET /api/models", "README.md"])
def test_search_that_gets_no_answer_ends(shelf, monkeypatch, path):
    monkeypatch.setattr(connection, "LIMIT", 0.5)
    shelf.fail(path, "hang")
    assert "no answer within 0.5 s" in error(candidates.search, "model", TASK, "likes", 3)


def test_search_that_finds_nothing(shelf):
    found = candidates.search("model", "no-such-task", "likes", limit=3)
    assert found.empty and tuple(found.columns) == candidates.COLUMNS


def test_a_recorded_listing_stands_in_for_the_hub(shelf, hub_at, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    plots.use_style()  # it puts titles on the left
    live, origin = candidates.find("model", TASK, "likes", 3)
    assert origin == shelf.address and len(live) == 3
    listing = json.loads(json.dumps(candidates.record(TASK)))
    hub_at(f"http://127.0.0.1:{refused_port()}")
    shipped, origin = candidates.find("model", TASK, "likes", 3)
    assert shipped.index[0] == hub.PACKAGED and "compiled 2026-11-26 from public pages of 2024 to 2026;" in origin
    nothing, origin = candidates.find("model", "translation", "likes", 3)
    assert nothing.empty and "compiled" in origin and tuple(nothing.columns) == candidates.COLUMNS
    candidates.add_listing(listing | {"task": "translation"})
    assert candidates.find("model", TASK, "likes", 3)[0].equals(shipped)  # that of the bundle is of another task
    candidates.add_listing(listing)
    for kind in ("model", "dataset"):
        found, origin = candidates.find(kind, TASK, "likes", 3)
        assert list(found.index) == list(live.index) and f"{shelf.address}, recorded 20" in origin
        assert list(candidates.find(kind, TASK, "downloads", 9, "mit")[0].index) == ["a/one"]
        assert candidates.find(kind, "translation", "likes", 3)[0].empty
        (panel,) = plots.downloads_against_size({kind: found}).axes
        assert panel.get_title("left") == f"{kind} (2 of unknown size or downloads)"
    assert found.loc["a/two", "megabytes"] == 5 and found.loc["a/two", "summary"] == "What it is."


@pytest.mark.parametrize(
    "listing",
    [
        {},
        [],
        5,
        {"task": "t", "endpoint": "e", "recorded": "r", "model": [5], "dataset": []},
        {"task": "t", "endpoint": "e", "recorded": "r", "model": [{"id": 1}], "dataset": []},
        {"task": "t", "endpoint": "e", "recorded": "r", "model": []},
    ],
)
def test_what_is_no_listing(listing, hub_at, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    candidates.add_listing(listing)
    assert "of an added bundle" in error(candidates.find, "model", "t", "likes", 3)


def test_a_listing_that_states_nothing_can_be_filtered(hub_at, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path))
    row = dict.fromkeys(("id", *candidates.COLUMNS)) | {"id": "a/b"}
    candidates.add_listing({"task": "t", "endpoint": "e", "recorded": "r", "model": [row], "dataset": []})
    assert candidates.find("model", "t", "likes", 3, "", "")[0].index == ["a/b"]
    assert candidates.find("model", "t", "likes", 3, "mit", "en", 5.0)[0].empty
    assert list(candidates.overview(candidates.find("model", "t", "likes", 3)[0], "model")) == ["id"]


# --- the shipped listing --------------------------------------------------------------------------


@pytest.fixture
def shipped():
    """Return the shipped rows of a kind, filtered."""
    return lambda kind, *options: candidates.find(kind, TASK, "downloads", *options or (100,))[0]


@pytest.mark.parametrize("kind, usable", [("model", 12), ("dataset", 10)])
def test_the_shipped_listing_has_enough_that_can_be_used_and_every_row_is_whole(shipped, kind, usable):
    table = shipped(kind)
    assert (~candidates.overview(table, kind)["files"].str.startswith("no ")).sum() >= usable
    assert len(shipped(kind, 12)) == 12 and table.index.is_unique
    for name, row in table.iterrows():
        assert hub.split_id(name) == (name, None) and row["task"] and row["summary"].endswith(".")
        stated = row.dropna()
        assert (stated.reindex(["downloads", "likes", "parameters", "megabytes"]).dropna() > 0).all(), name
        assert re.fullmatch("[0-9a-f]{40}", stated.get("revision", "0" * 40)), name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", stated.get("changed", "2026-11-26")), name
        assert re.fullmatch(r"[\d,]+", stated.get("rows", "1")), name
        assert re.fullmatch(r"multilingual|[a-z]{2}(, [a-z]{2})*", stated.get("languages", "en")), name
    for name, (revision, _) in hub.PINNED.items():
        assert name not in table.index or table.loc[name, "revision"] == revision


def test_the_shipped_listing_can_be_filtered(shipped):
    assert set(shipped("model", 100, "mit", "ru")["licence"]) == {"mit"}
    assert set(shipped("dataset", 100, "", "ru")["languages"]) == {"ru"}
    assert shipped("model", 100, "", "", 100.0)["megabytes"].between(1, 100).all()
    assert shipped("model", 100, "no such licence").empty


def test_an_overview_has_short_numbers_no_gaps_and_says_what_cannot_be_used(shipped):
    models, sets = (candidates.overview(shipped(kind), kind).set_index("id") for kind in ("model", "dataset"))
    first = models.loc[DISTILBERT].str.replace("\N{NO-BREAK SPACE}", " ")
    assert first.to_dict() == {
        "downloads": "5.4 M",
        "likes": "1.1 k",
        "size": "268 MB",
        "licence": "apache-2.0",
        "languages": "en",
        "files": "safetensors",
    }
    useless = models.index[models["files"].str.startswith("no safetensors weights")]
    assert {"microsoft/deberta-v3-small", "ai-forever/ruBert-base", "DeepPavlov/rubert-base-cased"} < {*useless}
    assert models.loc["nlptown/bert-base-multilingual-uncased-sentiment", "languages"] == "6 languages"
    assert sets.loc["PolyAI/banking77", "files"] == "no plain data files (loading script)"
    assert sets.loc["dair-ai/emotion", ["rows", "files"]].tolist() == ["20,000", "parquet"]
    assert not models.isna().any(axis=None) and not sets.isna().any(axis=None) and "rows" not in models
    assert list(candidates.overview(shipped("model", 100, "no such licence"), "model").columns) == []


@pytest.mark.parametrize(
    "count, short",
    [(0, "0"), (7, "7"), (999, "999"), (999.6, "1 k"), (9_960, "10 k"), (1_115_700_000, "1.1 G"), (2e12, "2000 G")],
)
def test_short_numbers(count, short):
    table = candidates.find("model", TASK, "downloads", 1)[0].assign(downloads=count)
    assert candidates.overview(table, "model")["downloads"].item().replace("\N{NO-BREAK SPACE}", " ") == short


def test_reasons_come_from_files_card_and_candidates(shelf, tmp_path):
    texts = hub.resolve(serve(shelf, emotion_data("owner/emotion"))["id"], "dataset")
    table = candidates.search("model", TASK, "downloads", 9)
    assert "Its licence is other." in candidates.reasons(texts, table)
    packaged = candidates.reasons(hub.resolve_model("packaged"), table)
    assert any("91." in reason for reason in packaged) and any("this project pins" in reason for reason in packaged)
    assert "It is not among the 4 candidates above." in packaged
    reasons = candidates.reasons(dataclasses.replace(hub.packaged_data(), id="packaged:movies"), table)
    assert {"Its files take 5.1 MB.", "Its licence is MIT."} < {*reasons} and "this project pins" in reasons[2]
    (tmp_path / "README.md").write_text("---\n: [\n---\nBroken metadata.\n" + "x" * 2000)
    chosen = hub.Source("a/three", "model", None, tmp_path, {"README.md": ""})
    assert "No licence is stated: ask before you publish with it." in candidates.reasons(chosen, table)
    assert "Its files take 2.0 kB." in candidates.reasons(chosen, table)
    assert "It has 7 downloads in 30 days; the 4 candidates have 1 to 9." in candidates.reasons(chosen, table)
    table["downloads"] = None
    assert not any("downloads" in reason for reason in candidates.reasons(chosen, table))


# --- cards, and what is here ----------------------------------------------------------------------


def test_card_is_prose_only(tmp_path):
    card = (
        "\ufeff---\nlicense: mit\n---\n<!-- made\nby hand -->\n# Title\nFirst line\nand second.\n"
        "[![badge](x)](y)\n![picture](z)\n\n<img src=x>\n```python\ncode()\n\nmore()\n```\n"
        "Second.\n\n\nThird.\n\nFourth.\n\nFifth.\n"
    )
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    source = hub.Source("x", "model", None, tmp_path, {})
    assert candidates.card(source) == "First line\nand second.\n\nSecond.\n\nThird.\n\nFourth."
    assert candidates.card(source, paragraphs=1) == "First line\nand second."
    (tmp_path / "README.md").write_bytes(b"caf\xe9\r\n")
    assert candidates.card(source) == "caf\ufffd"


def test_card_that_is_not_there(tmp_path):
    for path in (None, tmp_path):
        assert candidates.card(hub.Source("x", "model", None, path, {})) == "(no card comes with this source)"


def test_without_a_card_the_listing_speaks(shipped, tmp_path):
    def card(name: str) -> str:
        return candidates.card(hub.Source(name, "model", None, tmp_path, {}), listed=shipped("model"))

    assert card("x/y") == "(no card comes with this source)"
    assert card(hub.PACKAGED).endswith("semantic search.\n\nLicence: apache-2.0")  # which publishes nothing
    assert re.fullmatch(r"A smaller, .*\n\nPublished: accuracy 0.913 .*\n\nLicence: apache-2.0", card(DISTILBERT))
    (tmp_path / "README.md").write_text("Its own words.")
    assert card(DISTILBERT) == "Its own words."


def test_what_is_on_this_machine_works_without_the_hub(standin, hub_at):
    model, texts = serve(standin, tiny_model("owner/tiny")), serve(standin, emotion_data("owner/emotion"))
    assert list(candidates.on_this_machine("model")["use_as"]) == ["packaged"]
    assert list(candidates.on_this_machine("dataset")["use_as"]) == ["packaged"]
    expected = hub.resolve_model("owner/tiny"), hub.resolve("owner/emotion", kind="dataset")
    hub_at(f"http://127.0.0.1:{refused_port()}")
    models, texts_here = candidates.on_this_machine("model"), candidates.on_this_machine("dataset")
    assert (
        list(models.index) == [hub.PACKAGED, "owner/tiny"] and models.loc["owner/tiny", "revision"] == model["sha"][:8]
    )
    assert list(texts_here.index) == ["sentences of vaderSentiment", "owner/emotion"]
    size = sum(len(model["files"][name]) for name in expected[0].files) / 1e6
    assert models.loc["owner/tiny", "megabytes"] == round(size, 1)
    assert hub.resolve_model(models.loc["owner/tiny", "use_as"]) == expected[0]
    assert hub.resolve(texts_here.loc["owner/emotion", "use_as"], kind="dataset") == expected[1]
    assert texts["sha"] == expected[1].revision


def test_half_a_download_is_not_offered(standin, monkeypatch):
    monkeypatch.setattr(connection, "WAITS", ())
    serve(standin, repository("model", "owner/m", {"config.json": b"{}", "model.safetensors": b"weights"}))
    standin.fail("model.safetensors", "busy")
    error(hub.resolve, "owner/m", kind="model")
    assert list(candidates.on_this_machine("model").index) == [hub.PACKAGED]
