"""What the index of a run says in words: which model leads and by how much, and what each notebook found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import evaluation

Outcomes = Mapping[str, Mapping[str, Any]]
#: How the scores of a run's model are called among those of the baselines.
_OWN = "fine-tuned"


@dataclass(frozen=True)
class Lead:
    """The model that a run ends with: the champion, else notebook 2's."""

    name: str
    role: str  # champion or model
    split: str
    scores: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]]  # name for readers -> scores on the same split
    gaps: Mapping[str, list[float]]  # baseline -> 95 % interval of how much better the model is, by `measure`
    p_values: Mapping[str, float]  # baseline -> p of McNemar's test, which decides where a text has one label
    guards: list[str]  # what makes its figures untrustworthy
    trained: Mapping[str, Any]  # its data, model, seed and record, as its notebook tells; empty where not known
    same: bool = False  # it has the weights of notebook 2's model

    @property
    def folds(self) -> int:
        """Number of folds of the cross-validation that the figures are of; 0 for those of a split."""
        return self.trained.get("data", {}).get("folds", 0) if self.split == "test" else 0

    @property
    def measure(self) -> str:
        """What decides: accuracy, or macro F1 where texts have several labels, few of which are all told right."""
        return "macro_f1" if _several(self.trained) else "accuracy"

    @property
    def right(self) -> str:
        """What its accuracy is called."""
        return _right(self.trained)

    @property
    def data(self) -> str:
        """What the figures were measured on."""
        data = self.trained.get("data", {})
        count = data.get("rows", {}).get(self.split)
        what = "cross-validated" if self.folds else self.split
        return f"the {f'{count:,} ' if count else ''}{what} rows{f' of {named(data)}' if data else ''}"

    def against_baselines(self) -> tuple[str, str]:
        """Return good, doubt or bad, and the sentence that says why."""
        best = max(self.baselines, key=lambda name: self.baselines[name][self.measure], default=None)
        if best is None:
            return "doubt", "It was compared with no baseline."
        base = self.baselines[best][self.measure]
        than, by = f"than the best baseline, {best}", f"{100 * (self.scores[self.measure] - base):+.1f} points"
        if best in self.gaps:
            (low, high), of = self.gaps[best], ""
        elif f"{self.measure}_ci95" in self.scores:
            (low, high), of = (bound - base for bound in self.scores[f"{self.measure}_ci95"]), " of the model alone"
        else:
            return "doubt", f"It was not tested whether it is better {than} ({by})."
        by += f", 95 % interval{of} {100 * low:+.1f} to {100 * high:+.1f}"
        by += f", p {evaluation.p_words(self.p_values[best])}" if best in self.p_values else ""
        sure = self.p_values.get(best, 0) < 0.05
        if low > 0 and sure:
            return "good", f"That is better {than} ({by})."
        if high < 0 and sure:
            return "bad", f"That is worse {than} ({by})."
        return "doubt", f"It is not shown to be better {than} ({by})."


def _several(outcome: Mapping[str, Any]) -> bool:
    """Tell whether the texts of a notebook's data have several labels each."""
    return outcome.get("data", {}).get("labels") == "several"


def _right(outcome: Mapping[str, Any]) -> str:
    """Return what accuracy is called on a notebook's data."""
    return evaluation.accuracy_name(_several(outcome))


def lead(outcomes: Outcomes) -> Lead | None:
    """Return the model to show first; None if nothing was scored."""
    main, analysis = (outcomes.get(name, {}) for name in ("02_fine_tuning", "04_sweep_analysis"))
    champion, split = analysis.get("champion"), "test" if "test" in analysis else "validation"
    scores = dict(analysis.get(split, {}))
    if champion and _OWN in scores:
        sweep = outcomes.get("03_mlflow_tracking", {})
        run = _trainings(sweep).get(analysis.get("winner", {}).get("run_id"), {})
        record = analysis.get("trained", {})
        told = sweep if run else record | {"record": record}
        trained = told if {"data", "model"} <= told.keys() else {}
        digest = (run or record).get("weights_sha256")
        tests = [] if _several(trained) else [test for test in analysis.get("tests", []) if test["split"] == split]
        return Lead(
            name=f"{champion['name']} version {champion['version']}",
            role="champion",
            split=split,
            scores=scores.pop(_OWN),
            baselines=scores,
            gaps={test["index"]: [test["low"], test["high"]] for test in tests},
            p_values={test["index"]: test["p_value"] for test in tests},
            guards=[],  # with any, no version is promoted
            trained=trained,
            same=digest is not None and digest == main.get("weights_sha256") and not main.get("seeds"),
        )
    if not (rows := evaluation.headline_rows(main)):
        return None
    *baselines, own = rows
    test = {} if main.get("seeds") else main.get("versus", {})  # the test is of one seed's model
    gap = test.get("macro_f1_difference_ci95" if _several(main) else "difference_ci95")
    rival = evaluation.BASELINES[test["baseline"]] if gap else ""
    return Lead(
        name=own["name"],
        role="model",
        split=own["split"],
        scores=own,
        baselines={row["name"]: row for row in baselines},
        gaps={rival: gap} if gap else {},
        p_values={rival: test["p_value"]} if gap and not _several(main) else {},
        guards=main.get("guards", []),
        trained=main,
    )


