"""A small Hugging Face Hub on 127.0.0.1 for tests: it serves repositories given as dicts and remembers what was asked.

with StandInHub([repository("model", "owner/name", {"config.json": b"{}"})]) as standin:
    standin.fail("model.safetensors", "reset", times=1)  # a fault on demand, see FAULTS
    ...  # standin.address is what HF_ENDPOINT would be; standin.requests what was asked of it
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import pandas as pd

from textlab import hub

PAGE = 2  # entries of a list in one answer; the next ones stand behind a Link header
#: What may go wrong with an answer. reset: half of it, then the connection breaks; truncated: half of it, as a whole;
#: altered: one byte changed; hang: none; slow: in ten pieces, a second in all; busy: 503; wait: 429 with Retry-After.
FAULTS = ("reset", "truncated", "altered", "hang", "slow", "busy", "wait")
EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")


class StandInHub:
    """The server, as a context manager.

    Args:
        repositories: dicts as `repository` makes them; they may be changed while it serves.
    """

    def __init__(self, repositories: Sequence[dict] = ()) -> None:
        self.repositories = list(repositories)
        self.requests: list[str] = []  # "METHOD /path", in the order in which they came
        self.ranges: list[str] = []  # Range headers, likewise
        self.token = ""  # with it, gated repositories open, and pushing is allowed
        self.faults: list[dict] = []
        self.stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.standin = self
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StandInHub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, path: str, fault: str, times: int = 1000, seconds: int = 1) -> None:
        """Spoil the next answers to requests whose "METHOD /path" contains `path`; `seconds` is for Retry-After."""
        assert fault in FAULTS
        self.faults.append({"path": path, "fault": fault, "times": times, "seconds": seconds})

    def fault_for(self, request: str) -> dict | None:
        """Return the fault of a request, used up by it, or None."""
        for fault in self.faults:
            if fault["path"] in request and fault["times"] > 0:
                fault["times"] -= 1
                return fault
        return None

    def downloads(self) -> list[str]:
        """Return the names of the files that were downloaded, sorted."""
        return sorted(
            request.split("/resolve/")[1].split("/", 1)[1]
            for request in self.requests
            if request.startswith("GET ") and "/resolve/" in request
        )


class _Refusal(Exception):
    """An answer other than 200: status and X-Error-Code."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer any request, or fail as a test asked for."""
        standin = self.server.standin
        url = urlsplit(self.path)
        request = f"{self.command} {unquote(url.path)}"
        standin.requests.append(request)
        standin.ranges += [self.headers["Range"]] if "Range" in self.headers else []
        size = int(self.headers.get("Content-Length", 0))
        body = (
            self.rfile.read(size).decode()
            if size or "chunked" not in self.headers.get("Transfer-Encoding", "")
            else self._chunks()
        )
        self._fault = standin.fault_for(request) or {"fault": ""}
        try:
            if self._fault["fault"] == "hang":
                standin.stopped.wait(30)
                self.close_connection = True
                return
            if self._fault["fault"] in ("busy", "wait"):
                busy = self._fault["fault"] == "busy"
                return self._send(
                    503 if busy else 429, b"", {} if busy else {"Retry-After": str(self._fault["seconds"])}
                )
            self._route([unquote(part) for part in url.path.split("/")[1:]], parse_qs(url.query), body)
        except _Refusal as refusal:
            status, code = refusal.args
            self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    do_HEAD = do_POST = do_GET

    def _chunks(self) -> str:
        """Return a body that was sent in chunks."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body.decode()

    def _allowed(self) -> bool:
        token = self.server.standin.token
        return bool(token) and self.headers.get("Authorization") == f"Bearer {token}"

    def _route(self, parts: list[str], query: dict, body: str) -> None:
        form = parse_qs(body)
        match parts:
            case [""]:
                self._send(200, b"")
            case ["api", "repos", "create"]:
                self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            case ["api", "models" | "spaces", owner, name, "preupload", "main"]:
                self._json(
                    {
                        "files": [
                            {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                            for file in json.loads(body)["files"]
                        ]
                    }
                )
            case ["api", "models" | "spaces" as plural, owner, name, "commit", "main"]:
                self._commit(self._find(plural[:-1], owner, name), [json.loads(line) for line in body.splitlines()])
            case ["api", "models" | "datasets" as plural]:
                self._list(plural[:-1], query)
            case ["api", "models" | "datasets" | "spaces" as plural, owner, name, *rest]:
                repo = self._find(plural[:-1], owner, name)
                self._api(repo, *rest, paths=form.get("paths"), recursive=query.get("recursive") == ["true"])
            case ["datasets", owner, name, "resolve", revision, *path]:
                self._file(self._find("dataset", owner, name), revision, "/".join(path))
            case [owner, name, "resolve", revision, *path]:
                self._file(self._find("model", owner, name), revision, "/".join(path))
            case _:
                raise _Refusal(404, "NotFound")

    def _find(self, kind: str, owner: str, name: str) -> dict:
        for repo in self.server.standin.repositories:
            if (repo["kind"], repo["id"]) == (kind, f"{owner}/{name}"):
                return repo
        raise _Refusal(404, "RepoNotFound")

    def _create(self, wanted: dict) -> None:
        if not self._allowed():
            raise _Refusal(401, "")
        self.server.standin.repositories.append(
            repository(
                wanted.get("type", "model"),
                f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"],
                {},
            )
            | {"private": wanted.get("private") or wanted.get("visibility") == "private", "sdk": wanted.get("sdk")}
        )
        self._json({"url": f"{self.server.standin.address}/{self.server.standin.repositories[-1]['id']}"})

    def _commit(self, repo: dict, lines: list[dict]) -> None:
        if not self._allowed():
            raise _Refusal(403, "")
        gone = {line["value"]["path"] for line in lines if line["key"] == "deletedFile"}
        repo["files"] = {path: content for path, content in repo["files"].items() if path not in gone} | {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        self._json(
            {"commitUrl": f"{self.server.standin.address}/{repo['id']}/commit/{repo['sha']}", "commitOid": repo["sha"]}
        )

    def _list(self, kind: str, query: dict) -> None:
        wanted = {*query.get("pipeline_tag", []), *query.get("filter", [])}
        found = [
            repo for repo in self.server.standin.repositories if repo["kind"] == kind and wanted <= set(repo["tags"])
        ]
        found.sort(key=lambda repo: repo[query.get("sort", ["downloads"])[0]], reverse=True)
        start = int(query.get("cursor", ["0"])[0])
        following = urlencode(query | {"cursor": start + PAGE}, doseq=True)
        link = {"Link": f'<{self.server.standin.address}/api/{kind}s?{following}>; rel="next"'}
        self._json([_info(repo) for repo in found[start : start + PAGE]], link if len(found) > start + PAGE else {})

    def _api(
        self,
        repo: dict,
        what: str = "revision",
        revision: str = "main",
        *folder: str,
        paths: list[str] | None,
        recursive: bool,
    ) -> None:
        _check(repo, revision)
        if what == "revision":
            self._json(_info(repo))
        elif what == "tree":
            self._json(_tree(repo, "/".join(folder), recursive))
        elif what == "paths-info":
            self._json([entry for entry in _tree(repo, "", recursive=True) if entry["path"] in paths])
        else:
            raise _Refusal(404, "NotFound")

    def _file(self, repo: dict, revision: str, path: str) -> None:
        _check(repo, revision)
        if repo["gated"] and not self._allowed():  # its page and its list of files are public, its files are not
            raise _Refusal(401, "GatedRepo")
        if path not in repo["files"]:
            raise _Refusal(404, "EntryNotFound")
        content = repo["files"][path]
        headers = {
            "X-Repo-Commit": repo["sha"],
            "ETag": f'"{_lfs_digest(path, content) or _blob_id(content)}"',
            "Accept-Ranges": "bytes",
        }
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._send(206, content[start : end + 1], headers)
        else:
            self._send(200, content, headers)

    def _json(self, answer: dict | list, headers: dict[str, str] | None = None) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if self._fault["fault"] == "altered":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if self._fault["fault"] == "truncated":
            body = body[: len(body) // 2]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self._fault["fault"] == "reset":
            self.wfile.write(body[: len(body) // 2])
            time.sleep(0.1)  # else what was sent is dropped too
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        pieces = 10 if self._fault["fault"] == "slow" else 1
        for piece in range(pieces):
            time.sleep(0.1 * (pieces > 1))
            self.wfile.write(body[len(body) * piece // pieces : len(body) * (piece + 1) // pieces])

    def log_message(self, *_) -> None:
        """Stay quiet."""


def _check(repo: dict, revision: str) -> None:
    if revision not in ("main", repo["sha"]):
        raise _Refusal(404, "RevisionNotFound")


def _info(repo: dict) -> dict:
    public = {key: repo[key] for key in ("id", "sha", "tags", "downloads", "likes", "lastModified", "gated")}
    public |= {"cardData": repo["card"]} | ({"mainSize": repo["size"]} if repo["size"] else {})
    if repo["kind"] == "model":
        public |= {"pipeline_tag": repo["tags"][0] if repo["tags"] else None, "model-index": repo["index"]}
    if repo["weights"] and repo["kind"] == "model":
        public["safetensors"] = {"parameters": {"F32": repo["weights"]}, "total": repo["weights"]}
    return public | {"private": repo["private"], "siblings": [{"rfilename": name} for name in repo["files"]]}


def _tree(repo: dict, folder: str, recursive: bool) -> list[dict]:
    """Return the files below a folder, and the folders that they lie in, as the Hub lists them."""
    prefix = f"{folder}/" if folder else ""
    inside = {name: content for name, content in repo["files"].items() if name.startswith(prefix)}
    folders = {
        name[: match.start()] for name in inside for match in re.finditer("/", name) if match.start() > len(prefix)
    }
    entries = [
        {"type": "directory", "path": path, "oid": _blob_id(path.encode()), "size": 0} for path in sorted(folders)
    ]
    entries += [
        {"type": "file", "path": name, "oid": _blob_id(content), "size": len(content)}
        | (
            {"lfs": {"oid": lfs, "size": len(content), "pointerSize": 130}}
            if (lfs := _lfs_digest(name, content))
            else {}
        )
        for name, content in inside.items()
    ]
    return [entry for entry in entries if recursive or "/" not in entry["path"].removeprefix(prefix)]


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _lfs_digest(name: str, content: bytes) -> str:
    """Return the SHA-256 of a file that the Hub would keep as a large one, else an empty string."""
    return hashlib.sha256(content).hexdigest() if name.endswith((".safetensors", ".parquet")) else ""


def repository(
    kind: str,
    name: str,
    files: dict[str, bytes],
    *,
    tags: Sequence[str] = (),
    downloads: int = 0,
    likes: int = 0,
    modified: str = "2024-01-01",
    gated: bool = False,
    weights: int = 0,
    size: int = 0,
    card: dict | None = None,
    index: list | None = None,
) -> dict:
    """Return a repository of kind `model`, `dataset` or `space`; its revision is a digest of its name and file names.

    `weights` is a number of parameters, `size` in bytes, `card` the metadata of the card and `index` its model-index.
    """
    return {
        "kind": kind,
        "id": name,
        "sha": hashlib.sha1(" ".join([kind, name, *files]).encode()).hexdigest(),
        "files": files,
        "weights": weights,
        "size": size,
        "card": card or {},
        "index": index,
        "private": False,
        "tags": list(tags),
        "downloads": downloads,
        "likes": likes,
        "lastModified": f"{modified}T00:00:00.000Z",
        "gated": "manual" if gated else False,
    }


def tiny_model(name: str, **more) -> dict:
    """Return a repository with the BERT of `model: tiny`, and what repositories hold besides: pickles, code."""
    folder = hub.resolve_model("tiny").path
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    unwanted = ["pytorch_model.bin", "tf_model.h5", "vocab.pkl", "modeling_custom.py", "onnx/model.onnx"]
    files |= {"README.md": b"# Tiny\n\nA tiny model.\n"} | dict.fromkeys(unwanted, b"no")
    return repository("model", name, files, **more)


def emotion_data(name: str, labels: Sequence[str] = EMOTIONS, **more) -> dict:
    """Return a data set made like dair-ai/emotion: 10 rows a label for training, 2 for each other split, as parquet.

    The labels are integers in the files; their names stand in the card only.
    """

    def parquet(split: str, rows: int) -> bytes:
        codes = [label for label in range(len(labels)) for _ in range(rows)]
        texts = [f"{split} text {i} about {labels[code]}" for i, code in enumerate(codes)]
        stream = io.BytesIO()
        pd.DataFrame({"text": texts, "label": codes}).to_parquet(stream)
        return stream.getvalue()

    rows = {"train": 10, "validation": 2, "test": 2}
    names = "".join(f"          '{i}': {label}\n" for i, label in enumerate(labels))
    features = (
        "  features:\n  - name: text\n    dtype: string\n"
        f"  - name: label\n    dtype:\n      class_label:\n        names:\n{names}"
    )
    paths = "".join(f"  - split: {split}\n    path: split/{split}-*\n" for split in rows)
    card = (
        f"---\nlicense: other\ndataset_info:\n- config_name: split\n{features}- config_name: unsplit\n{features}"
        f"configs:\n- config_name: split\n  data_files:\n{paths}  default: true\n"
        "- config_name: unsplit\n  data_files:\n  - split: train\n    path: unsplit/train-*\n---\n"
        "# Emotion\n\nEnglish messages with six basic emotions.\n"
    )
    files = {f"split/{split}-00000-of-00001.parquet": parquet(split, count) for split, count in rows.items()}
    return repository(
        "dataset",
        name,
        {
            "README.md": card.encode(),
            "convert.py": b"raise SystemExit('code ran')",
            **files,
            "unsplit/train-00000-of-00001.parquet": parquet("all", 3),
        },
        **more,
    )
