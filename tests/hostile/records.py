"""Records of runs that were altered and sealed anew, given to `reproduce --only-check`."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

from textlab.workflows import record

from . import Case, Place

ODD = [None, True, -1, 0, 10**400, 1.5, "x", "", [], [1], {}, {"a": 1}, [[]], "\x1b[2J\0", "../../secret/secret.txt"]
#: Fields of a results file that decide nothing, or may hold any text.
FREE = ("params", "environment", "code", "model_files", "predictions", "validation", "test", "model", "data", "sha256")
PATHS = (
    "notebook params params.dataset params.model params.recipe params.seed params.resolved params.strict "
    "params.text_column params.label_column params.max_train_rows params.recipe_options params.seeds params.epochs "
    "params.resolved.epochs params.resolved.learning_rate params.resolved.attention seed environment "
    "environment.threads environment.precision environment.torch environment.device environment.git_commit data "
    "data.source data.sha256 data.rows data.rows.train data.rows.test model model.source model.sha256 model.parameters "
    "validation validation.accuracy validation.macro_f1 test test.accuracy test.weighted_f1 weights_sha256 record "
    "record.code record.labels record.splits record.splits.train record.model_files record.predictions "
    "record.predictions.test record.sha256"
).split()


def _results(place: Place) -> dict[str, Any]:
    shutil.copytree(place.stock / "run", place.given / "run")
    return json.loads((place.given / "run" / "results" / "02_fine_tuning.json").read_text())


def _write(place: Place, content: object) -> list[str]:
    text = content if isinstance(content, str) else json.dumps(content)
    file = place.given / "run" / "results" / "02_fine_tuning.json"
    file.write_text(text, "utf-8", "surrogatepass")
    return ["reproduce", str(place.given / "run"), "--only-check", "--out", "out"]


def _seal(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a results file with the digest of its record renewed, where it has one still."""
    if isinstance(content.get("record"), dict) and "sha256" in content["record"]:
        whole = record.from_results(content)
        content["record"]["sha256"] = record.seal(whole)["sha256"]
    return content


def _altered(place: Place, path: str, value: Any, seal: bool = True) -> list[str]:
    content = _results(place)
    *parents, last = path.split(".")
    inner = content
    for name in parents:
        inner = inner[name]
    if value == "GONE":
        inner.pop(last, None)
    else:
        inner[last] = value
    return _write(place, _seal(content) if seal and path != "record.sha256" else content)


def _raw(place: Place, text: str) -> list[str]:
    _results(place)
    return _write(place, text)


def _good(place: Place, change: str) -> list[str]:
    content = _results(place)
    run = place.given / "run"
    if change == "no predictions":
        shutil.rmtree(run / "predictions")
    elif change == "no model":
        shutil.rmtree(run / "model")
    elif change == "notes":
        content["notes"] = "hello"
    elif change == "file":
        return ["reproduce", str(run / "results" / "02_fine_tuning.json"), "--only-check"]
    elif change == "moved data":
        place.write("other name.csv", (place.stock / "mine.csv").read_bytes())
        moved = ["--dataset", "given/other name.csv", "--model", str(place.stock / "model")]
        return [*_write(place, content), *moved]
    return _write(place, content)


def _beside(place: Place, name: str, content: str) -> list[str]:
    """Alter a file beside the record: predictions, or the saved model's config."""
    values = _results(place)
    (place.given / "run" / name).write_text(content, "utf-8")
    return _write(place, values)


def _labels(place: Place) -> list[str]:
    values = _results(place)
    file = place.given / "run" / "model" / "config.json"
    config = json.loads(file.read_text()) | {"id2label": {"0": "yes", "1": "no"}, "label2id": {"yes": 0, "no": 1}}
    file.write_text(json.dumps(config))
    return _write(place, values)


def cases() -> Iterator[Case]:
    rng = random.Random(19)
    for path in PATHS:
        free = (
            path.split(".")[0] in FREE or path.split(".")[-1] in FREE or path.split(".")[-1] in ("source", "parameters")
        )
        for value in ["GONE", *rng.sample(ODD, 3)]:
            chosen = partial(_altered, path=path, value=value)
            shown = repr(value)[:30]
            yield Case("record", f"{path}={shown}", chosen, (0, 2) if free else (2,), report=True)
    for path in ("seed", "data.sha256", "validation.accuracy", "weights_sha256", "record.labels", "params.epochs"):
        chosen = partial(_altered, path=path, value="x", seal=False)
        yield Case("record", f"unsealed {path}", chosen, (2,), report=True)
    texts = {
        "empty": "",
        "nonsense": "{",
        "null": "null",
        "list": "[]",
        "number": "5",
        "text": '"x"',
        "no keys": "{}",
        "deep": "[" * 100_000 + "]" * 100_000,
        "deep unclosed": '{"record":' * 100_000,
        "digits": '{"record": ' + "9" * 5000 + "}",
        "nan": '{"record": NaN}',
        "surrogate": '{"record": "\ud800"}',
        "record null": '{"record": null}',
        "record list": '{"record": [1]}',
        "record text": '{"record": "x"}',
        "record of a sha": '{"record": {"sha256": "x"}}',
        "record of null": '{"record": {"sha256": null}}',
        "record of a list": '{"record": {"sha256": [1]}}',
        "notebook list": '{"notebook": [], "record": {"sha256": "x"}}',
    }
    for name, text in texts.items():
        yield Case("record", f"file {name}", partial(_raw, text=text), (2,), report=True)
    for name in ("predictions/test.json", "predictions/validation.json"):
        for text in ("", "null", "[]", "{}", "5", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\x00"):
            chosen = partial(_beside, name=name, content=text)
            yield Case("record", f"beside {name} {text[:8]!r}", chosen, (2,), report=True)
    yield Case("record", "another order of labels", _labels, (2,), report=True)
    for change in ("nothing", "no predictions", "no model", "notes", "file", "moved data"):
        yield Case("goodrecord", change, partial(_good, change=change), (0,), report=True)
