"""Odd stores: databases, zips of them and addresses, given to `sync`, `predict`, `reproduce` and `ui`."""

from __future__ import annotations

import io
import os
import random
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from . import Case, Place

Mutation = Callable[[Path], object]


def sql(*statements: str) -> Mutation:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                database.execute(statement.replace("OUTSIDE", str(folder.parents[1] / "secret")))

    return change


def file(change: Callable[[bytes], bytes]) -> Mutation:
    def edit(folder: Path) -> None:
        path = folder / "mlflow.db"
        path.write_bytes(change(path.read_bytes()))

    return edit


def remove(name: str) -> Mutation:
    return lambda folder: shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def flipped(seed: int) -> Mutation:
    def flip(content: bytes) -> bytes:
        rng, altered = random.Random(seed), bytearray(content)
        for _ in range(rng.choice([1, 20, 500])):
            altered[rng.randrange(len(altered))] = rng.randrange(256)
        return bytes(altered[: rng.randrange(len(altered))] if rng.random() < 0.3 else altered)

    return file(flip)


def link_out(folder: Path) -> None:
    """Let an artifact of a run be a link to what lies outside the store."""
    first = sorted((folder / "artifacts").glob("*/artifacts"))
    (first[0] / "linked.txt").symlink_to(folder.parents[1] / "secret" / "secret.txt")


