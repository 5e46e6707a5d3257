"""The command line: `python -m textlab VERB`, a thin shell over the rooms.

A verb imports its rooms when it runs: they take seconds to load, too long for a message about a typing error.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import IncompleteError, InputError, NoAnswerError, first_line, one_line
from .machine import expanded, outputs_root, project_root
from .settings import parameters

#: New objects after which the garbage collector looks at them. By Python's 700 it spends a seventh of a start walking
#: through what the imports have made, and finds nothing.
OBJECTS = 50_000
#: Verb -> its function, what it says of itself, and its arguments as those of `add_argument`.
VERBS: dict[str, tuple[Callable[[argparse.Namespace], int], dict[str, str], tuple]] = {}


class _Parser(argparse.ArgumentParser):  # sub-parsers are of this class too
    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {one_line(message)}; `{self.prog} --help` shows what is accepted\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a verb and return the exit status: 0 done, 1 a job failed, 2 bad input, 130 interrupted."""
    gc.set_threshold(OBJECTS)
    parser = _Parser(
        prog="textlab",
        description="Run the notebooks as jobs, use what they trained, carry models, data and runs to and fro.",
    )
    parser.add_argument("--version", action="version", version=importlib.metadata.version("textlab"))
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (function, texts, accepted) in VERBS.items():
        _fill(verbs.add_parser(name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts), accepted)
        verbs.choices[name].set_defaults(function=function)
    for stream in filter(lambda stream: hasattr(stream, "reconfigure"), (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends nothing
    chosen = parser.parse_args(arguments)
    for name in ("SIGTERM", "SIGHUP"):  # a batch queue's stop and a closed terminal are as clean as Ctrl-C
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:  # as nohup has it
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return chosen.function(chosen)
    except InputError as error:
        print(f"textlab: {error}", file=sys.stderr)
        return 2
    except (IncompleteError, OSError) as error:  # some could not be done; no place, no right to write there
        print(f"textlab: {first_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _fill(parser: argparse.ArgumentParser, accepted: tuple) -> None:
    """Add arguments to a parser: those of `_arg`, a list of some that exclude each other, or a dict of sub-verbs."""
    for item in accepted:
        if isinstance(item, dict):
            actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(item))
            for name, (text, *arguments) in item.items():
                _fill(actions.add_parser(name, help=text), tuple(arguments))
        elif isinstance(item, list):
            _fill(parser.add_mutually_exclusive_group(), tuple(item))
        else:
            flags, options = item
            parser.add_argument(*flags, **options)


def _arg(*flags: str, **options: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return flags, options


def _verb(help: str, description: str, examples: str, *accepted: Any) -> Callable:
    """Return a decorator that makes a function the verb of its name."""

    def register(function: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
        lines = "".join(f"\n  python -m textlab {line.strip()}" for line in examples.strip().splitlines())
        texts = {"help": help, "description": description, "epilog": f"examples:{lines}"}
        VERBS[function.__name__.strip("_")] = function, texts, accepted
        return function

    return register


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}; accepted is a number from 0 to 65535")
    return int(text)


def _named_folder(text: str) -> Path:
    if not text.strip():
        raise InputError("a folder name is empty")
    if text != text.encode(errors="replace").decode():
        raise InputError(f"got {text!a}; accepted is a folder name in UTF-8")
    return expanded(text)


def _folder(text: str) -> Path:
    try:
        return _named_folder(text)
    except InputError as error:  # argparse would not show why
        raise argparse.ArgumentTypeError(str(error)) from None


PARAMETERS = (
    [
        _arg("--profile", default="demo", help="folder under params/ (default: demo)"),
        _arg("--params", type=Path, metavar="FILE", help="a params file of your own, instead of a profile"),
    ],
    _arg(
        "-p",
        dest="values",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="one parameter; may be given several times, each for another",
    ),
    _arg(
        "--out",
        type=_folder,
        metavar="DIR",
        help="folder for everything of the run (default: outputs/<profile>, or with --params outputs/<name of FILE "
        "without its ending>, with tracked runs in outputs/mlflow)",
    ),
)
BROWSER = _arg("--no-browser", action="store_true", help="only print the address")


@_verb(
    "run a notebook, or all four, and write everything of the run into one folder",
    "Run a notebook through papermill. Later values win: profile or params file, then -p.",
    """run 02 -p epochs 3
       run 02_fine_tuning -p dataset my_texts.csv --out outputs/mine
       run all --profile smoke""",
    _arg("notebook", help="such as 02_fine_tuning or 02; `all` runs the four in order"),
    *PARAMETERS,
)
def _run(chosen: argparse.Namespace) -> int:
    names = list(parameters.NOTEBOOKS) if chosen.notebook == "all" else [parameters.notebook_name(chosen.notebook)]
    overrides, folder = _overrides(chosen, names), _run_folder(chosen)
    together = names if chosen.params else ()  # one file for all notebooks: each takes what it knows
    values = {}
    for name in names:
        mine = {key: value for key, value in overrides.items() if key in parameters.NOTEBOOKS[name]}
        values[name] = parameters.gather(name, [_params_file(chosen, name)], mine, together)
    from .notebooks import jobs

    prepared = {name: jobs.prepare(name, values[name], folder, own_store=chosen.out is not None) for name in names}
    outcomes = jobs.run_all(prepared, folder)
    print(folder / "index.html")
    return outcomes[-1].status


def _overrides(chosen: argparse.Namespace, notebooks: list[str]) -> dict[str, str]:
    overrides = {}
    for name, value in chosen.values:
        if name in overrides:
            raise InputError(f"-p: {name} is given twice; give it once")
        overrides[name] = value
    parameters.refuse_unknown(overrides, notebooks, "the command line")
    return overrides


def _params_file(chosen: argparse.Namespace, notebook: str) -> Path:
    return chosen.params or parameters.profile_file(chosen.profile, notebook)


def _run_folder(chosen: argparse.Namespace) -> Path:
    name = chosen.params.stem if chosen.params else chosen.profile
    return (chosen.out or _named_folder(str(outputs_root() / name))).absolute()


@_verb(
    "work on the trials of a sweep, beside any other workers",
    "Take trials of notebook 3's sweep until all are done, without the notebook. Any number of these may run at\n"
    "once; whatever is killed is begun again by the next. On several machines they need tracking_uri: http://...\n"
    "and sweep_options: {storage: postgresql://...}.",
    """sweep -p n_trials 20
       sweep --params my_sweep.yaml -p study mine""",
    *PARAMETERS,
)
def _sweep(chosen: argparse.Namespace) -> int:
    name = "03_mlflow_tracking"
    folder = _run_folder(chosen)
    values = parameters.gather(name, [_params_file(chosen, name)], _overrides(chosen, [name]))
    from . import notebooks, workflows

    values = notebooks.jobs.prepare(name, values, folder, own_store=chosen.out is not None)
    table = workflows.join(parameters.defaults(name) | values)
    print(table.drop(columns="run_id").to_string())
    return 0


_MODEL = _arg(
    "model",
    metavar="MODEL",
    help="a model's folder or the output folder of its run; "
    "models:/name@alias or models:/name/3; runs:/<run id> or the run id; owner/name[@revision]",
)
_TEXTS = _arg(
    "file",
    metavar="FILE",
    type=Path,
    help="txt (one text a line, or text;label with that as first line), csv, tsv, jsonl, parquet",
)
_TEXT_COLUMN = _arg("--text-column", metavar="NAME", default="", help="default: text, sentence, content or tweet")
_STORE = _arg(
    "--tracking-uri",
    metavar="URI",
    default="",
    help="MLflow store of MODEL, an address or a folder (default: the project's own)",
)


@_verb(
    "let a trained model label the texts of a file",
    "Write text, label and a probability p_<label> for each label; rows keep their order.\n"
    "A row without a text gets no label. OUT is written whole or not at all.",
    """predict outputs/demo texts.txt -o labelled.csv
       predict models:/emotion@champion tweets.parquet -o labelled.parquet --text-column tweet""",
    _MODEL,
    _TEXTS,
    _arg("-o", "--out", metavar="OUT", type=Path, required=True, help="csv, jsonl or parquet file to write"),
    _TEXT_COLUMN,
    _STORE,
)
def _predict(chosen: argparse.Namespace) -> int:
    return _answered(chosen)


@_verb(
    "say which rows of a file to label next, so that a trained model learns most from them",
    "Write the N rows that are most worth a label into a csv, the best first: the text, an empty label to fill in,\n"
    "the model's guess, the reason, and the further columns of FILE. Rows are drawn by the model's doubt, and of\n"
    "those that are alike one is taken. Rows without a text or with a label are left out, and texts that come twice.\n"
    "Put OUT beside the file that MODEL learned from, the two as train.csv and train_2.csv of one folder:\n"
    "`run 02 -p dataset FOLDER` reads them together, and leaves out what has no label yet.\n"
    "Measured with a linear probe, that helps most with several classes and rare ones: 600 chosen rows came within a\n"
    "point of 1,000 random ones. With two classes they were now better, now worse than random ones.",
    """suggest outputs/mine unlabelled.csv -n 100 -o to_label.csv
       suggest models:/mine@champion tweets.parquet -n 50 -o to_label.csv --labelled my_texts.csv""",
    _MODEL,
    _TEXTS,
    _arg("-n", type=int, default=100, metavar="N", help="rows to suggest (default: 100)"),
    _arg("-o", "--out", metavar="OUT", type=Path, required=True, help="csv file to write, which is not there yet"),
    _arg(
        "--labelled",
        metavar="DATASET",
        default="",
        help="file, folder or other dataset whose labelled texts are left out, too",
    ),
    _TEXT_COLUMN,
    _arg(
        "--label-column",
        metavar="NAME",
        default="",
        help="column to fill in; rows of FILE that have something in it are left out (default: label)",
    ),
    _STORE,
)
def _suggest(chosen: argparse.Namespace) -> int:
    return _answered(chosen, n=chosen.n, labelled=chosen.labelled, label_column=chosen.label_column)


def _answered(chosen: argparse.Namespace, **options: Any) -> int:
    """Let the job of a verb write what a model says of a file's texts into OUT, and print what it did."""
    from . import workflows

    job = {"predict": workflows.predict_file, "suggest": workflows.suggest_file}[chosen.verb]
    options |= {"text_column": chosen.text_column, "tracking_uri": chosen.tracking_uri}
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"textlab: {one_line(message)}", file=sys.stderr)
        try:
            done = job(chosen.model, chosen.file, chosen.out, **options)
        except OSError as error:  # such as a full disk
            print(one_line(f"textlab: {chosen.out} cannot be written: {error}"), file=sys.stderr)
            return 1
    print(done, file=sys.stderr)
    print(chosen.out)
    return 0


@_verb(
    "try a trained model on a page, with the words that decided",
    "Serve a page to this machine alone, and open the browser: type a sentence, or label a file. Nothing is sent\n"
    "anywhere. Install it with: .venv/bin/pip install -e '.[demo]'",
    """demo outputs/demo
       demo models:/emotion@champion --port 8080 --no-browser""",
    _MODEL,
    _arg("--port", type=_port, default=7860, help="wanted port; if it is taken, a free one (default: 7860)"),
    _STORE,
    BROWSER,
)
def _demo(chosen: argparse.Namespace) -> int:
    from . import workflows

    return workflows.serve_demo(chosen.model, chosen.port, chosen.tracking_uri, not chosen.no_browser)


@_verb(
    "repeat a run from its record, and say in a receipt whether the same came out",
    "Check a run's record, compare code, packages, data, model and machine with what is here, repeat the run, and\n"
    "write receipt.json and receipt.txt. Exit status: 0 reproduced, 1 not reproduced, 2 cannot be repeated.",
    """reproduce outputs/demo
       reproduce outputs/demo/results/02_fine_tuning.json --only-check
       reproduce 0123456789abcdef0123456789abcdef --tracking-uri http://mlflow.example:5000""",
    _arg("run", metavar="RUN", help="an MLflow run id, a results file, or the output folder of a run"),
    _arg("--only-check", action="store_true", help="compare, and do not repeat it"),
    _arg("--tracking-uri", metavar="STORE", default="", help="store of the run id (default: the project's own)"),
    _arg("--out", type=_folder, metavar="DIR", help="folder for the repeat (default: outputs/reproduced/<record>)"),
    _arg("--dataset", metavar="PATH", default="", help="where the dataset is now, if it was a file elsewhere"),
    _arg("--model", metavar="PATH", default="", help="where the model is now, if it was a file elsewhere"),
)
def _reproduce(chosen: argparse.Namespace) -> int:
    from . import workflows

    receipt = workflows.reproduce(
        chosen.run, chosen.only_check, chosen.tracking_uri, chosen.out, chosen.dataset, chosen.model
    )
    print(receipt.text())
    return receipt.status


_HUB_ID = {"action": "append", "default": [], "metavar": "ID"}
_BUNDLE = _arg("file", type=Path)


@_verb(
    "carry models, data sets and a listing of candidates to a machine without the Hub",
    "Make one file where the Hub answers, such as in Colab, and add it where it does not.",
    """bundle create --model owner/name --dataset dair-ai/emotion -o emotion.zip
       bundle add emotion.zip
       bundle list               what is on this machine
       bundle verify emotion.zip""",
    {
        "create": (
            "make a bundle",
            _arg("--model", **_HUB_ID, help="owner/name[@revision]; may be given several times"),
            _arg("--dataset", **_HUB_ID, help="owner/name[@revision]; may be given several times"),
            _arg("--task", default="text-classification", help="whose candidates are listed for notebook 1"),
            _arg("-o", dest="file", type=Path, required=True, metavar="FILE", help="such as emotion.zip"),
        ),
        "add": ("put what a bundle holds on this machine", _BUNDLE),
        "list": ("what a bundle holds, or what is on this machine", _arg("file", type=Path, nargs="?")),
        "verify": ("compare every file with its digest", _BUNDLE),
    },
)
def _bundle(chosen: argparse.Namespace) -> int:
    from .hub import bundle, candidates

    if chosen.action == "list" and not chosen.file:
        for kind in ("model", "dataset"):
            print(f"{kind}s on this machine:\n{candidates.on_this_machine(kind).to_string()}\n")
        return 0
    if chosen.action == "create":
        contents = bundle.create(chosen.file, chosen.model, chosen.dataset, chosen.task)
    else:
        contents = (bundle.add if chosen.action == "add" else bundle.read)(chosen.file)
    print(bundle.describe(contents))
    return 0


@_verb(
    "upload a fine-tuned model with its card to the Hub, or a page to try it as a Space",
    "Upload a model folder of a run, into a private repository. HF_TOKEN has to hold a token that may write.\n"
    "With --space, what is uploaded is the page of `demo`, with the model in it, as a Space of the Hub.",
    """push outputs/demo/model owner/name
       push outputs/demo/model owner/name --space""",
    _arg("model", type=_folder, metavar="MODEL", help="folder of a saved model, such as outputs/demo/model"),
    _arg("repo", metavar="owner/name"),
    _arg("--space", action="store_true", help="upload a page to try the model, and not the model alone"),
    _arg("--public", action="store_true", help="everybody may see a repository that is made now"),
    _arg("--yes", action="store_true", help="overwrite without asking"),
)
def _push(chosen: argparse.Namespace) -> int:
    from . import hub, workflows

    def agree(question: str) -> bool:
        if chosen.yes or not sys.stdin or not sys.stdin.isatty():
            return chosen.yes
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # Ctrl-D
            return False

    push = workflows.push_space if chosen.space else hub.push_model
    print(push(chosen.model, chosen.repo, chosen.public, agree))
    return 0


@_verb(
    "carry tracked runs from one MLflow store to another",
    "Carry runs, models and the registry to another store. It may be cut off anywhere and repeated: the end is\n"
    "complete, with nothing twice. STORE is an MLflow URI (http://..., sqlite:///...), a folder that holds a store,\n"
    "such as outputs or the --out of a run, or (--from only) a zip of one.",
    """sync --from outputs --to http://127.0.0.1:5000
       sync --from colab.zip --to outputs
       sync --from outputs --to https://mlflow.example --experiment emotion --watch""",
    _arg("--from", dest="source", metavar="STORE", required=True, help="where the runs are"),
    _arg("--to", dest="target", metavar="STORE", required=True, help="where they go; a folder is made if missing"),
    _arg("--experiment", default="", metavar="NAME", help="only this one (default: all)"),
    _arg("--watch", action="store_true", help="go on until Ctrl-C, also while the target does not answer"),
    _arg("--until-eof", action="store_true", help=argparse.SUPPRESS),  # for sync.Live
)
def _sync(chosen: argparse.Namespace) -> int:
    from .tracking import sync

    try:
        print(sync.sync(chosen.source, chosen.target, chosen.experiment, chosen.watch, chosen.until_eof))
    except NoAnswerError as error:
        if not chosen.until_eof:
            raise
        print(f"textlab: {error}", file=sys.stderr)
        return sync.NO_ANSWER
    return 0


@_verb(
    "show tracked runs in MLflow's pages",
    "Serve a store's pages to this machine alone, and open the browser.",
    """ui
       ui outputs/smoke --no-browser""",
    _arg("store", nargs="?", default="", metavar="STORE", help="a folder or SQLite URI (default: outputs/mlflow)"),
    _arg("--port", type=_port, default=5000, help="wanted port; if it is taken, a free one (default: 5000)"),
    BROWSER,
)
def _ui(chosen: argparse.Namespace) -> int:
    from .tracking import server, store

    return server.serve(store.locate(chosen.store), chosen.port, not chosen.no_browser)


@_verb(
    "open the notebooks in JupyterLab",
    "Start JupyterLab on this machine alone, with the kernel of this environment, and open the browser.",
    """lab
       lab 03""",
    _arg("notebook", nargs="?", default="01", help="the one to open, such as 03 (default: 01)"),
    _arg("--port", type=_port, default=8888, help="wanted port; if it is taken, a free one (default: 8888)"),
    BROWSER,
)
def _lab(chosen: argparse.Namespace) -> int:
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={project_root()}",
        f"--ServerApp.port={chosen.port}",
        "--KernelManager.transport_encryption=required",  # as for notebooks that run as jobs, see machine/kernel.py
        f"--LabApp.default_url=/lab/tree/notebooks/{parameters.notebook_name(chosen.notebook)}.ipynb",
    ]
    command += ["--no-browser"] * chosen.no_browser + ["--allow-root"] * (sys.platform != "win32" and os.geteuid() == 0)
    # Without the variable, a kernel of the same name in the user's home would win over that of this environment.
    os.execve(sys.executable, command, os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"})


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # else Python looks for garbage among all that is there before it ends, which takes over a second
