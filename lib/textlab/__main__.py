"""The command line: `python -m textlab VERB`, a thin shell over the modules."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from pathlib import Path

from . import InputError, __version__, first_line


def main(arguments: list[str] | None = None) -> int:
    """Run a verb and return the exit status: 0 done, 1 a job failed, 2 bad input, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="textlab",
        description="Run the notebooks as jobs, use what they trained, carry models, data and runs to and fro.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_run(verbs)
    _add_sweep(verbs)
    _add_predict(verbs)
    _add_reproduce(verbs)
    _add_bundle(verbs)
    _add_push(verbs)
    _add_sync(verbs)
    _add_ui(verbs)
    _add_lab(verbs)
    chosen = parser.parse_args(arguments)
    for name in ("SIGTERM", "SIGHUP"):  # a batch queue's stop and a closed terminal are as clean as Ctrl-C
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:  # as nohup has it
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return chosen.function(chosen)
    except InputError as error:
        print(f"textlab: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # no place, no right to write there
        print(f"textlab: {first_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _add_run(verbs) -> None:
    run = verbs.add_parser(
        "run",
        help="run a notebook, or all four, and write everything of the run into one folder",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run a notebook through papermill. Later values win: profile or params file, then -p.",
        epilog="examples:\n  python -m textlab run 02 -p epochs 3\n"
        "  python -m textlab run 02_fine_tuning -p dataset my_texts.csv --out outputs/mine\n"
        "  python -m textlab run all --profile smoke",
    )
    run.add_argument("notebook", help="such as 02_fine_tuning or 02; `all` runs the four in order")
    _add_params(run)
    run.set_defaults(function=_run)


def _add_params(verb) -> None:
    source = verb.add_mutually_exclusive_group()
    source.add_argument("--profile", default="demo", help="folder under params/ (default: demo)")
    source.add_argument("--params", type=Path, metavar="FILE", help="a params file of your own, instead of a profile")
    verb.add_argument(
        "-p",
        dest="values",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="one parameter; may be given several times",
    )
    verb.add_argument(
        "--out",
        type=_folder,
        metavar="DIR",
        help="folder for everything of the run (default: outputs/<profile>, with tracked runs in outputs/mlflow)",
    )


def _add_sweep(verbs) -> None:
    sweep = verbs.add_parser(
        "sweep",
        help="work on the trials of a sweep, beside any other workers",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Take trials of notebook 3's sweep until all are done, without the notebook. Any number of these may run at\n"
        "once; whatever is killed is begun again by the next. On several machines they need tracking_uri: http://...\n"
        "and sweep_options: {storage: postgresql://...}.",
        epilog="examples:\n  python -m textlab sweep -p n_trials 20\n"
        "  python -m textlab sweep --params my_sweep.yaml -p study mine",
    )
    _add_params(sweep)
    sweep.set_defaults(function=_sweep)


def _add_bundle(verbs) -> None:
    bundle = verbs.add_parser(
        "bundle",
        help="carry models, data sets and a listing of candidates to a machine without the Hub",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make one file where the Hub answers, such as in Colab, and add it where it does not.",
        epilog="examples:\n  python -m textlab bundle create --model owner/name --dataset dair-ai/emotion -o emotion.zip\n"
        "  python -m textlab bundle add emotion.zip\n"
        "  python -m textlab bundle list               what is on this machine\n"
        "  python -m textlab bundle verify emotion.zip",
    )
    actions = bundle.add_subparsers(dest="action", required=True, metavar="create|add|list|verify")
    create = actions.add_parser("create", help="make a bundle")
    for kind in ("model", "dataset"):
        create.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            metavar="ID",
            help="owner/name[@revision]; may be given several times",
        )
    create.add_argument("--task", default="text-classification", help="whose candidates are listed for notebook 1")
    create.add_argument("-o", dest="file", type=Path, required=True, metavar="FILE", help="such as emotion.zip")
    actions.add_parser("add", help="put what a bundle holds on this machine").add_argument("file", type=Path)
    shown = actions.add_parser("list", help="what a bundle holds, or what is on this machine")
    shown.add_argument("file", type=Path, nargs="?")
    actions.add_parser("verify", help="compare every file with its digest").add_argument("file", type=Path)
    bundle.set_defaults(function=_bundle)


def _add_push(verbs) -> None:
    push = verbs.add_parser(
        "push",
        help="upload a fine-tuned model with its card to the Hub",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Upload a model folder of a run, into a private repository. HF_TOKEN has to hold a token that may write.",
        epilog="example:\n  python -m textlab push outputs/demo/model owner/name",
    )
    push.add_argument(
        "model", type=_folder, metavar="MODEL", help="folder of a saved model, such as outputs/demo/model"
    )
    push.add_argument("repo", metavar="owner/name")
    push.add_argument("--public", action="store_true", help="everybody may see a repository that is made now")
    push.add_argument("--yes", action="store_true", help="overwrite without asking")
    push.set_defaults(function=_push)


def _add_sync(verbs) -> None:
    sync = verbs.add_parser(
        "sync",
        help="carry tracked runs from one MLflow store to another",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Carry runs, models and the registry to another store. It may be cut off anywhere and repeated: the end is\n"
        "complete, with nothing twice. STORE is an MLflow URI (http://..., sqlite:///...), a folder that holds a store,\n"
        "such as outputs or the --out of a run, or (--from only) a zip of one.",
        epilog="examples:\n  python -m textlab sync --from outputs --to http://127.0.0.1:5000\n"
        "  python -m textlab sync --from colab.zip --to outputs\n"
        "  python -m textlab sync --from outputs --to https://mlflow.example --experiment emotion --watch",
    )
    sync.add_argument("--from", dest="source", metavar="STORE", required=True, help="where the runs are")
    sync.add_argument(
        "--to", dest="target", metavar="STORE", required=True, help="where they go; a folder is made if missing"
    )
    sync.add_argument("--experiment", default="", metavar="NAME", help="only this one (default: all)")
    sync.add_argument("--watch", action="store_true", help="go on until Ctrl-C, also while the target does not answer")
    sync.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)  # for sync.Live
    sync.set_defaults(function=_sync)