#: A store that a command works with is mended when its folder was moved; one that it reads from only is not.
USED = ("given/store/mlflow.db",)
ONE_RUN = "WHERE run_uuid = (SELECT MIN(run_uuid) FROM runs)"
ADDRESSES = [
    "s3://b/x",
    "gs://b/x",
    "sftp://h/x",
    "wasbs://c@a.blob.core.windows.net/x",
    "r2://b@a.r2/x",
    "http://127.0.0.1:9/x",
]
ADDRESSES += [
    "",
    "nonsense",
    "nonsense://x",
    "dbfs:/x",
    "hdfs://h/x",
    "ftp://127.0.0.1:9/x",
    "mlflow-artifacts:/x",
    "abfss://x",
]
ADDRESSES += [
    "file:///nowhere",
    "file://host/x",
    "\x1b[2J",
    "x" * 5000,
    "file:///" + "x/" * 2500,
    "runs:/x",
    "models:/x",
]
OUTSIDE = [
    "file://OUTSIDE",
    "OUTSIDE",
    "file:OUTSIDE",
    "file://localhostOUTSIDE",
    "../../secret",
    "file:///proc/self",
    "/etc",
]
#: Altered stores -> how a sync from them has to end.
STORES: dict[str, tuple[Mutation, tuple[int, ...]]] = {
    **{f"run at {a[:40]!r}": (sql(f"UPDATE runs SET artifact_uri = '{a}' {ONE_RUN}"), (0, 1, 2)) for a in ADDRESSES},
    **{f"run at {a}": (sql(f"UPDATE runs SET artifact_uri = '{a}' {ONE_RUN}"), (0, 1, 2)) for a in OUTSIDE},
    **{f"model at {a}": (sql(f"UPDATE logged_models SET artifact_location = '{a}'"), (0, 1, 2)) for a in OUTSIDE},
    **{
        f"experiment at {a}": (sql(f"UPDATE experiments SET artifact_location = '{a}'"), (0, 1, 2)) for a in OUTSIDE[:3]
    },
    **{f"version at {a}": (sql(f"UPDATE model_versions SET source = '{a}'"), (0, 1, 2)) for a in OUTSIDE[:3]},
    "run nowhere": (sql(f"UPDATE runs SET artifact_uri = NULL {ONE_RUN}"), (0, 1, 2)),
    "linked out": (link_out, (0, 1, 2)),
    "no artifacts": (remove("artifacts"), (0, 1, 2)),
    "artifacts a file": (
        lambda folder: (remove("artifacts")(folder), (folder / "artifacts").write_text("x")),
        (0, 1, 2),
    ),
    "artifacts a fifo": (
        lambda folder: os.mkfifo(sorted((folder / "artifacts").glob("*/artifacts"))[0] / "fifo"),
        (0, 1, 2),
    ),
    "status unknown": (sql(f"UPDATE runs SET status = 'DANCING' {ONE_RUN}"), (1, 2)),
    "status null": (sql(f"UPDATE runs SET status = NULL {ONE_RUN}"), (0, 1, 2)),
    "stage unknown": (sql(f"UPDATE runs SET lifecycle_stage = 'asleep' {ONE_RUN}"), (0, 1, 2)),
    "times": (sql(f"UPDATE runs SET start_time = -5, end_time = 9223372036854775807 {ONE_RUN}"), (0, 1, 2)),
    "times text": (sql(f"UPDATE runs SET start_time = 'noon' {ONE_RUN}"), (0, 1, 2)),
    "run named control": (
        sql(f"UPDATE runs SET name = 'a' || char(27) || '[2J' || char(10) || 'b' {ONE_RUN}"),
        (0, 1, 2),
    ),
    "run named long": (sql(f"UPDATE runs SET name = '{'x' * 5000}' {ONE_RUN}"), (0, 1, 2)),
    "id of dots": (sql("UPDATE tags SET value = '../../x' WHERE key = 'mlflow.parentRunId'"), (0, 1, 2)),
    "own parent": (sql("UPDATE tags SET value = run_uuid WHERE key = 'mlflow.parentRunId'"), (0, 1, 2)),
    "parents in a circle": (
        sql(
            "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.parentRunId', run_uuid, (SELECT value FROM tags "
            "WHERE key = 'mlflow.parentRunId' LIMIT 1) FROM tags WHERE key = 'mlflow.parentRunId' LIMIT 1"
        ),
        (0, 1, 2),
    ),
    "owner text": (
        sql(
            f"UPDATE runs SET status = 'RUNNING' {ONE_RUN}",
            "INSERT OR REPLACE INTO tags (key, value, run_uuid) SELECT 'textlab.owner', 'nobody', MIN(run_uuid) "
            "FROM runs",
        ),
        (0, 1, 2),
    ),
    "owner huge": (
        sql(
            f"UPDATE runs SET status = 'RUNNING' {ONE_RUN}",
            "INSERT OR REPLACE INTO tags (key, value, run_uuid) SELECT 'textlab.owner', 'host 99999999999999999999 x', "
            "MIN(run_uuid) FROM runs",
        ),
        (0, 1, 2),
    ),
    "version text": (sql("UPDATE model_versions SET version = 'two' WHERE version = 2"), (0, 1, 2)),
    "version huge": (sql("UPDATE model_versions SET version = 9223372036854775807 WHERE version = 2"), (0, 1, 2)),
    "version without a run": (sql("UPDATE model_versions SET run_id = NULL"), (0, 1, 2)),
    "version of no run": (sql("UPDATE model_versions SET run_id = 'x'"), (0, 1, 2)),
    "version tag": (sql("UPDATE model_version_tags SET value = NULL"), (0, 1, 2)),
    "alias to nowhere": (sql("UPDATE registered_model_aliases SET version = 99"), (0, 1, 2)),
    "alias text": (sql("UPDATE registered_model_aliases SET version = 'x'"), (0, 1, 2)),
    "models without a source": (sql("UPDATE logged_models SET source_run_id = NULL"), (0, 1, 2)),
    "model status": (sql("UPDATE logged_models SET status = 99"), (0, 1, 2)),
    "source tag": (sql("UPDATE tags SET key = 'textlab.source' WHERE key = 'long'"), (0, 1, 2)),
    "experiment named blank": (sql("UPDATE experiments SET name = '' WHERE name = 'sweep'"), (0, 1, 2)),
    "experiment named control": (sql("UPDATE experiments SET name = char(27) || 'x' WHERE name = 'sweep'"), (0, 1, 2)),
    "experiment long": (sql(f"UPDATE experiments SET name = '{'x' * 5000}' WHERE name = 'sweep'"), (0, 1, 2)),
    "experiment stage": (sql("UPDATE experiments SET lifecycle_stage = 'asleep' WHERE name = 'sweep'"), (0, 1, 2)),
    "no runs table": (sql("DROP TABLE runs"), (2,)),
    "no experiments table": (sql("DROP TABLE experiments"), (2,)),
    "no tags table": (sql("DROP TABLE tags"), (0, 1, 2)),
    "no metrics table": (sql("DROP TABLE latest_metrics"), (1, 2)),
    "no models table": (sql("DROP TABLE logged_models"), (1, 2)),
    "no versions table": (sql("DROP TABLE model_versions"), (1, 2)),
    "no registry": (sql("DROP TABLE registered_models"), (1, 2)),
    "no column": (sql("ALTER TABLE runs RENAME COLUMN status TO state"), (1, 2)),
    "schema unknown": (sql("UPDATE alembic_version SET version_num = 'ffffffffffff'"), (2,)),
    "schema none": (sql("DELETE FROM alembic_version"), (0, 1, 2)),
    "other tables": (file(lambda content: b""), (0, 2)),
    "empty database": (lambda folder: ((folder / "mlflow.db").unlink(), sql("CREATE TABLE a (b)")(folder)), (0, 2)),
    "text": (file(lambda content: b"hello"), (2,)),
    "half": (file(lambda content: content[: len(content) // 2]), (1, 2)),
    "header only": (file(lambda content: content[:100]), (2,)),
    "header and nonsense": (file(lambda content: content[:100] + bytes(len(content) - 100)), (2,)),
    "page size": (file(lambda content: content[:16] + b"\xff\xff" + content[18:]), (2,)),
    "a folder": (lambda folder: ((folder / "mlflow.db").unlink(), (folder / "mlflow.db").mkdir()), (2,)),
    "a fifo": (lambda folder: ((folder / "mlflow.db").unlink(), os.mkfifo(folder / "mlflow.db")), (2,)),
    "zero": (lambda folder: ((folder / "mlflow.db").unlink(), (folder / "mlflow.db").symlink_to("/dev/zero")), (2,)),
    "a link to itself": (
        lambda folder: ((folder / "mlflow.db").unlink(), (folder / "mlflow.db").symlink_to("mlflow.db")),
        (2,),
    ),
    "a trigger": (
        sql("CREATE TRIGGER evil AFTER UPDATE ON runs BEGIN DELETE FROM runs; END"),
        (0, 1, 2),
    ),
    "a view": (sql("ALTER TABLE runs RENAME TO x", "CREATE VIEW runs AS SELECT * FROM x"), (0, 1, 2)),
    "an endless view": (
        sql(
            "ALTER TABLE runs RENAME TO x",
            "CREATE VIEW runs AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT x.* FROM x, c",
        ),
        (0, 1, 2),
    ),
}
GOOD: dict[str, Mutation] = {
    "as it is": lambda folder: None,
    "it's": sql("UPDATE registered_models SET name = 'it''s' WHERE 0"),
    "no journal": sql("PRAGMA user_version = 5"),
    "notes beside": lambda folder: (folder / "notes.txt").write_text("x"),
    "deleted run": sql(f"UPDATE runs SET lifecycle_stage = 'deleted' {ONE_RUN}"),
    "killed run": sql(f"UPDATE runs SET status = 'KILLED' {ONE_RUN}"),
}


def _copy(place: Place, mutate: Mutation, folder: str = "store") -> Path:
    """Copy the full store, whose artifacts move with it, and alter the copy."""
    there = place.given / folder
    shutil.copytree(place.stock / "full", there, symlinks=True)
    with closing(sqlite3.connect(there / "mlflow.db")) as database, database:
        old, new = (place.stock / "full").as_uri(), there.as_uri()
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
        ):
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
    mutate(there)
    shutil.copytree(place.stock / "empty", place.out / "target")
    return there


def _sync(place: Place, mutate: Mutation, folder: str = "store") -> list[str]:
    return ["sync", "--from", str(_copy(place, mutate, folder)), "--to", "out/target"]


def _read(place: Place, mutate: Mutation, verb: str) -> list[str]:
    there = str(_copy(place, mutate))
    place.write("t.txt", "good\n")
    predict = ["predict", "models:/emotions@champion", "given/t.txt", "-o", "out/o.csv", "--tracking-uri", there]
    return {"predict": predict, "reproduce": ["reproduce", "a" * 32, "--tracking-uri", there]}[verb]


def _zip(place: Place, pack: Callable[[zipfile.ZipFile, Path], object], after: Callable[[bytes], bytes]) -> list[str]:
    there = _copy(place, lambda folder: None)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        pack(archive, there)
    shutil.rmtree(there)
    return ["sync", "--from", place.write("runs.zip", after(stream.getvalue())), "--to", "out/target"]


def _whole(archive: zipfile.ZipFile, folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            archive.write(path, path.relative_to(folder))


def _and(name: str, content: str = "x", mode: int = 0) -> Callable[[zipfile.ZipFile, Path], object]:
    def pack(archive: zipfile.ZipFile, folder: Path) -> None:
        _whole(archive, folder)
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content)

    return pack


def _flag(content: bytes, bit: int = 1) -> bytes:
    altered = bytearray(content)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = altered.find(mark)
        while place >= 0:
            altered[place + offset] |= bit
            place = altered.find(mark, place + 4)
    return bytes(altered)


def _method(content: bytes) -> bytes:
    altered = bytearray(content)
    for mark, offset in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        place = altered.find(mark)
        while place >= 0:
            altered[place + offset : place + offset + 2] = (97).to_bytes(2, "little")
            place = altered.find(mark, place + 4)
    return bytes(altered)


def _same(content: bytes) -> bytes:
    return content


ZIPS: dict[str, tuple[Callable, Callable[[bytes], bytes], tuple[int, ...]]] = {
    "empty": (lambda archive, folder: None, _same, (2,)),
    "no store": (lambda archive, folder: archive.writestr("a.txt", "x"), _same, (2,)),
    "text as a store": (lambda archive, folder: archive.writestr("mlflow.db", "x"), _same, (2,)),
    "folder as a store": (lambda archive, folder: archive.writestr("mlflow.db/", ""), _same, (2,)),
    "encrypted": (_whole, _flag, (2,)),
    "patched": (_whole, partial(_flag, bit=0x20), (2,)),
    "unknown method": (_whole, _method, (2,)),
    "cut": (_whole, lambda content: content[:-50], (2,)),
    "half": (_whole, lambda content: content[: len(content) // 2], (2,)),
    "altered": (_whole, lambda content: content[:2000] + bytes(500) + content[2500:], (2,)),
    "member above": (_and("../../marker"), _same, (0, 2)),
    "member absolute": (_and("/tmp/marker-of-textlab"), _same, (0, 2)),
    "member a link": (_and("artifacts/link", "/etc/passwd", stat.S_IFLNK | 0o777), _same, (0, 2)),
    "member long": (_and("x" * 5000), _same, (0, 2)),
    "member with a nul": (_and("a\0b"), _same, (0, 2)),
    "member a file and a folder": (_and("mlflow.db/x"), _same, (2,)),
    "store twice": (_and("deep/mlflow.db"), _same, (0, 2)),
    "whole": (_whole, _same, (0,)),
    "begins late": (_whole, lambda content: bytes(100) + content, (0, 2)),
}
FOLDERS = [
    "my%20project",
    "50%25 off",
    "what?",
    "a#b",
    "it's",
    "größer 日本",
    "a;b",
    "$x",
    "two\nlines",
    "a&b=c",
    "-dash",
]


def cases() -> Iterator[Case]:
    for name, (mutate, exits) in STORES.items():
        yield Case("store", f"sync {name}", partial(_sync, mutate=mutate), exits)
    for number, name in enumerate(list(STORES)[35:]):
        verb = ("predict", "reproduce")[number % 2]
        yield Case("store", f"{verb} {name}", partial(_read, mutate=STORES[name][0], verb=verb), (2,), writes=USED)
    for seed in range(30):
        yield Case("storebytes", str(seed), partial(_sync, mutate=flipped(seed)), (0, 1, 2))
    for name, mutate in GOOD.items():
        yield Case("goodstore", name, partial(_sync, mutate=mutate), (0,))
    for name in FOLDERS:
        yield Case("goodstore", f"in {name!r}", partial(_sync, mutate=lambda folder: None, folder=name), (0,))
    for name, (pack, after, exits) in ZIPS.items():
        kind = "goodzip" if exits == (0,) else "zip"
        yield Case(kind, name, partial(_zip, pack=pack, after=after), exits)
