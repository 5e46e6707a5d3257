"""Odd parameters: on the command line and in params files; odd verbs, addresses and output folders."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from textlab.settings import parameters

from . import CANARY, Case, Place

DIGITS = "9" * 5000
#: Type -> what is no value of that type, as one writes it after `-p name`.
WRONG = {
    int: ["abc", "1.5", ".nan", ".inf", "1e999", "true", "[1]", "{a: 1}", "0b_", "0x_", "9" * 400, DIGITS, "-" + DIGITS]
    + ["1_", "0o7", "½", "1,5", "1 2", "--", "1:" + "99:" * 2000 + "1", "!!int x", "&a", "*a", "\udcff", "=", "<<"],
    float: ["abc", ".nan", "nan", "-.inf", "1e999", "true", "[0.1]", "{a: 1}", "9" * 400, DIGITS, "0x_", "1,5", "5e"]
    + ["1e5e5", "0b_", "1:" + "59:" * 5000 + "1", "!!float x", "1e" + DIGITS, "\udcff", "%", "'"],
    bool: ["yes", "no", "on", "1", "0", "maybe", "[true]", "tRUE", "{}", "null null", "\udcff"],
    list: [
        "5",
        "{1: 2}",
        "[[1]]",
        "[1.5, x]",
        "[true]",
        "[",
        "[1",
        "]" * 3,
        "[" * 3000,
        "[null]",
        "[&a [*a]]",
        "\udcff",
    ],
    dict: ["[1]", "text", "{nonsense: 1}", "{1: 2}", "{[a]: 1}", "{{a: 1}: 2}", "{null: 1}", "{true: 1}", "{a: 1", "5"]
    + ["{? [1, 2] : 3}", "{a: &x [*x]}", "{" * 3000, "{a: 1, a: 2}", "{!!binary aGk=: 1}", "{\udcff: 1}", '{"\\0": 1}'],
}
#: Values of mappings that are not accepted.
SPACES = [
    "{}",
    "{learning_rate: []}",
    "{learning_rate: {}}",
    "{learning_rate: {low: 1}}",
    "{learning_rate: {low: 1, high: 0}}",
    "{learning_rate: {low: a, high: b}}",
    "{learning_rate: {low: 0, high: 1, log: true}}",
    "{learning_rate: {low: [1], high: {a: 1}}}",
    "{learning_rate: [1e-4, 1e-4]}",
    "{learning_rate: [[1e-4], [1e-3]]}",
    "{learning_rate: [{a: 1}]}",
    "{learning_rate: [null]}",
    "{learning_rate: .nan}",
    "{learning_rate: {low: .nan, high: .nan}}",
    "{learning_rate: {low: 1e-4, high: 1e-3, step: 0}}",
    "{learning_rate: {low: 1e-4, high: 1e-3, log: maybe}}",
    "{learning_rate: {choices: 5}}",
    "{learning_rate: {choices: [1e-4], low: 1}}",
    "{learning_rate: {choices: [1e-4], when: {}}}",
    "{learning_rate: {choices: [1e-4], when: []}}",
    "{learning_rate: {choices: [1e-4], when: {learning_rate: 1e-4}}}",
    "{learning_rate: {choices: [1e-4], when: {epochs: 3}}}",
    "{learning_rate: {choices: [1e-4], when: {epochs: []}}, epochs: [1, 2]}",
    "{learning_rate: {choices: [1e-4], when: {epochs: {a: 1}}}, epochs: [1, 2]}",
    "{a: {choices: [1], when: {b: 1}}, b: {choices: [1], when: {a: 1}}}",
    "{epochs: {choices: [1], when: {batch_size: 1}}, batch_size: {choices: [1], when: {epochs: 1}}}",
    "{dataset: [a, b]}",
    "{seed: [1, 2]}",
    "{5: [1, 2]}",
    "{null: [1, 2]}",
    "{[epochs]: [1, 2]}",
    "{epochs: [1.5]}",
    "{epochs: {low: 1, high: " + DIGITS + "}}",
    "{epochs: {low: 1, high: 3, step: 0.5}}",
    "{dropout: {low: 0, high: 1}}",
    "{attention: [flash]}",
    "{attention: {low: a, high: b}}",
    "{epochs: [1, 2], epochs: [3]}",
]
OPTIONS = [
    "{sampler: best}",
    "{sampler: [tpe]}",
    "{sampler: null}",
    "{parallel: 0}",
    "{parallel: two}",
    "{parallel: 1e9}",
    "{max_minutes: 0}",
    "{max_minutes: .inf}",
    "{confirm_top: -1}",
    "{confirm_seeds: 1.5}",
    "{trial_cpus: 0}",
    "{trial_gpus: -1}",
    "{trial_gpus: .nan}",
    "{pruner: {a: 1}}",
    "{storage: 5}",
    "{storage: [a]}",
    "{Sampler: tpe}",
]
#: Addresses with a secret in them; the first three in a sweep's options too.
SECRETS = [
    f"http://user:{CANARY}@127.0.0.1:9",
    f"http://user:p@{CANARY}@127.0.0.1:9",
    f"postgresql://user:{CANARY}@127.0.0.1/db",
    f"http://{CANARY}@127.0.0.1:9",
    f"http://user:a/{CANARY}@127.0.0.1:9",
    f"http://127.0.0.1:9/?token={CANARY}",
    f"http://127.0.0.1:9/#access_token={CANARY}",
    f"databricks://profile:{CANARY}@host",
    f"HTTP://user:{CANARY}@127.0.0.1:9",
    f"postgresql+psycopg://user:{CANARY}@127.0.0.1/db?sslmode=no",
    f"mysql://user:{CANARY}%40x@127.0.0.1/db",
    f"http://user:{CANARY}@[::1]:9",
    f"http://user:{CANARY}@[bad",
    f"http://user:{CANARY}@127.0.0.1:99999999",
    f"http:user:{CANARY}@127.0.0.1:9",
    f"//user:{CANARY}@127.0.0.1:9",
    f"http://user\n:{CANARY}@127.0.0.1:9",
]
#: Content of a params file for notebook 2 that is not accepted.
FILES: dict[str, str | bytes] = {
    "latin-1": "dataset: Müll.csv".encode("latin-1"),
    "utf-16": "epochs: 3".encode("utf-16"),
    "utf-32": "epochs: 3".encode("utf-32"),
    "binary": bytes(range(256)),
    "nul": b"epochs: \x003",
    "only nul": bytes(1000),
    "control characters": "dataset: \x1b[31mred",
    "escaped nul": 'dataset: "a\\0b.csv"',
    "escaped control": 'dataset: "\\e[2Jgone.csv"',
    "lone surrogate": 'dataset: "\\ud800.csv"',
    "surrogate bytes": b"dataset: \xed\xa0\x80",
    "twice": "epochs: 1\nepochs: 2",
    "tab": "recipe_options:\n\tdropout: true",
    "unclosed quote": 'dataset: "a',
    "unclosed list": "seeds: [1, 2",
    "list on top": "- epochs: 3",
    "text on top": "epochs 3",
    "number on top": "5",
    "two documents": "epochs: 3\n---\nepochs: 4",
    "directive": "%YAML 9.9\n---\nepochs: 3",
    "list key": "[epochs]: 3",
    "mapping key": "{epochs: 1}: 3",
    "null key": "null: 3",
    "number key": "5: 3",
    "deep key": "? [[[a]]]\n: 3",
    "key of 5000 digits": f"{DIGITS}: 3",
    "inner list key": "recipe_options: {[dropout]: true}",
    "inner mapping key": "recipe_options: {{a: b}: true}",
    "inner number key": "recipe_options: {3: true}",
    "anchor that holds itself": "recipe_options: &a {x: *a}",
    "list that holds itself": "seeds: &a [*a]",
    "unknown alias": "epochs: *nowhere",
    "merge": "recipe_options: {<<: {dropout: true}}",
    "merge of a number": "<<: 5",
    "laughs": "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm")),
    "python tag": "dataset: !!python/object/apply:os.system ['touch marker']",
    "python name": "dataset: !!python/name:os.system",
    "python new": "dataset: !!python/object/new:os.system ['touch marker']",
    "set tag": "seeds: !!set {1, 2}",
    "binary tag": "dataset: !!binary aGk=",
    "omap tag": "recipe_options: !!omap [a: 1]",
    "pairs tag": "recipe_options: !!pairs [a: 1]",
    "own tag": "dataset: !evil x",
    "str tag on a list": "dataset: !!str [a]",
    "int tag": "epochs: !!int x",
    "int tag empty": "epochs: !!int ''",
    "float tag": "learning_rate: !!float x",
    "bool tag": "resume: !!bool maybe",
    "map tag on a text": "recipe_options: !!map x",
    "seq tag on a text": "seeds: !!seq x",
    "date": "dataset: 2020-01-01\nepochs: 2020-01-01",
    "5000 digits": f"epochs: {DIGITS}",
    "400 digits": f"learning_rate: {DIGITS[:400]}",
    "binary without digits": "epochs: 0b_",
    "hexadecimal without digits": "epochs: 0x_",
    "octal": "epochs: 0_",
    "sexagesimal": "epochs: 1" + ":59" * 20_000,
    "sexagesimal float": "learning_rate: 1" + ":59" * 20_000 + ".5",
    "deep list": "seeds: " + "[" * 20_000 + "]" * 20_000,
    "deep mapping": "recipe_options: " + "{a: " * 20_000 + "}" * 20_000,
    "deep blocks": "\n".join(" " * i + "- " for i in range(3000)),
    "deep dashes": "- " * 20_000 + "a",
    "deep unclosed": "[" * 200_000,
    "long key": "k" * 100_000 + ": 1",
    "long name": "nonsense" * 10_000,
    "unknown name": "epoch: 3",
    "wrong case": "Epochs: 3",
    "dunder": "__import__('os').system('touch marker'): 1",
    "code as a name": "x=open('marker','w')#: 1",
    "name with a line break": '"epochs\\nimport os": 3',
    "null": "epochs: 3\nseed: null",
    "yes": "resume: yes",
    "percent": "%",
    "at": "@",
    "backtick": "`",
    "byte order mark inside": "epochs: 3\n\ufeffseed: 1",
}
#: Content of a params file for notebook 2 that is accepted.
GOOD_FILES = {
    "empty": "",
    "blank": " \n\n",
    "comment": "# nothing\n",
    "byte order mark": "\ufeffepochs: 2\n",
    "line ends of Windows": "epochs: 2\r\nseed: 7\r\n",
    "no line end": "epochs: 2",
    "document marks": "---\nepochs: 2\n...\n",
    "exponent": "learning_rate: 2e-5",
    "exponent in capitals": "learning_rate: 2E-5",
    "number as text": "learning_rate: '3e-4'",
    "whole float": "epochs: 2.0",
    "whole number for a float": "learning_rate: 1",
    "null is the recipe's own": "epochs: null\nbatch_size: ~\nmax_length:\n",
    "true in three ways": "resume: True\nstrict: FALSE\n",
    "flow": "{epochs: 2, seed: 1}",
    "anchor": "sentences: &s [good, bad]\n",
    "alias": "epochs: &n 2\nbatch_size: *n\n",
    "block list": "seeds:\n- 1\n- 2\n",
    "empty list": "seeds: []",
    "options": "recipe_options:\n  dropout: true\n  frozen_share: 0\n  attention: eager\n",
    "options in flow": 'recipe_options: {"warmup": 0.2, average: 0}',
    "options of no number": "recipe_options: {}",
    "folded sentence": "sentences:\n- >\n  good\n  day\n",
    "odd sentences": "sentences: ['$5 & <b>', \"it's\", 'yes', 'null', '=1+1', '{x}', '%s']",
    "unicode": 'sentences: ["naïve 😀 日本語 שלום"]',
    "hexadecimal seed": "seed: 0x10",
    "underscores": "seed: 1_000",
    "largest seed": "seed: 4294967295",
    "long comment": "# " + "x" * 100_000 + "\nepochs: 1",
    "quoted name": '"epochs": 1',
    "smallest": "epochs: 1\nbatch_size: 1\nmax_length: 4\nweight_decay: 0",
    "a word that looks like a tag": "sentences: ['!!set']",
}
GOOD_VALUES = [
    ("02", "learning_rate", "1e-3"),
    ("02", "learning_rate", "5.E-4"),
    ("02", "learning_rate", "null"),
    ("02", "epochs", "None"),
    ("02", "epochs", "+3"),
    ("02", "batch_size", "4096"),
    ("02", "strict", "true"),
    ("02", "strict", "FALSE"),
    ("02", "seeds", "[1, 2]"),
    ("02", "sentences", "['it''s $5']"),
    ("02", "recipe", "lab"),
    ("02", "recipe_options", "{dropout: true, precision: fp32}"),
    ("02", "text_column", ""),
    ("02", "max_train_rows", "2"),
    ("03", "experiment", "Versuch Nr. 1, 50 % größer"),
    ("03", "registered_model", "it is-fine_1.0"),
    ("03", "search_space", "{learning_rate: {low: 1e-4, high: 1e-2, log: true}}"),
    ("03", "search_space", "{epochs: [1, 2], batch_size: {low: 8, high: 32, step: 8}}"),
    ("03", "search_space", "{dropout: [true, false], average: {choices: [0, 0.9], when: {dropout: true}}}"),
    ("03", "search_space", "{attention: [eager]}"),
    ("03", "sweep_options", "{sampler: random, pruner: none, max_minutes: null}"),
    ("03", "sweep_options", "{max_minutes: 0.5, trial_gpus: 0.5}"),
    ("03", "tracking_uri", "postgresql://user@host/db"),
    ("03", "tracking_uri", "http://mlflow.example:5000/path/"),
    ("03", "sync_to", "https://mlflow.example"),
    ("03", "engine", "ray"),
    ("03", "study", "Größe 5 $x"),
    ("03", "n_trials", "10000"),
    ("04", "promote", "true"),
    ("04", "metric", "macro_f1"),
    ("04", "experiment", "a/b:c"),
    ("01", "max_length", "8192"),
    ("01", "search_max_megabytes", "0.1"),
    ("01", "search_max_megabytes", "null"),
    ("01", "search_limit", "100"),
    ("01", "search_language", "zh-Hant"),
]
#: Output folders: a name, and whether it can be one.
FOLDERS = {
    "my%20project": 0,
    "50% off": 0,
    "what?": 0,
    "a#b": 0,
    "it's": 0,
    "größer 日本": 0,
    "two\nlines": 0,
    "-dash": 0,
    "$HOME": 0,
    "a;b": 0,
    " blank ": 0,
    "": 2,
    " ": 2,
    "x" * 300: (1, 2),
    "x/" * 2500: (1, 2),
    "given/good.csv": 2,
    "given/good.csv/below": (1, 2),
    "/proc/nowhere": (1, 2),
    "/dev/null": 2,
}


def _good_csv(place: Place) -> str:
    rows = (f"a {word} day number {i},{label}\n" for i in range(20) for word, label in (("good", "yes"), ("bad", "no")))
    return place.write("good.csv", "text,label\n" + "".join(rows))


def _value(place: Place, notebook: str, name: str, value: str) -> list[str]:
    data = ["-p", "dataset", _good_csv(place)] if notebook == "02" else []
    return ["run", notebook, *data, "-p", name, value, "--out", str(place.out)]


def _file(place: Place, content: str | bytes) -> list[str]:
    _good_csv(place)
    mine = b"dataset" in content if isinstance(content, bytes) else "dataset" in content
    data = [] if mine else ["-p", "dataset", "given/good.csv"]
    return ["run", "02", "--params", place.write("p.yaml", content), *data, "--out", "out"]


def _special(place: Place, make: Callable[[Path], object]) -> list[str]:
    place.given.mkdir(exist_ok=True)
    make(place.given / "p.yaml")
    return ["run", "02", "--params", "given/p.yaml", "--out", "out"]


def _out(place: Place, name: str) -> list[str]:
    _good_csv(place)
    inside = name.startswith(("/", "given")) or not name.strip()
    return ["run", "02", "-p", "dataset", "given/good.csv", "--out", name if inside else f"out/{name}"]


def cases() -> Iterator[Case]:
    rng = random.Random(19)
    rules = [(n, name, rule) for n, rules in parameters.NOTEBOOKS.items() for name, rule in rules.items()]
    for notebook, name, rule in rules:
        if rule.type in WRONG:
            for value in rng.sample(WRONG[rule.type], 3 if rule.type in (int, float) else 2):
                if rule.type is not dict or name != "search_space" or "a:" not in value:
                    yield _case("value", f"{notebook[:2]} {name}={value}", notebook[:2], name, value)
        elif rule.choices:
            for value in rng.sample(["best", "", "[a]", "null", "\udcff", "auto\n", rule.choices[0].upper()], 2):
                yield _case("value", f"{notebook[:2]} {name}={value}", notebook[:2], name, value)
        for bound in [rule.low] if rule.low is not None else []:
            value = f"[{bound - 1}]" if rule.type is list else str(bound - 1)
            yield _case("value", f"{notebook[:2]} {name}={value}", notebook[:2], name, value)
    for space in SPACES:
        yield _case("space", space, "03", "search_space", space)
    for options in OPTIONS:
        yield _case("options", options, "03", "sweep_options", options)
    for number, address in enumerate(SECRETS):
        yield from _secrets(number, address)
    for name, content in FILES.items():
        yield Case("file", name, partial(_file, content=content), (2,))
    for name, make in {
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "full": lambda path: path.symlink_to("/dev/full"),
        "fifo": os.mkfifo,
        "folder": os.mkdir,
        "missing": lambda path: None,
        "loop": lambda path: path.symlink_to(path),
        "memory": lambda path: path.symlink_to("/proc/self/mem"),
    }.items():
        yield Case("file", f"special {name}", partial(_special, make=make))
    yield from _arguments()
    for name, content in GOOD_FILES.items():
        yield Case("goodfile", name, partial(_file, content=content), (0,))
    for notebook, name, value in GOOD_VALUES:
        yield _case("goodvalue", f"{notebook} {name}={value}", notebook, name, value, (0,))
    for name, exits in FOLDERS.items():
        right = exits if isinstance(exits, tuple) else (exits,)
        yield Case("good-out" if right == (0,) else "out", repr(name)[:40], partial(_out, name=name), right)


def _case(kind: str, title: str, notebook: str, name: str, value: str, exits: tuple[int, ...] = (2,)) -> Case:
    return Case(kind, title, partial(_value, notebook=notebook, name=name, value=value), exits)


def _secrets(number: int, address: str) -> Iterator[Case]:
    commands = {
        "from": ["sync", "--from", address, "--to", "out/store"],
        "to": ["sync", "--from", "out/none", "--to", address],
        "ui": ["ui", address, "--no-browser"],
        "predict": ["predict", "models:/m/1", "given/t.txt", "-o", "out/o.csv", "--tracking-uri", address],
        "reproduce": ["reproduce", "a" * 32, "--tracking-uri", address],
        "dataset": ["run", "02", "-p", "dataset", address, "--out", "out"],
        "model": ["predict", address, "given/t.txt", "-o", "out/o.csv"],
    }

    def make(place: Place, command: list[str]) -> list[str]:
        place.write("t.txt", "good\nbad\n")
        return command

    for name, command in commands.items():
        yield Case("secret", f"{number} {name}", partial(make, command=command), (1, 2))
    if number in (0, 1, 2, 4):
        yield _case("secret", f"{number} tracking_uri", "03", "tracking_uri", address)
        yield _case("secret", f"{number} sync_to", "03", "sync_to", address)
        yield _case("secret", f"{number} storage", "03", "sweep_options", f"{{storage: '{address}'}}")


def _arguments() -> Iterator[Case]:
    """Yield cases of what argparse and the verbs themselves check."""
    wrong = [
        [],
        [""],
        ["nonsense"],
        ["run"],
        ["run", ""],
        ["run", "05"],
        ["run", "0"],
        ["run", "../../etc/passwd"],
        ["run", "/etc/passwd"],
        ["run", "02\n"],
        ["run", "\udcff"],
        ["run", "02" * 3000],
        ["run", "02", "--profile", "../../etc"],
        ["run", "02", "--profile", ""],
        ["run", "02", "--profile", "x" * 6000],
        ["run", "02", "--profile", "demo", "--params", "x.yaml"],
        ["run", "02", "--params", ""],
        ["run", "02", "--params", "x" * 6000],
        ["run", "02", "--params", "a\nb"],
        ["run", "02", "-p", "epochs"],
        ["run", "02", "-p", "epochs", "1", "-p", "epochs", "1"],
        ["run", "02", "-p", "", ""],
        ["run", "02", "-p", "n" * 100_000, "1"],
        ["run", "02", "-p", "output_dir", "/tmp/x"],
        ["run", "02", "-p", "dataset", ""],
        ["run", "02", "-p", "dataset", "x" * 6000],
        ["run", "02", "-p", "dataset", "a\nb.csv"],
        ["run", "02", "-p", "dataset", "\udcff.csv"],
        ["run", "02", "-p", "dataset", "../../a/b"],
        ["run", "02", "-p", "dataset", "~nobody/x.csv"],
        ["run", "02", "-p", "dataset", "http://127.0.0.1:9/x.csv"],
        ["run", "all", "--params", "/dev/null", "-p", "nonsense", "1"],
        ["ui", "nowhere", "--port", "abc"],
        ["ui", "nowhere", "--port", "-1"],
        ["ui", "nowhere", "--port", "65536"],
        ["ui", "nowhere", "--port", "٣"],
        ["ui", "nowhere", "--port", DIGITS],
        ["ui", "nowhere"],
        ["ui", "http://127.0.0.1:9"],
        ["ui", "x" * 6000],
        ["ui", "\udcff"],
        ["lab", "99"],
        ["bundle"],
        ["bundle", "eat", "x"],
        ["bundle", "add"],
        ["bundle", "create", "-o", "out/b.zip"],
        ["bundle", "create", "--model", "../..", "-o", "out/b.zip"],
        ["bundle", "create", "--model", "a/b@../../x", "-o", "out/b.zip"],
        ["bundle", "create", "--model", "x" * 6000, "-o", "out/b.zip"],
        ["push", "", "owner/name"],
        ["push", "nowhere", "owner/name"],
        ["push", "nowhere", "../.."],
        ["reproduce", ""],
        ["reproduce", "x" * 6000],
        ["reproduce", "a\nb"],
        ["reproduce", "0" * 32],
        ["reproduce", "/etc/passwd"],
        ["predict", "", "x.csv", "-o", "out/o.csv"],
        ["predict", "packaged", "", "-o", "out/o.csv"],
        ["predict", "packaged", "/dev/null", "-o", "out/o.csv"],
        ["predict", "packaged", "x" * 6000 + ".csv", "-o", "out/o.csv"],
        ["predict", "models:/", "x.csv", "-o", "out/o.csv"],
        ["sync", "--from", "", "--to", ""],
        ["sync", "--from", "out", "--to", "out"],
        ["sync", "--from", "nowhere", "--to", "out/b"],
        ["sync", "--from", "nowhere", "--to", "out/b.zip"],
        ["sync", "--from", "x" * 6000, "--to", "out/b"],
        ["sync", "--from", "host:5000", "--to", "out/b"],
        ["sync", "--from", "ftp://127.0.0.1", "--to", "out/b"],
        ["sync", "--from", "nonsense://x", "--to", "out/b"],
        ["sync", "--from", "http://", "--to", "out/b"],
        ["sync", "--from", "sqlite:///", "--to", "out/b"],
        ["sync", "--from", "sqlite:///nowhere/x.db", "--to", "out/b"],
        ["sync", "--from", "http://127.0.0.1:9", "--to", "out/b"],
        ["sync", "--from", "://", "--to", "out/b"],
        ["sync", "--from", "databricks", "--to", "out/b"],
        ["sync", "--from", "file:///nowhere", "--to", "out/b"],
        ["sync", "--from", "\udcff", "--to", "out/b"],
        ["sync", "--from", "a\nb", "--to", "out/b"],
    ]
    for arguments in wrong:
        name = " ".join(arguments).encode("ascii", "backslashreplace").decode()
        yield Case("arguments", name[:60], lambda place, chosen=arguments: list(chosen), (2,))
    right = [["--help"], ["--version"], ["bundle", "list"], ["run", "--help"], ["bundle", "add", "--help"]]
    for arguments in right:
        for stdout in ("file", "pipe", "full", "closed"):
            yield Case(
                "good-arguments" if stdout == "file" else "stdout",
                f"{' '.join(arguments)} {stdout}",
                lambda place, chosen=arguments: list(chosen),
                (0,) if stdout in ("file", "closed") else (0, 1, 120, 141),
                report=True,
                stdout=stdout,
            )