def verdict(first: Lead, outcomes: Outcomes) -> tuple[str, str]:
    """Return good, doubt or bad, and the sentences that say why."""
    stays = outcomes.get("04_sweep_analysis", {}).get("stays")
    still = [f"The champion is still {stays['name']} version {stays['version']}."] if stays else []
    if first.guards:
        told = f"{first.name} did not pass its checks on {first.data}: do not rely on it, nor on its figures."
        return "bad", " ".join([told, *still])
    accuracy, (tone, sentence) = first.scores["accuracy"], first.against_baselines()
    told = f"is right on {_percent(accuracy)} of {first.data}"
    if first.measure == "macro_f1":
        told = f"has a macro F1 of {first.scores['macro_f1']:.3f} on {first.data}"
    words = [f"{first.name} {told}.", sentence, *still]
    people = outcomes["02_fine_tuning"].get("people") if comparable(first, outcomes) else None
    if people:
        paired = outcomes["02_fine_tuning"].get("beside_person") if first.same or first.role == "model" else None
        words.append(_beside_person(accuracy, people, paired))
    if any(outcome["status"] == "failed" for outcome in outcomes.values()):
        words.append("Not every notebook of this run completed.")
        tone = "doubt" if tone == "good" else tone
    return "doubt" if stays and tone == "good" else tone, " ".join(words)


def _beside_person(accuracy: float, people: Mapping[str, Any], paired: Mapping[str, Any] | None) -> str:
    """Return a model's accuracy beside that of one person: by their answers to the same texts, where it is known."""
    low, high = people["accuracy_ci95"]
    interval = f"95 % interval {_percent(low)} to {_percent(high)}"
    if paired is None:
        told = f"the model is {'above' if accuracy > high else 'below' if accuracy < low else 'within'} that interval"
    else:
        low, high = paired["difference_ci95"]
        by = f"{100 * paired['difference']:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
        told = f"the model is {evaluation.elsewhere.versus(low, high)} that on the same texts ({by})"
    return f"One person agrees with the others on {_percent(people['accuracy'])} ({interval}); {told}."


def comparable(first: Lead, outcomes: Outcomes) -> bool | None:
    """Tell whether notebook 2 scored its model on the very rows that the leading model was scored on.

    Returns:
        None where the rows of one of them are not known.
    """
    main = outcomes.get("02_fine_tuning", {})
    if first.trained is main:
        return True
    rows = evaluation.headline_rows(main)
    scored = (first.trained, first.split), (main, rows[-1]["split"] if rows else "")
    mine, its = (outcome.get("record", {}).get("splits", {}).get(split) for outcome, split in scored)
    return mine == its if mine and its else None


def table(first: Lead, outcomes: Outcomes) -> list[dict[str, Any]]:
    """Return the rows of the headline table: the leading model, notebook 2's, one person, the baselines.

    Returns:
        Each has name, perhaps a note, and what was measured of accuracy, macro_f1 and their intervals.
    """
    base = f"fine-tuned {first.trained['model']['source']}" if first.role == "champion" and first.trained else ""
    note = ", ".join(filter(None, [base, "the same weights as notebook 2's" if first.same else ""]))
    rows = [dict(first.scores) | {"name": first.name, "note": note}]
    if comparable(first, outcomes):
        main = outcomes["02_fine_tuning"]
        if first.role == "champion" and not first.same:
            own = evaluation.headline_rows(main)[-1]
            rows.append(own | {"note": "notebook 2's model"})
        if people := main.get("people"):
            rows.append(people | {"name": "one person against the others"})
    return rows + [dict(scores) | {"name": name} for name, scores in first.baselines.items()]