def _add_ui(verbs) -> None:
    ui = verbs.add_parser(
        "ui",
        help="show tracked runs in MLflow's pages",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve a store's pages to this machine alone, and open the browser.",
        epilog="examples:\n  python -m textlab ui\n  python -m textlab ui outputs/smoke --no-browser",
    )
    ui.add_argument(
        "store", nargs="?", default="", metavar="STORE", help="a folder or SQLite URI (default: outputs/mlflow)"
    )
    ui.add_argument("--port", type=_port, default=5000, help="wanted port; if it is taken, a free one (default: 5000)")
    ui.add_argument("--no-browser", action="store_true", help="only print the address")
    ui.set_defaults(function=_ui)


def _add_lab(verbs) -> None:
    lab = verbs.add_parser(
        "lab",
        help="open the notebooks in JupyterLab",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Start JupyterLab on this machine alone, with the kernel of this environment, and open the browser.",
        epilog="examples:\n  python -m textlab lab\n  python -m textlab lab 03",
    )
    lab.add_argument("notebook", nargs="?", default="01", help="the one to open, such as 03 (default: 01)")
    lab.add_argument("--port", type=_port, default=8888, help="wanted port; if it is taken, a free one (default: 8888)")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.set_defaults(function=_lab)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}; accepted is a number from 0 to 65535")
    return int(text)


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("a folder name is empty")
    return Path(text)


def _run(chosen: argparse.Namespace) -> int:
    from . import batch, params

    names = list(params.NOTEBOOKS) if chosen.notebook == "all" else [params.notebook_name(chosen.notebook)]
    overrides, folder = _overrides(chosen, names), _run_folder(chosen)
    if chosen.params and len(names) > 1:  # one file for all notebooks: each takes what it knows
        values = params.read_yaml(chosen.params)
        params.refuse_unknown(values, names, str(chosen.params))
        overrides = values | overrides
    jobs = {}
    for name in names:
        files = [] if chosen.params and len(names) > 1 else [chosen.params or params.profile_file(chosen.profile, name)]
        mine = {key: value for key, value in overrides.items() if key in params.NOTEBOOKS[name]}
        jobs[name] = batch.prepare(name, files, mine, folder, own_store=chosen.out is not None)
    outcomes = batch.run_all(jobs, folder)
    print(folder / "index.html")
    return outcomes[-1].status


def _overrides(chosen: argparse.Namespace, notebooks: list[str]) -> dict[str, str]:
    from . import params

    overrides = dict(chosen.values)
    if len(overrides) < len(chosen.values):
        raise InputError("-p: a parameter is given twice")
    params.refuse_unknown(overrides, notebooks, "the command line")
    return overrides


def _run_folder(chosen: argparse.Namespace) -> Path:
    from . import runtime

    folder = chosen.out or runtime.outputs_root() / (chosen.params.stem if chosen.params else chosen.profile)
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is a file; accepted is a folder, which is made if it is missing")
    return folder


def _sweep(chosen: argparse.Namespace) -> int:
    from . import batch, params

    name = "03_mlflow_tracking"
    overrides, folder = _overrides(chosen, [name]), _run_folder(chosen)
    values = batch.prepare(
        name,
        [chosen.params or params.profile_file(chosen.profile, name)],
        overrides,
        folder,
        own_store=chosen.out is not None,
    )

    from . import sweep  # takes seconds, too long for a message about a typing error

    table = sweep.join(params.defaults(name) | values)
    print(table.drop(columns="run_id").to_string())
    return 0


