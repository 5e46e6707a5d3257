"""What the runs of an experiment say, whoever recorded them: what mattered, what is chance, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
from scipy import stats

from .scores import BASELINES, compare, over_seeds

#: Parameters that say what was trained on; runs are compared only where they are equal.
SAME = ("data_sha256", "validation_sha256", "train_rows")
#: Roles of the runs of a sweep that train on all rows, where its trials may have fewer.
FINAL = ("first", "winner")
#: Parameters that follow from others or from the machine, and are no settings to choose.
NOT_SETTINGS = (*SAME, "seed", "dataset", "model_sha256")
#: The fewest trials that an importance is computed from.
ENOUGH = 6


@dataclass(frozen=True)
class Runs:
    """The runs of an experiment, sorted out."""

    metric: str  # that decides; higher is better
    table: pd.DataFrame  # comparable completed runs, oldest first: run_id, name, minutes, params, metrics, tags.*
    settings: list[str]  # the parameters that differ between them, without the seed
    states: pd.DataFrame  # indexed by state: runs, minutes
    left_out: int  # how many completed runs with the metric saw other data
    note: str  # why the table is empty, in a sentence; empty when it is not
    pruned: pd.DataFrame = field(default_factory=pd.DataFrame)  # as table; the metric is that of the last validation
    finals: pd.DataFrame = field(default_factory=pd.DataFrame)  # as table: the first run and the winner of the sweep

    @property
    def trials(self) -> pd.DataFrame:
        """One run for each choice of settings, the oldest; pruned runs have True in the column pruned."""
        runs = pd.concat([self.table.assign(pruned=False), self.pruned.assign(pruned=True)], ignore_index=True)
        return runs.drop_duplicates(self.settings) if self.settings else runs[:1]


def comparable(recorded: pd.DataFrame, metric: str) -> Runs:
    """Return the runs of an experiment, sorted out.

    The newest completed run decides which data the others must have seen to be compared with it; where the trials of a
    sweep had fewer rows than its final trainings, the newest trial does.

    Args:
        recorded: all runs of the experiment, newest first, as `tracking.runs` returns them.
        metric: that decides.
    """
    runs = _with_states(recorded[~recorded["run_id"].isin(recorded["parent"].dropna())], metric)
    states = runs.groupby("state").agg(runs=("run_id", "size"), minutes=("minutes", "sum"))
    same = _on_the_newest_data(runs, metric)
    finals = _finals(runs, same)
    table = _with_plain_columns(runs[runs.index.isin([*same.index, *finals.index])], metric)
    finals = table[table["run_id"].isin(finals["run_id"])].reset_index(drop=True)
    table = table[table["run_id"].isin(same["run_id"])]
    parameters = {column.removeprefix("params.") for column in runs if column.startswith("params.")}
    candidates = sorted(parameters - {metric, *NOT_SETTINGS})
    settings = [name for name in candidates if table[name].nunique(dropna=False) > 1]
    pruned = table.pop("state") == "pruned"
    kept = table[~pruned].reset_index(drop=True)
    completed = runs.loc[runs["state"] == "completed", "run_id"]
    left_out = int((~completed.isin([*kept["run_id"], *finals["run_id"]])).sum())
    note = _nothing_to_compare(runs, metric) if table.empty else ""
    return Runs(metric, kept, settings, states, left_out, note, table[pruned].reset_index(drop=True), finals)


def _with_states(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return runs with their state in the column state and, for pruned ones, the metric of their last validation."""
    score, last_validation = f"metrics.{metric}", f"metrics.{metric.replace('validation_', 'eval_', 1)}"
    missing = pd.Series(index=runs.index)
    pruned = runs.get("tags.trial_state", missing) == "pruned"
    scores = runs.get(score, missing).astype(float).where(~pruned, runs.get(last_validation, missing))
    completed = (runs["status"] == "FINISHED") & scores.notna()
    states = runs["status"].str.lower().replace({"finished": f"finished without {metric}"})
    return runs.assign(**{score: scores, "state": states.where(~completed, "completed").where(~pruned, "pruned")})


