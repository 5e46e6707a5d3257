"""Odd model folders, for prediction and for training."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import CANARY, Case, Place
from .stock import CSV

Mutation = Callable[[Path], object]
#: Exit statuses of a prediction and of a training with a folder.
BOTH, EITHER, PREDICTION, NEITHER = (2, 2), ((0, 2), (0, 2)), (2, (0, 2)), (0, 0)


class Payload:
    """Makes a file named marker when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch marker",)


def config(**values: object) -> Mutation:
    return _edit("config.json", values)


def tokenizer(**values: object) -> Mutation:
    return _edit("tokenizer_config.json", values)


def _edit(name: str, values: dict) -> Mutation:
    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | values
        (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value != "GONE"}))

    return edit


def write(name: str, content: bytes | str) -> Mutation:
    def write(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def remove(*names: str) -> Mutation:
    return lambda folder: [(folder / name).unlink() for name in names]


def link(name: str, target: str) -> Mutation:
    def link(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return link


def weights(change: Callable[[dict], object]) -> Mutation:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors = change(tensors) or tensors
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")

    return edit


def header(content: object, size: int | None = None) -> Mutation:
    """Write a safetensors file with a header of one's own, and a size that may be another than its own."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return write("model.safetensors", struct.pack("<Q", len(text) if size is None else size) + text)


def index(name: str) -> Mutation:
    """Let an index of weights name another file for all of them."""

    def split(folder: Path) -> None:
        names = load_file(folder / "model.safetensors")
        outside = folder.parent / "outside.safetensors"
        shutil.copy(folder / "model.safetensors", outside)
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        place = name.replace("OUTSIDE", str(outside))
        content = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, place)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return split


def index_content(content: str) -> Mutation:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        (folder / "model.safetensors.index.json").write_text(content)

    return change


def code(auto_map: dict, **values: object) -> Mutation:
    def change(folder: Path) -> None:
        (folder / "evil.py").write_text("open('marker', 'w')\nclass Config: pass\nclass Model: pass\n")
        config(auto_map=auto_map, **values)(folder)

    return change


def tokenizer_code(folder: Path) -> None:
    (folder / "evil.py").write_text("open('marker', 'w')\nclass T: pass\n")
    tokenizer(auto_map={"AutoTokenizer": ["evil.T", "evil.T"]}, tokenizer_class="Evil")(folder)


def pickled(name: str, *gone: str) -> Mutation:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(Payload()))
        remove(*gone)(folder)

    return change


def rename_weights(tensors: dict) -> dict:
    return {name.replace("encoder", "blocks"): tensor for name, tensor in tensors.items()}


def filled(value: float, part: str = "") -> Mutation:
    def fill(tensors: dict) -> None:
        for name, tensor in tensors.items():
            if part in name:
                tensor.fill_(value)

    return weights(fill)


def vocabulary(change: Callable[[dict], object]) -> Mutation:
    def edit(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        change(content)
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return edit


ENORMOUS = 10**9
BOTH_AUTO = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
FOLDERS: dict[str, tuple[Mutation, tuple]] = {
    "empty": (lambda folder: [path.unlink() for path in folder.iterdir()], BOTH),
    "no config": (remove("config.json"), BOTH),
    "no weights": (remove("model.safetensors"), BOTH),
    "no tokenizer": (remove("tokenizer.json", "tokenizer_config.json"), BOTH),
    "no tokenizer.json": (remove("tokenizer.json"), BOTH),
    "empty config": (write("config.json", ""), BOTH),
    "config of no keys": (write("config.json", "{}"), BOTH),
    "config list": (write("config.json", "[]"), BOTH),
    "config null": (write("config.json", "null"), BOTH),
    "config number": (write("config.json", "5"), BOTH),
    "config cut": (write("config.json", '{"model_type": "bert"'), BOTH),
    "config bytes": (write("config.json", bytes(range(256))), BOTH),
    "config utf-16": (write("config.json", '{"model_type": "bert"}'.encode("utf-16")), BOTH),
    "config deep": (write("config.json", '{"a":' * 100_000), BOTH),
    "config deep whole": (write("config.json", '{"a":' * 50_000 + "1" + "}" * 50_000), BOTH),
    "config digits": (write("config.json", '{"model_type": "bert", "hidden_size": ' + "9" * 5000 + "}"), BOTH),
    "config surrogate": (config(id2label={"0": "\ud800", "1": "b"}), PREDICTION),
    "config zero": (link("config.json", "/dev/zero"), BOTH),
    "config fifo": (lambda folder: (remove("config.json")(folder), os.mkfifo(folder / "config.json")), BOTH),
    "config folder": (lambda folder: (remove("config.json")(folder), (folder / "config.json").mkdir()), BOTH),
    "config link to itself": (link("config.json", "config.json"), BOTH),
    "no type": (config(model_type="GONE", architectures="GONE"), BOTH),
    "type number": (config(model_type=5), BOTH),
    "type list": (config(model_type=["bert"]), BOTH),
    "type unknown": (config(model_type="evil"), BOTH),
    "type of a path": (config(model_type="../../x"), BOTH),
    "type of pictures": (config(model_type="vit"), BOTH),
    "type of speech": (config(model_type="whisper"), BOTH),
    "type other": (config(model_type="gpt2"), BOTH),
    "type t5": (config(model_type="t5"), BOTH),
    "id2label gap": (config(id2label={"0": "no", "7": "yes"}), PREDICTION),
    "id2label double": (config(id2label={"0": "no", "1": "no"}), PREDICTION),
    "id2label nested": (config(id2label={"0": ["no"], "1": {"a": 1}}), PREDICTION),
    "id2label null": (config(id2label={"0": None, "1": "a"}), PREDICTION),
    "id2label numbers": (config(id2label={"0": 1, "1": 2}), PREDICTION),
    "id2label words as ids": (config(id2label={"a": "no", "b": "yes"}), BOTH),
    "id2label list": (config(id2label=["no", "yes"]), PREDICTION),
    "id2label text": (config(id2label="no"), BOTH),
    "id2label empty": (config(id2label={}), PREDICTION),
    "id2label huge id": (config(id2label={"0": "a", "9" * 5000: "b"}), BOTH),
    "id2label negative": (config(id2label={"-1": "no", "0": "yes"}), PREDICTION),
    "id2label three": (config(id2label={"0": "a", "1": "b", "2": "c"}), PREDICTION),
    "id2label control": (config(id2label={"0": "a\x1b[2J", "1": "b\nc"}), ((0, 2), (0, 2))),
    "id2label blank": (config(id2label={"0": "", "1": " "}), ((0, 2), (0, 2))),
    "id2label text twice": (config(id2label={"0": "text", "1": "label"}), EITHER),
    "labels regression": (config(problem_type="regression"), PREDICTION),
    "labels several": (config(problem_type="multi_label_classification"), PREDICTION),
    "problem unknown": (config(problem_type="evil"), EITHER),
    "num_labels text": (config(num_labels="two", id2label="GONE", label2id="GONE"), BOTH),
    "num_labels enormous": (config(num_labels=ENORMOUS, id2label="GONE", label2id="GONE"), PREDICTION),
    "num_labels negative": (config(num_labels=-1, id2label="GONE", label2id="GONE"), PREDICTION),
    "guards number": (config(guards=5), EITHER),
    "guards text": (config(guards="all good"), EITHER),
    "guards numbers": (config(guards=[1, None]), EITHER),
    "guards mapping": (config(guards={"a": 1}), EITHER),
    "guards control": (config(guards=["\x1b[2J\x00red\nTraceback"]), EITHER),
    "guards long": (config(guards=["x" * 100_000]), EITHER),
    "hidden enormous": (config(hidden_size=ENORMOUS), BOTH),
    "hidden large": (config(hidden_size=100_000), BOTH),
    "hidden zero": (config(hidden_size=0), BOTH),
    "hidden negative": (config(hidden_size=-8), BOTH),
    "hidden text": (config(hidden_size="eight"), BOTH),
    "hidden null": (config(hidden_size=None), BOTH),
    "hidden fraction": (config(hidden_size=8.5), BOTH),
    "hidden nan": (config(hidden_size=float("nan")), BOTH),
    "hidden other": (config(hidden_size=16), BOTH),
    "layers enormous": (config(num_hidden_layers=ENORMOUS), BOTH),
    "layers many": (config(num_hidden_layers=100_000), BOTH),
    "layers more": (config(num_hidden_layers=3), BOTH),
    "layers zero": (config(num_hidden_layers=0), EITHER),
    "layers negative": (config(num_hidden_layers=-1), EITHER),
    "heads zero": (config(num_attention_heads=0), BOTH),
    "heads three": (config(num_attention_heads=3), BOTH),
    "heads enormous": (config(num_attention_heads=ENORMOUS), BOTH),
    "vocabulary enormous": (config(vocab_size=ENORMOUS), BOTH),
    "vocabulary huge": (config(vocab_size=10**30), BOTH),
    "vocabulary zero": (config(vocab_size=0), BOTH),
    "vocabulary negative": (config(vocab_size=-5), BOTH),
    "vocabulary text": (config(vocab_size="many"), BOTH),
    "vocabulary list": (config(vocab_size=[30]), BOTH),
    "vocabulary small": (config(vocab_size=10), BOTH),
    "intermediate enormous": (config(intermediate_size=ENORMOUS), BOTH),
    "positions enormous": (config(max_position_embeddings=ENORMOUS), BOTH),
    "positions zero": (config(max_position_embeddings=0), BOTH),
    "positions negative": (config(max_position_embeddings=-1), BOTH),
    "positions text": (config(max_position_embeddings="x"), BOTH),
    "positions other": (config(max_position_embeddings=64), BOTH),
    "types zero": (config(type_vocab_size=0), BOTH),
    "activation unknown": (config(hidden_act="evil"), BOTH),
    "activation list": (config(hidden_act=["gelu"]), BOTH),
    "dropout above one": (config(hidden_dropout_prob=5, classifier_dropout=7), EITHER),
    "dropout text": (config(hidden_dropout_prob="much"), EITHER),
    "epsilon text": (config(layer_norm_eps="small"), BOTH),
    "dtype unknown": (config(dtype="evil"), EITHER),
    "dtype list": (config(dtype=[1]), EITHER),
    "pad null": (config(pad_token_id=None), EITHER),
    "pad outside": (config(pad_token_id=10_000), EITHER),
    "pad text": (config(pad_token_id="x"), EITHER),
    "quantized": (config(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}), BOTH),
    "quantized unknown": (config(quantization_config={"quant_method": "evil"}), EITHER),
    "quantized text": (config(quantization_config="x"), EITHER),
    "attention unknown": (config(attn_implementation="evil", _attn_implementation="evil"), EITHER),
    "attention kernel": (config(attn_implementation="evil/kernel", _attn_implementation="evil/kernel"), EITHER),
    "other name": (config(_name_or_path="/etc/passwd"), NEITHER),
    "code": (code(BOTH_AUTO, model_type="evil"), BOTH),
    "code of a known type": (code(BOTH_AUTO), EITHER),
    "code elsewhere": (code({"AutoConfig": "owner/repo--evil.Config"}, model_type="evil"), BOTH),
    "code above": (code({"AutoConfig": "../evil.Config"}, model_type="evil"), BOTH),
    "code list": (code({"AutoConfig": ["evil.Config"]}, model_type="evil"), BOTH),
    "code text": (code("evil"), EITHER),  # type: ignore[arg-type]
    "code of a tokenizer": (tokenizer_code, EITHER),
    "code trusted": (code(BOTH_AUTO, model_type="evil", trust_remote_code=True), BOTH),
    "pickle instead": (pickled("pytorch_model.bin", "model.safetensors"), BOTH),
    "pickle named safetensors": (pickled("model.safetensors"), BOTH),
    "pickle beside": (pickled("pytorch_model.bin"), NEITHER),
    "pickle of arguments": (pickled("training_args.bin"), NEITHER),
    "header empty": (write("model.safetensors", b""), BOTH),
    "header short": (write("model.safetensors", b"\x08\0\0"), BOTH),
    "header huge": (header({}, 2**63), BOTH),
    "header of 100 GB": (header({}, 10**11), BOTH),
    "header beyond": (header({}, 5000), BOTH),
    "header no json": (header(b"nonsense"), BOTH),
    "header list": (header([1]), BOTH),
    "header nothing": (header({}), BOTH),
    "header deep": (header(b'{"a":' * 100_000), BOTH),
    "header tensor beyond": (header({"a": {"dtype": "F32", "shape": [10**6], "data_offsets": [0, 4 * 10**6]}}), BOTH),
    "header shape": (header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}), BOTH),
    "header negative": (header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}), BOTH),
    "header dtype": (header({"a": {"dtype": "EVIL", "shape": [1], "data_offsets": [0, 4]}}), BOTH),
    "weights of lines": (write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0"), BOTH),
    "weights zero": (link("model.safetensors", "/dev/zero"), BOTH),
    "weights renamed": (weights(rename_weights), BOTH),
    "weights none": (weights(lambda tensors: {"a": torch.zeros(1)}), BOTH),
    "weights without embeddings": (weights(lambda t: {n: w for n, w in t.items() if "embed" not in n}), BOTH),
    "weights without a head": (weights(lambda t: {n: w for n, w in t.items() if "classifier" not in n}), (2, 0)),
    "weights nan": (filled(float("nan")), BOTH),
    "weights infinite": (filled(float("inf")), BOTH),
    "weights nan in one layer": (filled(float("nan"), "layer.1.output"), BOTH),
    "weights nan in the head": (filled(float("nan"), "classifier"), PREDICTION),
    "weights huge": (filled(3e38), PREDICTION),
    "weights whole numbers": (weights(lambda t: {n: w.to(torch.int64) for n, w in t.items()}), EITHER),
    "weights complex": (weights(lambda t: {n: w.to(torch.complex64) for n, w in t.items()}), EITHER),
    "weights bf16": (weights(lambda t: {n: w.bfloat16() for n, w in t.items()}), NEITHER),
    "weights fp16": (weights(lambda t: {n: w.half() for n, w in t.items()}), NEITHER),
    "weights fp64": (weights(lambda t: {n: w.double() for n, w in t.items()}), NEITHER),
    "weights more": (weights(lambda t: t | {"more": torch.zeros(3)}), NEITHER),
    "index above": (index("../outside.safetensors"), BOTH),
    "index absolute": (index("OUTSIDE"), BOTH),
    "index here": (index("model-00001-of-00001.safetensors"), NEITHER),
    "index missing file": (index("model-00002-of-00002.safetensors"), BOTH),
    "index number": (index_content('{"metadata": {}, "weight_map": {"a": 5}}'), BOTH),
    "index list": (index_content("[]"), BOTH),
    "index empty": (index_content(""), BOTH),
    "index no map": (index_content("{}"), BOTH),
    "index null map": (index_content('{"metadata": null, "weight_map": null}'), BOTH),
    "index deep": (index_content('{"a":' * 100_000), BOTH),
    "index pickle": (index_content('{"metadata": {}, "weight_map": {"a": "pytorch_model.bin"}}'), BOTH),
    "length text": (tokenizer(model_max_length="long"), EITHER),
    "length zero": (tokenizer(model_max_length=0), EITHER),
    "length negative": (tokenizer(model_max_length=-1), EITHER),
    "length one": (tokenizer(model_max_length=1), EITHER),
    "length huge": (tokenizer(model_max_length=10**30), NEITHER),
    "length null": (tokenizer(model_max_length=None), EITHER),
    "length list": (tokenizer(model_max_length=[5]), EITHER),
    "length fraction": (tokenizer(model_max_length=5.5), EITHER),
    "length nan": (tokenizer(model_max_length=float("nan")), EITHER),
    "length digits": (write("tokenizer_config.json", '{"model_max_length": ' + "9" * 5000 + "}"), BOTH),
    "tokenizer class number": (tokenizer(tokenizer_class=5), EITHER),
    "tokenizer class unknown": (tokenizer(tokenizer_class="EvilTokenizer"), EITHER),
    "tokenizer pad null": (tokenizer(pad_token=None), EITHER),
    "tokenizer pad gone": (tokenizer(pad_token="GONE"), EITHER),
    "tokenizer pad number": (tokenizer(pad_token=5), EITHER),
    "tokenizer pad new": (tokenizer(pad_token="[NEW]"), EITHER),
    "tokenizer left": (tokenizer(padding_side="left"), NEITHER),
    "tokenizer side": (tokenizer(padding_side="up"), EITHER),
    "tokenizer cuts on the left": (tokenizer(truncation_side="left"), NEITHER),
    "tokenizer config list": (write("tokenizer_config.json", "[]"), EITHER),
    "tokenizer config empty": (write("tokenizer_config.json", ""), BOTH),
    "tokenizer config deep": (write("tokenizer_config.json", '{"a":' * 100_000), BOTH),
    "tokenizer empty": (write("tokenizer.json", ""), BOTH),
    "tokenizer no keys": (write("tokenizer.json", "{}"), BOTH),
    "tokenizer list": (write("tokenizer.json", "[]"), BOTH),
    "tokenizer deep": (write("tokenizer.json", '{"a":' * 100_000), BOTH),
    "tokenizer zero": (link("tokenizer.json", "/dev/zero"), BOTH),
    "tokenizer model": (vocabulary(lambda content: content.update(model={"type": "Evil"})), BOTH),
    "tokenizer null model": (vocabulary(lambda content: content.update(model=None)), BOTH),
    "tokenizer no words": (vocabulary(lambda content: content["model"].update(vocab={})), BOTH),
    "tokenizer ids outside": (vocabulary(lambda content: content["model"]["vocab"].update(good=10_000)), BOTH),
    "tokenizer ids huge": (vocabulary(lambda content: content["model"]["vocab"].update(good=2**31)), BOTH),
    "tokenizer ids twice": (vocabulary(lambda content: content["model"]["vocab"].update(good=7, bad=7)), EITHER),
    "tokenizer no unknown": (vocabulary(lambda content: content["model"].pop("unk_token")), EITHER),
    "tokenizer unknown missing": (vocabulary(lambda content: content["model"].update(unk_token="[NO]")), EITHER),
    "tokenizer processor": (vocabulary(lambda content: content.update(post_processor={"type": "Evil"})), BOTH),
    "tokenizer fixed cut": (vocabulary(lambda content: content.update(truncation={"max_length": -1})), EITHER),
    "tokenizer pattern": (
        vocabulary(lambda content: content.update(normalizer={"type": "Replace", "pattern": {"Regex": "("}})),
        BOTH,
    ),
    "template of a chat": (
        write("chat_template.jinja", "{{ ''.__class__.__mro__ }}{% for x in range(9**9) %}"),
        EITHER,
    ),
    "generation config": (write("generation_config.json", "[" * 50_000), EITHER),
    "card of nonsense": (
        write("README.md", b"---\n!!python/object/apply:os.system ['touch marker']\n---\n\xff"),
        NEITHER,
    ),
}


def _use(place: Place, mutate: Mutation, train: bool) -> list[str]:
    folder = place.given / "model"
    shutil.copytree(place.stock / "model", folder)
    mutate(folder)
    place.write("t.csv", CSV)
    if train:
        return ["run", "02", "-p", "dataset", "given/t.csv", "-p", "model", str(folder), "--out", "out"]
    return ["predict", str(folder), "given/t.csv", "-o", "out/o.csv"]


def _random(seed: int) -> Mutation:
    """Return a mutation that alters a few bytes of one of the files, at random but always the same ones."""

    def change(folder: Path) -> None:
        rng = random.Random(seed)
        file = rng.choice(sorted(folder.iterdir()))
        content = bytearray(file.read_bytes())
        for _ in range(rng.choice([1, 1, 3, 20])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        file.write_bytes(content)

    return change


def _nonsense(seed: int) -> Mutation:
    """Return a mutation that gives keys of the two configs values of other types."""

    def change(folder: Path) -> None:
        rng = random.Random(seed)
        odd = [None, True, -1, 0, 10**6, 1.5, "x", "", [], [1], {}, {"a": 1}, "9" * 50]
        name = rng.choice(["config.json", "config.json", "tokenizer_config.json"])
        keys = sorted(json.loads((folder / name).read_text()))
        _edit(name, {key: rng.choice(odd) for key in rng.sample(keys, rng.choice([1, 1, 1, 3]))})(folder)

    return change


def cases() -> Iterator[Case]:
    for name, (mutate, expected) in FOLDERS.items():
        for train, status in zip((False, True), expected):
            exits = status if isinstance(status, tuple) else (status,)
            kind = "goodmodel" if exits == (0,) else "model"
            verb = "train" if train else "predict"
            yield Case(kind, f"{verb} {name}", partial(_use, mutate=mutate, train=train), exits)
    for seed in range(60):
        for kind, mutate in (("modelbytes", _random(seed)), ("modelkeys", _nonsense(seed))):
            yield Case(kind, str(seed), partial(_use, mutate=mutate, train=seed % 3 == 0), (0, 2))
    yield Case("model", "secret in its name", _secret)


def _secret(place: Place) -> list[str]:
    place.write("t.csv", CSV)
    return ["predict", f"models:/m/1?token={CANARY}", "given/t.csv", "-o", "out/o.csv", "--tracking-uri", "out"]