def _add_predict(verbs) -> None:
    predict = verbs.add_parser(
        "predict",
        help="let a trained model label the texts of a file",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write text, label and a probability p_<label> for each label; rows keep their order.\n"
        "A row without a text gets no label. OUT is written whole or not at all.",
        epilog="examples:\n  python -m textlab predict outputs/demo texts.txt -o labelled.csv\n"
        "  python -m textlab predict models:/emotion@champion tweets.parquet -o labelled.parquet --text-column tweet",
    )
    predict.add_argument(
        "model",
        metavar="MODEL",
        help="a model's folder or the output folder of its run; "
        "models:/name@alias or models:/name/3; runs:/<run id> or the run id; owner/name[@revision]",
    )
    predict.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="txt (one text a line, or text;label with that as first line), csv, tsv, jsonl, parquet",
    )
    predict.add_argument(
        "-o", "--out", metavar="OUT", type=Path, required=True, help="csv, jsonl or parquet file to write"
    )
    predict.add_argument("--text-column", metavar="NAME", default="", help="default: text, sentence, content or tweet")
    predict.add_argument(
        "--tracking-uri",
        metavar="URI",
        default="",
        help="MLflow store of MODEL, an address or a folder (default: the project's own)",
    )
    predict.set_defaults(function=_predict)


def _add_reproduce(verbs) -> None:
    reproduce = verbs.add_parser(
        "reproduce",
        help="repeat a run from its record, and say in a receipt whether the same came out",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Check a run's record, compare code, packages, data, model and machine with what is here, repeat the run, and\n"
        "write receipt.json and receipt.txt. Exit status: 0 reproduced, 1 not reproduced, 2 cannot be repeated.",
        epilog="examples:\n  python -m textlab reproduce outputs/demo\n"
        "  python -m textlab reproduce outputs/demo/results/02_fine_tuning.json --only-check\n"
        "  python -m textlab reproduce 0123456789abcdef0123456789abcdef --tracking-uri http://mlflow.example:5000",
    )
    reproduce.add_argument("run", metavar="RUN", help="an MLflow run id, a results file, or the output folder of a run")
    reproduce.add_argument("--only-check", action="store_true", help="compare, and do not repeat it")
    reproduce.add_argument(
        "--tracking-uri", metavar="STORE", default="", help="store of the run id (default: the project's own)"
    )
    reproduce.add_argument(
        "--out", type=_folder, metavar="DIR", help="folder for the repeat (default: outputs/reproduced/<record>)"
    )
    for kind in ("dataset", "model"):
        reproduce.add_argument(
            f"--{kind}", metavar="PATH", default="", help=f"where the {kind} is now, if it was a file elsewhere"
        )
    reproduce.set_defaults(function=_reproduce)


def _reproduce(chosen: argparse.Namespace) -> int:
    from . import reproduce

    receipt = reproduce.reproduce(
        chosen.run, chosen.only_check, chosen.tracking_uri, chosen.out, chosen.dataset, chosen.model
    )
    print(receipt.text())
    return receipt.status


def _predict(chosen: argparse.Namespace) -> int:
    from . import prediction

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"textlab: {message}", file=sys.stderr)
        try:
            done = prediction.predict_file(
                chosen.model, chosen.file, chosen.out, chosen.text_column, chosen.tracking_uri
            )
        except OSError as error:  # such as a full disk
            print(f"textlab: {chosen.out} cannot be written: {error}", file=sys.stderr)
            return 1
    print(done, file=sys.stderr)
    print(chosen.out)
    return 0


def _bundle(chosen: argparse.Namespace) -> int:
    from . import bundle, explore

    if chosen.action == "list" and not chosen.file:
        for kind in ("model", "dataset"):
            print(f"{kind}s on this machine:\n{explore.on_this_machine(kind).to_string()}\n")
        return 0
    if chosen.action == "create":
        contents = bundle.create(chosen.file, chosen.model, chosen.dataset, chosen.task)
    else:
        contents = {"add": bundle.add, "list": bundle.read, "verify": bundle.verify}[chosen.action](chosen.file)
    print(bundle.describe(contents))
    return 0


def _push(chosen: argparse.Namespace) -> int:
    from . import card

    def agree(question: str) -> bool:
        return chosen.yes or sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    print(card.push(chosen.model, chosen.repo, chosen.public, agree))
    return 0


def _sync(chosen: argparse.Namespace) -> int:
    from . import sync

    print(sync.sync(chosen.source, chosen.target, chosen.experiment, chosen.watch, chosen.until_eof))
    return 0


def _ui(chosen: argparse.Namespace) -> int:
    from . import store

    return store.serve(store.locate(chosen.store), chosen.port, not chosen.no_browser)


def _lab(chosen: argparse.Namespace) -> int:
    from . import params, runtime

    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={runtime.project_root()}",
        f"--ServerApp.port={chosen.port}",
        "--KernelManager.transport_encryption=required",  # as for notebooks that run as jobs, see kernel.py
        f"--LabApp.default_url=/lab/tree/notebooks/{params.notebook_name(chosen.notebook)}.ipynb",
    ]
    command += ["--no-browser"] * chosen.no_browser + ["--allow-root"] * (sys.platform != "win32" and os.geteuid() == 0)
    # Without the variable, a kernel of the same name in the user's home would win over that of this environment.
    os.execve(sys.executable, command, os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"})


if __name__ == "__main__":
    sys.exit(main())
