"""Odd data files and folders of them, for training and for prediction, and odd files to write."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from . import Case, Place
from .stock import CSV, ROWS

NINES = "9" * 5000
LINES = [line.rsplit(",", 1) for line in ROWS.splitlines()]
TSV = CSV.replace(",", "\t")
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in LINES)
TXT = "".join(f"{text};{label}\n" for text, label in LINES)
TABLE = pd.DataFrame(LINES, columns=["text", "label"])
#: Exit statuses of a training and of a prediction with a file.
BOTH, EITHER, TRAINING, PREDICTION, NEITHER = (2, 2), ((0, 2), (0, 2)), (2, 0), (0, 2), (0, 0)


def parquet(table: pd.DataFrame | pa.Table = TABLE, **metadata: object) -> bytes:
    """Return a parquet file; with what `datasets` would say of its columns, if that is given."""
    table = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
    if "text" in metadata:
        metadata = {"huggingface": json.dumps({"info": {"features": metadata}})}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata or None), stream)
    return stream.getvalue()


def _columns(**columns: object) -> bytes:
    return parquet(pa.table(columns))


def _features(label: object, codes: list | None = None) -> bytes:
    texts = [text for text, _ in LINES]
    table = pa.table({"text": texts, "label": codes or [i % 2 for i in range(40)]})
    return parquet(table, text={"dtype": "string", "_type": "Value"}, label=label)


def _xlsx() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return stream.getvalue()


def _many(row: str, count: int = 40, head: str = "text,label\n") -> str:
    return head + "".join(row.format(i=i, label=("no", "yes")[i % 2]) for i in range(count))


#: Name of a file, after what is odd about it -> its content, and how training and prediction have to end.
FILES: dict[str, tuple[str | bytes, tuple]] = {
    "empty.csv": ("", BOTH),
    "empty.tsv": ("", BOTH),
    "empty.txt": ("", BOTH),
    "empty.jsonl": ("", BOTH),
    "empty.parquet": ("", BOTH),
    "blank.csv": ("\n\n\n", BOTH),
    "blank.jsonl": ("\n \n", BOTH),
    "bom only.csv": ("\ufeff", BOTH),
    "head only.csv": ("text,label\n", BOTH),
    "head only.tsv": ("text\tlabel", BOTH),
    "head only.txt": ("text;label\n", BOTH),
    "commas.csv": (",,,\n,,,\n", BOTH),
    "utf16.csv": (CSV.encode("utf-16"), BOTH),
    "utf16.jsonl": (JSONL.encode("utf-16"), BOTH),
    "utf16.txt": (TXT.encode("utf-16"), BOTH),
    "latin.csv": (CSV.replace("day", "däy").encode("latin-1"), BOTH),
    "latin.tsv": (TSV.replace("day", "däy").encode("latin-1"), BOTH),
    "latin.txt": (TXT.replace("day", "däy").encode("latin-1"), BOTH),
    "latin.jsonl": (JSONL.replace("day", "däy").encode("latin-1"), BOTH),
    "surrogate.csv": (CSV.replace("good", "\ud800"), BOTH),
    "surrogate.jsonl": (JSONL.replace("good", "\\ud800"), BOTH),
    "surrogate key.jsonl": (JSONL.replace('"text"', '"a\\udfffb"'), BOTH),
    "surrogate label.jsonl": (JSONL.replace('"yes"', '"\\udfff"'), BOTH),
    "random.csv": (random.Random(1).randbytes(5000), BOTH),
    "random.parquet": (random.Random(2).randbytes(5000), BOTH),
    "zeros.csv": (bytes(10_000), BOTH),
    "excel.csv": (_xlsx(), BOTH),
    "excel.tsv": (_xlsx(), BOTH),
    "excel.txt": (_xlsx(), BOTH),
    "gzip.csv": (b"\x1f\x8b\x08" + random.Random(3).randbytes(500), BOTH),
    "parquet.csv": (parquet(), BOTH),
    "csv.parquet": (CSV, BOTH),
    "csv.jsonl": (CSV, BOTH),
    "jsonl.csv": (JSONL, BOTH),
    "html.csv": ("<!DOCTYPE html>\n<html><body>not found</body></html>\n", BOTH),
    "pickle.csv": (b"cos\nsystem\n(S'touch marker'\ntR.", BOTH),
    "headerless.csv": (ROWS, BOTH),
    "headerless.tsv": (ROWS.replace(",", "\t"), BOTH),
    "other names.csv": (CSV.replace("text,label", "a,b"), BOTH),
    "twice text.csv": (_many("x{i},y{i},{label}\n", head="text,text,label\n"), BOTH),
    "twice label.csv": (_many("x{i},{label},b\n", head="text,label,label\n"), TRAINING),
    "long rows.csv": (_many("x{i},{label},b\n"), BOTH),
    "one long row.csv": (CSV + "a,b,c,d\n", BOTH),
    "unclosed.csv": (CSV + '"a,yes\n' + ROWS, BOTH),
    "unclosed at the end.csv": (CSV + '"a,yes\n', BOTH),
    "one class.csv": (_many("x{i},yes\n"), TRAINING),
    "no label.csv": (_many("x{i},\n"), TRAINING),
    "few.csv": ("text,label\na,x\nb,y\n", TRAINING),
    "class a row.csv": (_many("x{i},{i}\n"), TRAINING),
    "floats.csv": (_many("x{i},{i}.5\n"), TRAINING),
    "numbers.csv": (_many("x{i},{i}\n", 12), TRAINING),
    "no separator.txt": (_many("x{i}\n", head=""), TRAINING),
    "digits.csv": (_many("x{i}," + NINES + "{label}\n").replace("yes", "1").replace("no", "2"), ((0, 2), 0)),
    "digits.jsonl": (_many('{{"text": "x{i}", "label": ' + NINES + "}}\n", head=""), BOTH),
    "digits text.jsonl": (_many('{{"text": ' + NINES + ', "label": "{label}"}}\n', head=""), BOTH),
    "nul.csv": (CSV.replace("good", "go\0od"), EITHER),
    "nul label.csv": (CSV.replace("yes", "y\0s"), ((0, 2), (0, 2))),
    "control.csv": (CSV.replace("yes", "y\x1b[2Js"), ((0, 2), 0)),
    "line break name.csv": (CSV.replace("text,label", '"first\nline","la\nbel"'), BOTH),
    "array.jsonl": (json.dumps([{"text": "a", "label": "b"}] * 40), BOTH),
    "pretty.jsonl": (json.dumps({"text": "a", "label": "b"}, indent=1), BOTH),
    "scalars.jsonl": ("1\n2\n3\n", BOTH),
    "nulls.jsonl": ("null\n" * 40, BOTH),
    "no objects.jsonl": ("{}\n" * 40, BOTH),
    "trailing comma.jsonl": (JSONL.replace("}\n", "},\n"), BOTH),
    "single quotes.jsonl": (JSONL.replace('"', "'"), BOTH),
    "two a line.jsonl": (JSONL.replace("}\n", "} {}\n"), BOTH),
    "cut.jsonl": (JSONL[:-10], BOTH),
    "deep list.jsonl": ("[" * 100_000 + "]" * 100_000 + "\n", BOTH),
    "deep object.jsonl": ('{"text": ' * 50_000 + "1" + "}" * 50_000 + "\n", BOTH),
    "deep inside.jsonl": (JSONL + '{"text": "a", "label": "yes", "x": ' + "[" * 50_000 + "]" * 50_000 + "}\n", EITHER),
    "nan label.jsonl": (_many('{{"text": "x{i}", "label": NaN}}\n', head=""), TRAINING),
    "infinite label.jsonl": (_many('{{"text": "x{i}", "label": Infinity}}\n', head=""), ((2,), (0, 2))),
    "list label.jsonl": (_many('{{"text": "x{i}", "label": ["{label}"]}}\n', head=""), TRAINING),
    "object label.jsonl": (_many('{{"text": "x{i}", "label": {{"a": 1}}}}\n', head=""), TRAINING),
    "list text.jsonl": (_many('{{"text": ["x{i}"], "label": "{label}"}}\n', head=""), BOTH),
    "object text.jsonl": (_many('{{"text": {{"a": "x{i}"}}, "label": "{label}"}}\n', head=""), BOTH),
    "number text.jsonl": (_many('{{"text": {i}, "label": "{label}"}}\n', head=""), BOTH),
    "true text.jsonl": (_many('{{"text": true, "label": "{label}"}}\n', head=""), BOTH),
    "mixed text.jsonl": (JSONL + '{"text": 5, "label": "yes"}\n', BOTH),
    "huge number.jsonl": (_many('{{"text": "x{i}", "label": 1e999}}\n', head=""), ((2,), (0, 2))),
    "null text.jsonl": (_many('{{"text": null, "label": "{label}"}}\n', head=""), (2, 0)),
    "magic.parquet": (b"PAR1", BOTH),
    "magic twice.parquet": (b"PAR1" * 3, BOTH),
    "huge footer.parquet": (b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1", BOTH),
    "half.parquet": (parquet()[:-300], BOTH),
    "cut.parquet": (parquet()[:100], BOTH),
    "no rows.parquet": (parquet(TABLE[:0]), BOTH),
    "no columns.parquet": (parquet(TABLE[[]]), BOTH),
    "other names.parquet": (parquet(TABLE.set_axis(["a", "b"], axis=1)), BOTH),
    "twice text.parquet": (parquet(pa.table([["a"], ["b"], ["c"]], names=["text", "text", "label"])), BOTH),
    "number text.parquet": (_columns(text=range(40), label=["a", "b"] * 20), BOTH),
    "binary text.parquet": (_columns(text=[b"\xff\xfe"] * 40, label=["a", "b"] * 20), BOTH),
    "list text.parquet": (_columns(text=[["a"]] * 40, label=["a", "b"] * 20), BOTH),
    "struct text.parquet": (_columns(text=[{"a": "b"}] * 40, label=["a", "b"] * 20), BOTH),
    "date text.parquet": (_columns(text=pa.array([0] * 40, pa.date32()), label=["a", "b"] * 20), BOTH),
    "null text.parquet": (_columns(text=pa.nulls(40), label=["a", "b"] * 20), (2, (0, 2))),
    "null label.parquet": (_columns(text=["x"] * 40, label=pa.nulls(40)), TRAINING),
    "list label.parquet": (_columns(text=["x"] * 40, label=[["a"]] * 40), TRAINING),
    "struct label.parquet": (_columns(text=["x"] * 40, label=[{"a": 1}] * 40), TRAINING),
    "nan label.parquet": (_columns(text=["x"] * 40, label=[float("nan")] * 40), TRAINING),
    "infinite label.parquet": (_columns(text=["x"] * 40, label=[float("inf")] * 40), TRAINING),
    "floats.parquet": (_columns(text=["x"] * 40, label=[0.5, 1.5] * 20), TRAINING),
    "bad utf8.parquet": (
        _columns(text=pa.array([b"\xff"] * 40).view(pa.string()), label=["a", "b"] * 20),
        BOTH,
    ),
    "metadata no json.parquet": (parquet(huggingface="{nonsense"), EITHER),
    "metadata list.parquet": (parquet(huggingface="[1]"), EITHER),
    "metadata number.parquet": (parquet(huggingface="5"), EITHER),
    "metadata empty.parquet": (parquet(huggingface=""), EITHER),
    "metadata bytes.parquet": (parquet(huggingface=b"\xff\xfe"), EITHER),
    "metadata deep.parquet": (parquet(huggingface="[" * 100_000), EITHER),
    "metadata no features.parquet": (parquet(huggingface='{"info": {}}'), EITHER),
    "metadata null features.parquet": (parquet(huggingface='{"info": {"features": null}}'), EITHER),
    "metadata text features.parquet": (parquet(huggingface='{"info": {"features": "x"}}'), EITHER),
    "metadata null info.parquet": (parquet(huggingface='{"info": null}'), EITHER),
    "feature unknown.parquet": (_features({"_type": "Evil"}), EITHER),
    "feature number.parquet": (_features({"_type": 5}), EITHER),
    "feature null.parquet": (_features(None), EITHER),
    "feature list.parquet": (_features([1]), EITHER),
    "feature of code.parquet": (_features({"_type": "os.system", "dtype": "touch marker"}), EITHER),
    "feature image.parquet": (_features({"_type": "Image"}), EITHER),
    "value unknown.parquet": (_features({"_type": "Value", "dtype": "evil"}), EITHER),
    "value eval.parquet": (_features({"_type": "Value", "dtype": "__import__('os').system('touch marker')"}), EITHER),
    "names missing.parquet": (_features({"_type": "ClassLabel"}), EITHER),
    "names null.parquet": (_features({"_type": "ClassLabel", "names": None}), EITHER),
    "names twice.parquet": (_features({"_type": "ClassLabel", "names": ["a", "a"]}), EITHER),
    "names numbers.parquet": (_features({"_type": "ClassLabel", "names": [1, 2]}), EITHER),
    "names nulls.parquet": (_features({"_type": "ClassLabel", "names": [None, None]}), EITHER),
    "names text.parquet": (_features({"_type": "ClassLabel", "names": "ab"}), EITHER),
    "names empty.parquet": (_features({"_type": "ClassLabel", "names": []}), EITHER),
    "names lists.parquet": (_features({"_type": "ClassLabel", "names": [["a"], ["b"]]}), EITHER),
    "names file.parquet": (_features({"_type": "ClassLabel", "names_file": "secret/secret.txt"}), EITHER),
    "names huge.parquet": (_features({"_type": "ClassLabel", "num_classes": 10**12}), EITHER),
    "names blank.parquet": (_features({"_type": "ClassLabel", "names": ["", " "]}), EITHER),
    "codes above.parquet": (_features({"_type": "ClassLabel", "names": ["a", "b"]}, [5] * 40), (2, (0, 2))),
    "codes below.parquet": (_features({"_type": "ClassLabel", "names": ["a", "b"]}, [-7, 0] * 20), ((0, 2), (0, 2))),
    "codes text.parquet": (_features({"_type": "ClassLabel", "names": ["a", "b"]}, ["a", "b"] * 20), EITHER),
    "codes floats.parquet": (_features({"_type": "ClassLabel", "names": ["a", "b"]}, [0.5, 1] * 20), EITHER),
    "unknown.xyz": (CSV, BOTH),
    "no suffix": (CSV, BOTH),
    "book.xlsx": (_xlsx(), BOTH),
    "model.pkl": (b"cos\nsystem\n(S'touch marker'\ntR.", BOTH),
}
GOOD: dict[str, str | bytes] = {
    "plain.csv": CSV,
    "plain.tsv": TSV,
    "plain.jsonl": JSONL,
    "plain.parquet": parquet(),
    "UPPER.CSV": CSV.replace("text,label", "TEXT,LABEL"),
    "bom.csv": "\ufeff" + CSV,
    "bom.jsonl": "\ufeff" + JSONL,
    "windows.csv": CSV.replace("\n", "\r\n"),
    "windows.jsonl": JSONL.replace("\n", "\r\n"),
    "no line end.csv": CSV.rstrip(),
    "semicolons.csv": CSV.replace(",", ";"),
    "tabs.csv": TSV,
    "blanks in the head.csv": CSV.replace("text,label", " text , label "),
    "more columns.csv": _many("{i},x day {i},{label},\n", head="id,text,label,note\n"),
    "other usual names.csv": CSV.replace("text,label", "tweet,emotion"),
    "quoted.csv": _many('"x, ""{i}""; a","{label}"\n'),
    "line breaks.csv": _many('"x\n{i}\n","{label}"\n'),
    "empty texts.csv": CSV + ",yes\n" * 5,
    "empty labels.csv": CSV + "a fine day,\n" * 5,
    "blank lines.csv": CSV.replace("\n", "\n\n"),
    "missing words.csv": _many("NA {i},{label}\n").replace("yes", "NULL").replace(",no", ",nan"),
    "numbers as labels.csv": CSV.replace("yes", "1").replace(",no", ",-1"),
    "leading zeros.csv": CSV.replace("yes", "007").replace(",no", ",008"),
    "formulas.csv": _many("=cmd|'/C touch marker'!A{i},{label}\n"),
    "scripts.csv": _many("<script>alert({i})</script>,{label}\n"),
    "templates.csv": _many("{{{{ 7*7 }}}} ${{jndi:x}} %s %n {i},{label}\n"),
    "special tokens.csv": _many("this </s> [PAD] [SEP] <mask> that {i},{label}\n"),
    "emoji.csv": _many("😀👍🏽 {i},{label}\n").replace("yes", "😀").replace(",no", ",👎"),
    "arabic.csv": _many("مرحبا {i},{label}\n").replace("yes", "جيد").replace(",no", ",سيئ"),
    "chinese.csv": _many("你好 {i},{label}\n").replace("yes", "好").replace(",no", ",坏"),
    "dollars.csv": _many("costs $5 and ${i} \\alpha_,{label}\n").replace("yes", "$x^2$").replace(",no", ",100 %"),
    "invisible.csv": _many("\u200b\u00a0\u2028{i},{label}\n"),
    "long.csv": CSV + "day " * 30_000 + ",yes\n",
    "many rows.csv": CSV + ROWS * 150,
    "hundred classes.csv": "text,label\n" + "".join(f"day {i} {j},c{j}\n" for j in range(100) for i in range(12)),
    "a%20b #1 50% what?.csv": CSV,
    "größer 日本.csv": CSV,
    "it's; a $file.csv": CSV,
    "-dash.csv": CSV,
    "two\nlines.csv": CSV,
    "spread.jsonl": JSONL.replace('"label"', '"x": null, "label"'),
    "escaped.jsonl": JSONL.replace("good", "\\ud83d\\ude00 \\u00fc \\\\"),
    "numbers.jsonl": JSONL.replace('"yes"', "1").replace('"no"', "0"),
    "floats that are whole.jsonl": JSONL.replace('"yes"', "1.0").replace('"no"', "0.0"),
    "booleans.jsonl": JSONL.replace('"yes"', "true").replace('"no"', "false"),
    "missing.jsonl": JSONL + '{"label": "yes"}\n{"text": "a day"}\n{"text": null, "label": "yes"}\n',
    "nested beside.jsonl": JSONL.replace('"label"', '"meta": {"a": [1, {}]}, "label"'),
    "large strings.parquet": parquet(pa.table({n: pa.array(TABLE[n].to_list(), pa.large_string()) for n in TABLE})),
    "string views.parquet": parquet(pa.table({n: pa.array(TABLE[n].to_list(), pa.string_view()) for n in TABLE})),
    "dictionaries.parquet": parquet(pa.table({n: pa.array(TABLE[n].to_list()).dictionary_encode() for n in TABLE})),
    "classes.parquet": _features({"_type": "ClassLabel", "names": ["no", "yes"]}),
    "small integers.parquet": _columns(text=TABLE["text"].to_list(), label=pa.array([0, 1] * 20, pa.int8())),
    "unlabelled codes.parquet": _features({"_type": "ClassLabel", "names": ["no", "yes"]}, [0, 1, 0, 1, -1] * 8),
    "an index.parquet": parquet(pa.Table.from_pandas(TABLE.set_index(pd.Index(range(5, 45), name="at")))),
}
HEADED_TXT = f"text;label\n{TXT}"


def _train(place: Place, name: str, content: str | bytes) -> list[str]:
    file = place.write(name, content)
    return ["run", "02", "-p", "dataset", file, "-p", "model", str(place.stock / "model"), "--out", "out"]


def _predict(place: Place, name: str, content: str | bytes, ending: str = "csv") -> list[str]:
    return ["predict", str(place.stock / "model"), place.write(name, content), "-o", f"out/o.{ending}"]


def _statuses(expected: int | tuple[int, ...]) -> tuple[int, ...]:
    return expected if isinstance(expected, tuple) else (expected,)


def _flipped(place: Place, good: bytes, name: str, seed: int, train: bool) -> list[str]:
    rng, content = random.Random(seed), bytearray(good)
    for _ in range(rng.choice([1, 1, 5, 50])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
    return (_train if train else _predict)(place, name, bytes(content))


def _folder(place: Place, files: dict[str, str], train: Callable[[Path], object] | None) -> list[str]:
    folder = place.given / "folder"
    folder.mkdir()
    for name, content in files.items():
        place.write(f"folder/{name}", content)
    if train:
        train(folder)
    return ["run", "02", "-p", "dataset", str(folder), "-p", "model", str(place.stock / "model"), "--out", "out"]


FOLDERS: dict[str, tuple[dict[str, str], Callable[[Path], object] | None, int]] = {
    "empty": ({}, None, 2),
    "no data": ({"notes.md": "x", "model.pkl": "x"}, None, 2),
    "two": ({"a.csv": CSV, "b.csv": CSV}, None, 2),
    "no train": ({"val.csv": CSV, "test.csv": CSV}, None, 2),
    "two train": ({"train.csv": CSV, "train.tsv": TSV}, None, 2),
    "shards": ({"train-00000-of-00003.csv": CSV, "train-00001-of-00003.csv": CSV}, None, 2),
    "shards of zero": ({"train-00000-of-00000.csv": CSV}, None, 2),
    "other labels": ({"train.csv": CSV, "test.csv": "text,label\na,x\nb,y\n"}, None, 2),
    "other columns": ({"train.csv": CSV, "test.csv": "a,b\na,x\n"}, None, 2),
    "empty test": ({"train.csv": CSV, "test.csv": ""}, None, 2),
    "folder as file": ({}, lambda folder: (folder / "train.csv").mkdir(), 2),
    "link to nothing": ({}, lambda folder: (folder / "train.csv").symlink_to("nowhere"), 2),
    "link to itself": ({}, lambda folder: (folder / "train.csv").symlink_to("train.csv"), 2),
    "zero": ({}, lambda folder: (folder / "train.csv").symlink_to("/dev/zero"), 2),
    "zero jsonl": ({}, lambda folder: (folder / "train.jsonl").symlink_to("/dev/zero"), 2),
    "fifo": ({}, lambda folder: os.mkfifo(folder / "train.csv"), 2),
    "three splits": ({"train.csv": CSV, "dev.csv": CSV, "test.csv": CSV}, None, 0),
    "mixed formats": ({"train.csv": CSV, "valid.jsonl": JSONL, "testing.tsv": TSV}, None, 0),
    "readme beside": ({"README.txt": "hello", "LICENSE.txt": "x", "all.csv": CSV}, None, 0),
    "hidden beside": ({".ds.csv": "x", "data.csv": CSV}, None, 0),
    "two shards": ({"train-00000-of-00002.csv": CSV, "train-00001-of-00002.csv": CSV.replace("day", "thing")}, None, 0),
}


def _output(place: Place, arguments: list[str], prepare: Callable[[Path], object] | None) -> list[str]:
    place.write("t.csv", CSV)
    if prepare:
        prepare(place.root)
    return ["predict", str(place.stock / "model"), "given/t.csv", *arguments]


OUTPUTS: list[tuple[str, list[str], Callable[[Path], object] | None, tuple[int, ...]]] = [
    ("no ending", ["-o", "out/o"], None, (2,)),
    ("unknown ending", ["-o", "out/o.xlsx"], None, (2,)),
    ("folder", ["-o", "out/d.csv"], lambda root: (root / "out/d.csv").mkdir(), (2,)),
    ("source", ["-o", "given/t.csv"], None, (2,)),
    (
        "link to the source",
        ["-o", "out/l.csv"],
        lambda root: (root / "out/l.csv").symlink_to(root / "given/t.csv"),
        (2,),
    ),
    ("below a file", ["-o", "given/t.csv/o.csv"], None, (1, 2)),
    ("long", ["-o", "out/" + "x" * 300 + ".csv"], None, (1, 2)),
    ("nowhere", ["-o", "/proc/nowhere/o.csv"], None, (1, 2)),
    ("surrogate", ["-o", "out/\udcff.csv"], None, (0, 1, 2)),
    ("empty", ["-o", ""], None, (2,)),
    ("no column", ["-o", "out/o.csv", "--text-column", "nonsense"], None, (2,)),
    ("column of numbers", ["-o", "out/o.csv", "--text-column", "5"], None, (2,)),
    ("long column", ["-o", "out/o.csv", "--text-column", "x" * 9000], None, (2,)),
    ("new folder", ["-o", "out/new/deep/o.csv"], None, (0,)),
    ("odd name", ["-o", "out/a%20b #1 ü?.jsonl"], None, (0,)),
    ("upper case", ["-o", "out/O.PARQUET"], None, (0,)),
    ("the label as text", ["-o", "out/o.csv", "--text-column", "label"], None, (0,)),
    ("replaced", ["-o", "out/o.csv"], lambda root: (root / "out/o.csv").write_text("old"), (0,)),
]


def cases() -> Iterator[Case]:
    for name, (content, expected) in FILES.items():
        for verb, arguments, status in zip(("train", "predict"), (_train, _predict), expected):
            yield Case("data", f"{verb} {name}", partial(arguments, name=name, content=content), _statuses(status))
    for name, content in GOOD.items():
        endings = itertools.cycle(("csv", "jsonl", "parquet"))
        yield Case("gooddata", f"train {name}", partial(_train, name=name, content=content), (0,))
        chosen = partial(_predict, name=name, content=content, ending=next(endings))
        yield Case("gooddata", f"predict {name}", chosen, (0,))
    for verb, arguments, content in (
        ("train", _train, HEADED_TXT),
        ("train", _train, TXT),
        ("predict", _predict, "a\n\nb"),
    ):
        yield Case("gooddata", f"{verb} {len(content)}.txt", partial(arguments, name="t.txt", content=content), (0,))
    for seed in range(40):
        good, name = [(CSV.encode(), "f.csv"), (JSONL.encode(), "f.jsonl"), (parquet(), "f.parquet")][seed % 3]
        chosen = partial(_flipped, good=good, name=name, seed=seed, train=seed % 2 == 0)
        yield Case("flipped", f"{seed} {name}", chosen, (0, 2))
    for name, (files, make, status) in FOLDERS.items():
        kind = "folder" if status else "goodfolder"
        yield Case(kind, name, partial(_folder, files=files, train=make), (status,))
    for name, arguments, prepare, statuses in OUTPUTS:
        kind = "goodoutput" if statuses == (0,) else "output"
        yield Case(kind, name, partial(_output, arguments=arguments, prepare=prepare), statuses)
    for name, target in {"zero.csv": "/dev/zero", "zero.txt": "/dev/zero", "zero.jsonl": "/dev/zero"}.items():

        def link(place: Place, name: str = name, target: str = target) -> list[str]:
            (place.given / name).symlink_to(target)
            return ["predict", str(place.stock / "model"), f"given/{name}", "-o", "out/o.csv"]

        yield Case("special", name, link)

    def fifo(place: Place) -> list[str]:
        os.mkfifo(place.given / "f.csv")
        return ["predict", str(place.stock / "model"), "given/f.csv", "-o", "out/o.csv"]

    yield Case("special", "fifo", fifo)