def findings(outcomes: Outcomes) -> dict[str, str]:
    """Return notebook -> what it found, in a few sentences; empty for one that failed or was not run."""
    told = {
        "01_hub_exploration": _explored,
        "02_fine_tuning": _fine_tuned,
        "03_mlflow_tracking": _tracked,
        "04_sweep_analysis": _analysed,
    }
    done = {name: outcome for name, outcome in outcomes.items() if outcome["status"] == "completed"}
    return {name: tell(done[name], done) if name in done else "" for name, tell in told.items()}


def named(data: Mapping[str, Any]) -> str:
    """Return data as a sentence names it."""
    origin, _, kind = data["source"].partition(":")
    return f"the packaged data ({kind or 'tweets'})" if origin == "packaged" else data["source"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _explored(outcome: Mapping[str, Any], outcomes: Outcomes) -> str:
    if not {"model", "data"} <= outcome.keys():
        return ""
    facts = outcome["data"]
    rows = ", ".join(f"{count:,} {split}" for split, count in facts["rows"].items()) + " rows"
    if "folds" in facts:
        rows = f"{facts['rows']['test']:,} rows, for a {facts['folds']}-fold cross-validation"
    words = [f"{outcome['model']['source']} and {named(facts)} were chosen: {rows}."]
    if (candidates := outcome.get("candidates", {})) and (candidates["models"] or candidates["datasets"]):
        models, sets = len(candidates["models"]), len(candidates["datasets"])
        words.insert(0, f"{_counted(models, 'model')} and {_counted(sets, 'data set')} were compared.")
    if "quality" in outcome:
        faults = Counter()
        for fault in outcome["quality"]:
            faults[fault["problem"]] += fault["rows"]
        listed = "; ".join(f"{problem} ({_counted(count, 'row')})" for problem, count in faults.most_common(3))
        others = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        words.append(f"Faults in it: {listed}{others}." if faults else "No faults were found in it.")
    return " ".join(words)


def _fine_tuned(outcome: Mapping[str, Any], outcomes: Outcomes) -> str:
    if not (rows := evaluation.headline_rows(outcome)):
        return ""
    own, guards = rows[-1], outcome.get("guards", [])
    checked = "It did not pass its checks" if guards else "It passed all checks"
    where = "by cross-validation" if "folds" in outcome["data"] else f"on {own['split']}"
    return f"{checked}: {_right(outcome)} {own['accuracy']:.3f} and macro F1 {own['macro_f1']:.3f} {where}."


def _tracked(outcome: Mapping[str, Any], outcomes: Outcomes) -> str:
    words = []
    first, mine = outcome.get("first_run", {}), outcomes.get("02_fine_tuning", {}).get("weights_sha256")
    if mine and "weights_sha256" in first:
        weights = "the same weights as" if first["weights_sha256"] == mine else "other weights than"
        words.append(f"The model of the default settings has {weights} notebook 2's model.")
    if sweep := outcome.get("sweep"):
        states = Counter(trial["state"].lower() for trial in sweep["trials"])
        pruned = f", {states['pruned']} of them pruned" if states["pruned"] else ""
        space = outcome.get("params", {}).get("search_space", {})
        best = next(iter(sweep["confirmed"]), {})
        settings = ", ".join(
            f"{name} {best[name]:.5g}" if isinstance(best[name], float) else f"{name} {best[name]}"
            for name in space
            if name in best
        )
        words.append(
            _counted(len(sweep["trials"]), "trial") + pruned + (f"; the sweep's pick: {settings}." if settings else ".")
        )
        if picked := sweep.get("best"):
            is_default = picked["run_id"] == first.get("run_id")
            what = " is the default settings," if is_default else ", trained on all rows, is"
            words.append(f"That pick{what} version {picked['version']} in the registry.")
            words += [f"It did not pass its checks: {' '.join(picked['guards'])}"] if picked.get("guards") else []
    return " ".join(words)


def _analysed(outcome: Mapping[str, Any], outcomes: Outcomes) -> str:
    return " ".join(filter(None, (outcome.get("conclusion"), outcome.get("promotion"))))


def _trainings(sweep: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return run id -> what notebook 3 tells of the default settings and of the sweep's pick."""
    runs = (sweep.get("first_run"), sweep.get("sweep", {}).get("best"))
    return {run["run_id"]: run for run in runs if run}