def _on_the_newest_data(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the completed and the pruned runs with a score that saw the data of the newest completed one."""
    completed = runs[runs["state"] == "completed"]
    if completed.empty:
        return completed
    trials = completed[~_has_role(completed, *FINAL)]
    newest = (trials if len(trials) else completed).iloc[0]
    table = runs[runs["state"].isin(["completed", "pruned"]) & runs[f"metrics.{metric}"].notna()]
    return _as(newest, table, *(f"params.{name}" for name in SAME))


def _finals(runs: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the final trainings of the newest sweep with a winner, of those on the data of the runs compared."""
    finals = runs[(runs["state"] == "completed") & _has_role(runs, *FINAL)]
    if len(compared):
        finals = _as(compared.iloc[0], finals, "params.data_sha256", "params.validation_sha256")
    winners = finals[_has_role(finals, "winner")]
    return _as(winners.iloc[0], finals, "parent", "params.train_rows") if len(winners) else winners


def _has_role(runs: pd.DataFrame, *roles: str) -> pd.Series:
    return runs.get("tags.role", pd.Series(index=runs.index, dtype=object)).isin(roles)


def _as(one: pd.Series, runs: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the runs that have what one has in these columns, as far as there are such."""
    for column in set(columns) & {*runs}:
        runs = runs[runs[column].fillna("") == ("" if pd.isna(one[column]) else one[column])]
    return runs


def _with_plain_columns(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a table, oldest run first, whose columns have no prefix, with numbers wherever all values are numbers.

    Where a parameter and a metric have one name, the parameter gets it, unless that is the metric that decides.
    """
    names = {f"metrics.{metric}": metric}
    for column in sorted(table, reverse=True):  # params.* stand before metrics.*
        name = column.partition(".")[2]
        if column.startswith(("params.", "metrics.")) and name not in names.values():
            names[column] = name
    table = table.rename(columns=names).iloc[::-1].reset_index(drop=True)
    for column in table.select_dtypes(["object", "string"]):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if len(table) and numbers.notna().eq(table[column].notna()).all():
            table[column] = numbers
    return table


def _nothing_to_compare(runs: pd.DataFrame, metric: str) -> str:
    metrics = sorted(
        column.removeprefix("metrics.")
        for column in runs
        if column.startswith("metrics.") and "system/" not in column and runs[column].notna().any()
    )
    return f"The experiment has {len(runs)} runs, but no completed one with the metric {metric}" + (
        f"; there are {', '.join(metrics[:12])}." if metrics else ": notebook 3 makes some."
    )


def by_settings(runs: Runs) -> pd.DataFrame:
    """Return what each choice of settings came to over its seeds, best mean first.

    Returns:
        Indexed by the name of the oldest run: mean, sd, min, max, seeds, low and high (95 % t interval of the mean,
        from two seeds on), and the settings. A seed that was run twice counts once.
    """
    rows = {}
    groups = runs.table.groupby(runs.settings, dropna=False, sort=False) if runs.settings else [("", runs.table)]
    for _, group in groups if len(runs.table) else []:
        scores = group.drop_duplicates("seed") if "seed" in group else group[:1]
        n = len(scores)
        row = over_seeds(scores, [runs.metric]).loc[runs.metric].to_dict() | {"seeds": n}
        margin = stats.t.ppf(0.975, n - 1) * row["sd"] / math.sqrt(n) if n > 1 else math.nan
        row |= {"low": row["mean"] - margin, "high": row["mean"] + margin}
        rows[group["name"].iloc[0]] = row | group[runs.settings].iloc[0].to_dict()
    columns = ["mean", "sd", "min", "max", "seeds", "low", "high", *runs.settings]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("mean", ascending=False)


def winner(runs: Runs) -> pd.Series:
    """Return the best run by the metric: of a sweep's first run and winner, which had all rows, else of all runs."""
    table = runs.finals if len(runs.finals) else runs.table
    return table.loc[table[runs.metric].idxmax()]


def headline(runs: Runs, chosen: Mapping[str, Any]) -> str:
    """Return in a sentence how good the chosen run is, over the seeds of its settings where there are several."""
    table = by_settings(runs)
    what = "The better of first run and winner" if len(runs.finals) > 1 else f"Best of {len(table)} settings"
    sentence = f"{what}: {chosen['name']} with {runs.metric} {chosen[runs.metric]:.3f}"
    for own in table[_same(table, chosen, runs.settings) & (table["seeds"] > 1)].to_dict("records"):
        sentence += (
            f"; over {own['seeds']} seeds its settings have a mean of {own['mean']:.3f} "
            f"(sd {own['sd']:.3f}, {own['min']:.3f} to {own['max']:.3f})"
        )
    return sentence + "."


def importance(runs: Runs) -> pd.Series:
    """Return the share of the differences in rank that each setting explains by itself (fANOVA, Hutter et al. 2014).

    Ranks, because the score of a pruned run comes from a shorter training; it ranks below every completed one.

    Returns:
        Indexed by setting, largest first; settings that some trials lack are left out. Empty when there are fewer than
        `ENOUGH` trials, or all score the same.
    """
    trials = runs.trials
    if len(trials) < ENOUGH or not runs.settings or trials[runs.metric].nunique() == 1:
        return pd.Series(dtype=float)
    distributions = {name: _distribution(trials[name]) for name in runs.settings}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    worst_first = trials.sort_values(["pruned", runs.metric], ascending=[False, True])
    for rank, row in enumerate(worst_first[runs.settings].to_dict("records")):
        known = {name: distribution for name, distribution in distributions.items() if pd.notna(row[name])}
        values = {
            name: str(row[name])
            if isinstance(distribution, optuna.distributions.CategoricalDistribution)
            else row[name]
            for name, distribution in known.items()
        }
        study.add_trial(optuna.trial.create_trial(params=values, distributions=known, value=float(rank)))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return pd.Series(shares, dtype=float).sort_values(ascending=False)


def _distribution(column: pd.Series) -> optuna.distributions.BaseDistribution:
    values = column.dropna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.nunique() == 1:
        return optuna.distributions.CategoricalDistribution(sorted(values.astype(str).unique()))
    low, high = float(values.min()), float(values.max())
    return optuna.distributions.FloatDistribution(low, high, log=low > 0 and high / low >= 5)


def budget_curve(runs: Runs) -> pd.DataFrame:
    """Return the best score to expect from fewer trials (Dodge et al. 2019).

    It is the mean over all ways to draw so many of the trials without putting any back.

    Returns:
        Columns trials, expected and minutes, a row for each number of trials; empty when no run was completed.
    """
    if runs.table.empty:
        return pd.DataFrame(columns=["trials", "expected", "minutes"])
    scores = np.sort(runs.trials[runs.metric].to_numpy(float))
    n, minutes = len(scores), runs.trials["minutes"].mean()
    rows = []
    for k in range(1, n + 1):
        best_of_k = np.array([math.comb(i, k - 1) for i in range(n)], dtype=float) / math.comb(n, k)  # for score i
        rows.append({"trials": k, "expected": float(scores @ best_of_k), "minutes": k * minutes})
    return pd.DataFrame(rows, columns=["trials", "expected", "minutes"])


def on_edge(space: Mapping[str, Any], best: Mapping[str, Any], share: float = 0.1) -> list[str]:
    """Return a sentence for each setting whose best value lies at the edge of its range.

    Args:
        space: that was searched, as `search_space.check_space` returns it.
        best: settings of the best run.
        share: how close to a bound counts, as a share of the range (of its logarithm with `log`).
    """
    sentences = []
    for name, spec in space.items():
        if "choices" in spec or pd.isna(best.get(name)):
            continue
        scale = math.log if spec.get("log") else float
        low, high, value = (scale(float(x)) for x in (spec["low"], spec["high"], best[name]))
        place = (value - low) / (high - low)
        if place <= share or place >= 1 - share:
            bound, direction = (spec["low"], "lower") if place <= share else (spec["high"], "higher")
            sentences.append(
                f"The best {name} ({float(best[name]):.3g}) lies at the edge of the range searched ({bound}): "
                f"a {direction} value may be better still."
            )
    return sentences


def next_space(space: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Return a search space for the next sweep, around the best third of the trials.

    A range gets wider where the best lie at its edge.

    Args:
        space: that was searched, as `search_space.check_space` returns it; settings that no trial has stay.
        runs: of that sweep.
    """
    trials = runs.trials.sort_values(runs.metric, ascending=False)
    top = trials[: max(2, math.ceil(len(trials) / 3))]
    following: dict[str, Any] = {}
    for name, spec in space.items():
        values = top[name].dropna() if name in top else pd.Series(dtype=float)
        if len(values) < 2:
            following[name] = spec
        elif "choices" in spec:
            seen = {*values.astype(str), *values}
            following[name] = spec | {"choices": [x for x in spec["choices"] if x in seen or str(x) in seen]}
        else:
            following[name] = spec | _range_around(values, spec)
    return following


def _range_around(values: pd.Series, spec: Mapping[str, Any]) -> dict[str, float]:
    """Return low and high a margin beyond the values, in the kind of numbers of the range that was searched."""
    scale, back = (np.log, np.exp) if spec.get("log") else (np.asarray, np.asarray)
    low, high, least, most = (float(scale(x)) for x in (spec["low"], spec["high"], values.min(), values.max()))
    margin = max((most - least) * 0.25, (high - low) * 0.1)
    lower, upper = (float(f"{float(back(x)):.2g}") for x in (least - margin, most + margin))
    if isinstance(spec["low"], int):
        lower, upper = max(1, math.floor(lower)), math.ceil(upper)
    elif lower < 0 <= spec["low"]:
        lower = spec["low"]
    return {"low": lower, "high": upper}


def against(
    runs: Runs, chosen: Mapping[str, Any], answers: Callable[[str, str], Mapping[str, Any] | None]
) -> pd.DataFrame:
    """Return paired tests of a run against its rivals and the baselines, on the same rows.

    The rivals of a sweep's winner or first run are the other one; those of another run are the next best settings.

    Args:
        runs: that the chosen one is among.
        chosen: a row of their table.
        answers: gives what was recorded for (run id, split or `<split>_<baseline>`), as `tracking.predictions` does.

    Returns:
        Indexed by the other's name: split, difference (accuracy of the chosen one minus the other's), low, high and
        p_value; only those whose answers were recorded for the same rows. A baseline is compared on test if it can be.
    """
    rows = {}
    for name, run_id, split, file in _opponents(runs, chosen):
        mine, theirs = answers(chosen["run_id"], split), answers(run_id, file)
        if name in rows or not (mine and theirs and all(mine[key] == theirs[key] for key in ("rows_sha256", "labels"))):
            continue
        test = compare(mine["true"], mine["predicted"], theirs["predicted"])
        low, high = test["difference_ci95"]
        rows[name] = [split, test["difference"], low, high, test["p_value"]]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["split", "difference", "low", "high", "p_value"])


def _opponents(runs: Runs, chosen: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, run id, split and file of the answers that a run is compared with."""
    splits = ("test", "validation")
    for other in runs.finals[runs.finals["run_id"] != chosen["run_id"]].to_dict("records") if len(runs.finals) else []:
        yield from ((other["name"], other["run_id"], split, split) for split in splits)
    table = by_settings(runs if len(runs.finals) < 2 else replace(runs, table=runs.table[:0]))
    for name in table.index[~_same(table, chosen, runs.settings)][:1]:
        run_id = runs.table.loc[runs.table["name"] == name, "run_id"].iloc[0]
        yield f"runner-up ({name})", run_id, "validation", "validation"
    for split in splits:
        for baseline, words in reversed(BASELINES.items()):
            yield words, chosen["run_id"], split, f"{split}_{baseline}"


def _same(table: pd.DataFrame, chosen: Mapping[str, Any], settings: list[str]) -> pd.Series:
    """Return which rows have the settings of a run; a setting that neither has is the same."""
    same = pd.Series(True, index=table.index)
    for name in settings:
        same &= table[name].isna() if pd.isna(chosen[name]) else table[name] == chosen[name]
    return same
