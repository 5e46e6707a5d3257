"""Odd bundles, each given to `add`, `list` and `verify`."""

from __future__ import annotations

import hashlib
import io
import json
import random
import stat
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

from . import Case, Place

SHA = "ab" * 20
FILES = {"config.json": b"{}", "model.safetensors": b"weights"}
DEEP = "[" * 100_000 + "]" * 100_000
ROW = {"id": "a/b", "downloads": 1, "likes": 1, "modified": "2024-01-01", "licence": "mit", "megabytes": 1.0}


def bundle(
    files: dict[str, bytes] = FILES,
    id: object = "owner/m",
    kind: object = "model",
    revision: object = SHA,
    members: dict[str, bytes | None] | None = None,
    change: Callable[[dict], object] = lambda contents: None,
    contents: bytes | None = None,
    compression: int = zipfile.ZIP_STORED,
    after: Callable[[zipfile.ZipFile], object] = lambda archive: None,
) -> bytes:
    """Return a bundle; what is not given is as it should be."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    listed = {
        "format": 1,
        "sources": [{"id": id, "kind": kind, "revision": revision, "files": digests}],
        "listing": None,
    }
    changed = change(listed) or listed
    stored: dict[str, bytes | None] = {"bundle.json": json.dumps(changed).encode() if contents is None else contents}
    stored |= {f"{kind}/{id}/{revision}/{name}": content for name, content in files.items()} | (members or {})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in stored.items():
            if content is not None:
                archive.writestr(name, content)
        after(archive)
    return stream.getvalue()


def source(**values: object) -> bytes:
    """Return a bundle with values of its source altered in the list only."""
    return bundle(change=lambda contents: contents["sources"][0].update(values))


def top(**values: object) -> bytes:
    return bundle(change=lambda contents: contents.update(values))


def listing(**values: object) -> bytes:
    content = {"task": "t", "endpoint": "e", "recorded": "r", "model": [], "dataset": []} | values
    return top(listing={key: value for key, value in content.items() if value != "GONE"})


def without(*path: str | int) -> bytes:
    def remove(contents: dict) -> None:
        for step in path[:-1]:
            contents = contents[step]
        del contents[path[-1]]

    return bundle(change=remove)


def odd_member(name: str, content: str = "x", mode: int = 0, **facts: object) -> bytes:
    def add(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        for fact, value in facts.items():
            setattr(info, fact, value)
        archive.writestr(info, content)

    return bundle(after=add)


def flags(bit: int) -> bytes:
    content = bytearray(bundle())
    place = content.rindex(b"PK\x01\x02")
    content[place + 8] |= bit
    return bytes(content)


def sizes(value: int) -> bytes:
    content = bytearray(bundle())
    place = content.rindex(b"PK\x01\x02")
    content[place + 20 : place + 28] = value.to_bytes(4, "little") * 2
    return bytes(content)


#: Name -> content of a bundle that all three refuse.
REFUSED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello",
    "only an end": lambda: b"PK\x05\x06" + bytes(18),
    "ends twice": lambda: bundle() + b"PK\x05\x06" + bytes(18),
    "no members": lambda: bundle({}, members={"bundle.json": None}),
    "no list": lambda: bundle(members={"bundle.json": None}),
    "list no json": lambda: bundle(contents=b"nonsense"),
    "list empty": lambda: bundle(contents=b""),
    "list bytes": lambda: bundle(contents=b"\xff\xfe\x00"),
    "list utf-16": lambda: bundle(contents='{"format": 1}'.encode("utf-16")),
    "list deep": lambda: bundle(contents=DEEP.encode()),
    "list deep inside": lambda: bundle(contents=b'{"format": 1, "listing": null, "sources": ' + DEEP.encode() + b"}"),
    "list unclosed": lambda: bundle(contents=b'{"a":' * 100_000),
    "list digits": lambda: bundle(contents=b'{"format": ' + b"9" * 5000 + b"}"),
    "list of 21 MB": lambda: bundle(contents=b" " * 21_000_000 + b"{}"),
    "list null": lambda: bundle(contents=b"null"),
    "list number": lambda: bundle(contents=b"5"),
    "list array": lambda: bundle(contents=b"[]"),
    "list text": lambda: bundle(contents=b'"x"'),
    "list no keys": lambda: bundle(contents=b"{}"),
    "format two": lambda: top(format=2),
    "format text": lambda: top(format="1"),
    "format true list": lambda: top(format=[1]),
    "no format": lambda: without("format"),
    "no sources": lambda: without("sources"),
    "no listing": lambda: without("listing"),
    "sources null": lambda: top(sources=None),
    "sources text": lambda: top(sources="abc"),
    "sources number": lambda: top(sources=5),
    "sources mapping": lambda: top(sources={"a": 1}),
    "sources of null": lambda: top(sources=[None]),
    "sources of text": lambda: top(sources=["owner/m"]),
    "sources of lists": lambda: top(sources=[[]]),
    "sources empty": lambda: top(sources=[]),
    "source twice": lambda: bundle(change=lambda contents: contents["sources"].append(contents["sources"][0])),
    "more than it holds": lambda: bundle(members={f"model/owner/m/{SHA}/config.json": None}),
    "less than it holds": lambda: bundle(members={f"model/owner/m/{SHA}/README.md": b"x"}),
    "id null": lambda: source(id=None),
    "id number": lambda: source(id=5),
    "id list": lambda: source(id=["owner/m"]),
    "id of dots": lambda: bundle(id="../.."),
    "id absolute": lambda: bundle(id="/etc/x"),
    "id one part": lambda: bundle(id="m"),
    "id three parts": lambda: bundle(id="a/b/c"),
    "id control": lambda: bundle(id="owner/\x1b[2Jm"),
    "id surrogate": lambda: source(id="owner/\ud800"),
    "id long": lambda: source(id="o/" + "x" * 9000),
    "id with revision": lambda: source(id="owner/m@main"),
    "no id": lambda: without("sources", 0, "id"),
    "kind null": lambda: source(kind=None),
    "kind space": lambda: bundle(kind="space"),
    "kind list": lambda: source(kind=["model"]),
    "kind of dots": lambda: bundle(kind=".."),
    "no kind": lambda: without("sources", 0, "kind"),
    "revision null": lambda: source(revision=None),
    "revision number": lambda: source(revision=int("1" * 40)),
    "revision main": lambda: bundle(revision="main"),
    "revision of dots": lambda: bundle(revision="../" + SHA),
    "revision upper": lambda: bundle(revision=SHA.upper()),
    "no revision": lambda: without("sources", 0, "revision"),
    "files null": lambda: source(files=None),
    "files list": lambda: source(files=["config.json", "model.safetensors"]),
    "files text": lambda: source(files="config.json"),
    "files number": lambda: source(files=5),
    "files empty": lambda: source(files={}),
    "no files": lambda: without("sources", 0, "files"),
    "digest null": lambda: source(files={"config.json": None, "model.safetensors": None}),
    "digest number": lambda: source(files={"config.json": 5, "model.safetensors": 6}),
    "digest list": lambda: source(files={"config.json": [], "model.safetensors": {}}),
    "digest short": lambda: source(files={"config.json": "ab", "model.safetensors": "cd"}),
    "file of dots": lambda: bundle({"../model.safetensors": b"x"}),
    "file absolute": lambda: bundle({"/model.safetensors": b"x"}),
    "file deep dots": lambda: bundle({"a/../../../../../marker.model": b"x"}),
    "file backslash": lambda: bundle({"..\\model.safetensors": b"x"}),
    "file drive": lambda: bundle({"C:model.safetensors": b"x"}),
    "file pickle": lambda: bundle({"pytorch_model.bin": b"x"}),
    "file code": lambda: bundle({"modeling.py": b"open('marker', 'w')"}),
    "file hidden": lambda: bundle({".model.safetensors": b"x"}),
    "file manifest": lambda: bundle({".manifest.json": b"{}"}),
    "file line break": lambda: bundle({"model\n.safetensors": b"x"}),
    "member outside": lambda: bundle(members={"../marker": b"x"}),
    "member absolute": lambda: bundle(members={"/marker": b"x"}),
    "member link": lambda: odd_member(f"model/owner/m/{SHA}/README.md", "/etc/passwd", stat.S_IFLNK | 0o777),
    "member device": lambda: odd_member("x", "", stat.S_IFCHR | 0o666),
    "member folder": lambda: odd_member("x/", ""),
    "member twice": lambda: odd_member(f"model/owner/m/{SHA}/config.json", "{}"),
    "member list twice": lambda: odd_member("bundle.json", "{}"),
    "member deflated": lambda: bundle(compression=zipfile.ZIP_DEFLATED),
    "member bzip2": lambda: bundle(compression=zipfile.ZIP_BZIP2),
    "member lzma": lambda: bundle(compression=zipfile.ZIP_LZMA),
    "member encrypted": lambda: flags(1),
    "member patched": lambda: flags(0x20),
    "member huge": lambda: sizes(4_000_000),
    "member of 4 GB": lambda: sizes(0xFFFFFFFE),
    "listing number": lambda: top(listing=5),
    "listing text": lambda: top(listing="x"),
    "listing list": lambda: top(listing=[]),
    "listing no keys": lambda: top(listing={}),
    "listing no model": lambda: listing(model="GONE"),
    "listing model null": lambda: listing(model=None),
    "listing model number": lambda: listing(model=5),
    "listing model text": lambda: listing(model="abc"),
    "listing model of numbers": lambda: listing(model=[1]),
    "listing model of empty": lambda: listing(model=[{}]),
    "listing model more": lambda: listing(model=[{"id": "a/b", "evil": 1}]),
    "listing dataset mapping": lambda: listing(dataset={"a": 1}),
    "cut": lambda: bundle()[:-30],
    "cut in half": lambda: bundle()[: len(bundle()) // 2],
    "begins late": lambda: bytes(100) + bundle(),
    "comment": lambda: bundle(after=lambda archive: setattr(archive, "comment", b"PK\x05\x06" * 10)),
}
#: Those that a bundle may have in front or behind, or that do not matter.
EITHER = {"ends twice", "begins late", "comment", "sources empty", "revision number", "member list twice"}
ALTERED: dict[str, Callable[[], bytes]] = {
    "weights": lambda: bundle(members={f"model/owner/m/{SHA}/model.safetensors": b"weighty"}),
    "config": lambda: bundle(members={f"model/owner/m/{SHA}/config.json": b"[]"}),
    "longer": lambda: bundle(members={f"model/owner/m/{SHA}/config.json": b"{} "}),
    "empty": lambda: bundle(members={f"model/owner/m/{SHA}/config.json": b""}),
}
GOOD: dict[str, Callable[[], bytes]] = {
    "model": bundle,
    "data": lambda: bundle({"train.csv": b"text,label\na,b\n"}, kind="dataset"),
    "in folders": lambda: bundle({"split/train-00000-of-00001.parquet": b"x", "README.md": b"# x"}, kind="dataset"),
    "odd names": lambda: bundle({"größer 1 %20.csv": b"x"}, kind="dataset"),
    "listing": lambda: listing(),
    "dates of 1980": lambda: bundle(members={}),
}


def _use(place: Place, action: str, make: Callable[[], bytes]) -> list[str]:
    return ["bundle", action, place.write("b.zip", make())]


def _flipped(seed: int) -> bytes:
    rng, content = random.Random(seed), bytearray(bundle({"config.json": b"{}", "model.safetensors": bytes(300)}))
    for _ in range(rng.choice([1, 1, 4])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def cases() -> Iterator[Case]:
    for action in ("add", "list", "verify"):
        for name, make in REFUSED.items():
            exits = (0, 2) if name in EITHER else (2,)
            yield Case("bundle", f"{action} {name}", partial(_use, action=action, make=make), exits)
        for name, make in ALTERED.items():
            exits = (2,) if action != "list" else (0, 2)
            yield Case("bundle", f"{action} altered {name}", partial(_use, action=action, make=make), exits)
        for name, make in GOOD.items():
            chosen = partial(_use, action=action, make=make)
            yield Case("goodbundle", f"{action} {name}", chosen, (0,), report=True)
    for seed in range(60):
        action = ("add", "list", "verify")[seed % 3]
        chosen = partial(_use, action=action, make=partial(_flipped, seed))
        yield Case("bundlebytes", f"{seed} {action}", chosen, (0, 2))
