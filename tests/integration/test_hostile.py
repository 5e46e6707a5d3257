"""Odd inputs of every kind: each is refused in a line or two, or accepted; none runs code, tells a secret or hangs.

Some 2,400 cases take half an hour; a sample of them, the same each time, takes seconds and always runs.
"""

import random

import pytest

import hostile
from hostile import bundles, models, params, records, stock, stores, texts

KINDS = (params, texts, models, bundles, records, stores)
CASES = list({case.id: case for kind in KINDS for case in kind.cases()}.values())
#: Cases that always run.
SAMPLE = 60
QUICK = {case.id for case in random.Random(19).sample([case for case in CASES if "store" not in case.kind], SAMPLE)}


def marks(case):
    return [] if case.id in QUICK else [pytest.mark.slow]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The models, stores and runs that the cases alter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")  # else it warns of the forks
        folder = tmp_path_factory.mktemp("stock")
        stock.fill(folder)
        yield folder


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=marks(case)) for case in CASES])
def test_an_odd_input(case, tmp_path, made):
    done = hostile.run(case, hostile.Place(tmp_path, made))
    assert not done.faults, f"{done.faults}\n{done.arguments}\n{done.out[-3000:]}\n{done.err[-3000:]}"


def test_there_are_enough_of_each_sort():
    good = sum(case.kind.startswith("good") for case in CASES)
    assert good >= 100 and len(CASES) - good >= 500


@pytest.mark.parametrize(
    "statement, fault",
    [
        ("raise KeyError('x')", "a traceback"),
        ("print('x\\n' * 5)", "5 lines"),
        ("open('marker', 'w')", "marker was written"),
        ("print(open('secret/secret.txt').read())", "the secret is shown"),
        ("import time; time.sleep(60)", "exit status 124"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
    ],
)
def test_what_is_wrong_is_seen(statement, fault, tmp_path, monkeypatch):
    def main(arguments):
        exec(statement)
        return 2

    monkeypatch.setattr(hostile.__main__, "main", main)
    monkeypatch.setattr(hostile, "SECONDS", 2)
    case = hostile.Case("harness", "x", lambda place: [])
    faults = hostile.run(case, hostile.Place(tmp_path, tmp_path)).faults
    assert any(fault in one for one in faults), faults
