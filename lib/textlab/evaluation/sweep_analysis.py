"""What the runs of an experiment say, whoever recorded them: what mattered, and what is chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import pandas as pd
from scipy import stats

from .scores import over_seeds

#: Parameters that say what was trained on; runs are compared only where they are equal.
SAME = ("data_sha256", "validation_sha256", "train_rows")
#: Roles of the runs of a sweep that train on all rows, where its trials may have fewer.
FINAL = ("first", "winner")
#: Parameters that follow from others or from the machine, or that final trainings alone have: no settings to choose.
NOT_SETTINGS = (*SAME, "seed", "dataset", "model_sha256", "keep", "patience")
#: What is said of runs over their seeds.
_OVER_SEEDS = ("mean", "sd", "min", "max", "seeds", "low", "high", "scores")
#: The fewest trials that came to their end from which an importance, and a budget curve, are computed.
ENOUGH, FEWEST = 6, 3
#: Samplers whose points do not follow from the scores of earlier ones.
INDEPENDENT = ("random", "quasi_random", "grid")


@dataclass(frozen=True)
class Runs:
    """The runs of an experiment, sorted out."""

    metric: str  # that decides; higher is better
    table: pd.DataFrame  # comparable completed runs, oldest first: run_id, name, minutes, params, metrics, tags.*
    settings: list[str]  # the parameters that differ between them, without the seed
    states: pd.DataFrame  # indexed by state: runs, minutes
    left_out: int  # how many completed runs with the metric are of other rows, other epochs or an older sweep
    note: str  # why the table is empty, in a sentence; empty when it is not
    pruned: pd.DataFrame = field(default_factory=pd.DataFrame)  # as table; the metric is that of the last validation
    finals: pd.DataFrame = field(default_factory=pd.DataFrame)  # as table: a sweep's default settings and its pick
    samplers: tuple[str, ...] = ()  # of the sweeps that the trials belong to; "" where it is not known

    @property
    def trials(self) -> pd.DataFrame:
        """One run for each choice of settings, the oldest; pruned runs have True in the column pruned."""
        runs = pd.concat([self.table.assign(pruned=False), self.pruned.assign(pruned=True)], ignore_index=True)
        return runs.drop_duplicates(self.settings) if self.settings else runs[:1]


def comparable(recorded: pd.DataFrame, metric: str) -> Runs:
    """Return the runs of an experiment, sorted out.

    The newest completed run decides which data the others must have seen to be compared with it; where the trials of a
    sweep had fewer rows or epochs than its final trainings, the newest trial does.

    Args:
        recorded: all runs of the experiment, newest first, as `tracking.runs` returns them.
        metric: that decides.
    """
    runs = _with_states(recorded[~recorded["run_id"].isin(recorded["parent"].dropna())], metric)
    states = runs.groupby("state").agg(runs=("run_id", "size"), minutes=("minutes", "sum"))
    same = _on_the_newest_data(runs, metric)
    finals = _finals(runs, same)
    names = _plain_names(runs, metric)
    table = _with_plain_columns(runs[runs.index.isin([*same.index, *finals.index])], names)
    finals = table[table["run_id"].isin(finals["run_id"])].reset_index(drop=True)
    table = table[table["run_id"].isin(same["run_id"])]
    parameters = {names[column] for column in runs if column.startswith("params.")}
    candidates = sorted(parameters - {f"params.{metric}", *NOT_SETTINGS})
    settings = [name for name in candidates if table[name].nunique(dropna=False) > 1]
    pruned = table.pop("state") == "pruned"
    kept = table[~pruned].reset_index(drop=True)
    completed = runs.loc[runs["state"] == "completed", "run_id"]
    left_out = int((~completed.isin([*kept["run_id"], *finals["run_id"]])).sum())
    note = _nothing_to_compare(runs, metric) if table.empty else ""
    samplers = _samplers(recorded, table[_has_role(table, "trial")])
    return Runs(metric, kept, settings, states, left_out, note, table[pruned].reset_index(drop=True), finals, samplers)


def _samplers(recorded: pd.DataFrame, trials: pd.DataFrame) -> tuple[str, ...]:
    """Return the samplers of the sweeps that trials belong to, as the parent runs have them among their parameters."""
    known = recorded.get("params.sampler", pd.Series(index=recorded.index, dtype=object)).notna()
    samplers = dict(zip(recorded.loc[known, "run_id"], recorded.get("params.sampler", known)[known]))
    return tuple(sorted({samplers.get(parent, "") for parent in trials["parent"]}))


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
    """Return the completed and the pruned runs with a score that saw the data of the newest completed one.

    Trials may have fewer epochs than the final trainings of their sweep, which are left out then, as with fewer rows.
    """
    completed = runs[runs["state"] == "completed"]
    if completed.empty:
        return completed
    trials = completed[~_has_role(completed, *FINAL)]
    newest = (trials if len(trials) else completed).iloc[0]
    table = runs[runs["state"].isin(["completed", "pruned"]) & runs[f"metrics.{metric}"].notna()]
    table = _as(newest, table, *(f"params.{name}" for name in SAME))
    final, epochs = _has_role(table, *FINAL), table.get("params.epochs", pd.Series("", index=table.index))
    return table[~final | epochs.isin(epochs[~final])] if len(trials) else table


def _finals(runs: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the final trainings of a sweep that has picked, of those on the data of the runs compared.

    That is the sweep of the newest run compared, or else the one that picked last. A sweep that was extended may
    have picked again, or have gone back to an earlier pick: only the newest pick counts.
    """
    finals = runs[(runs["state"] == "completed") & _has_role(runs, *FINAL)]
    if len(compared):
        finals = _as(compared.iloc[0], finals, "params.data_sha256", "params.validation_sha256")
    tags = finals.get("tags.picked", pd.Series(index=finals.index, dtype=object))
    picks = finals[_has_role(finals, "winner") | tags.notna()]
    if picks.empty:
        return picks
    own = _as(compared.iloc[0], picks, "parent") if len(compared) else picks
    own = own if len(own) else _as(picks.loc[_picked_at(picks).idxmax()], picks, "parent")
    newest, *others = _picked_at(own).sort_values(ascending=False, kind="stable").index
    dropped = _has_role(own.loc[others], "winner")
    return _as(own.loc[newest], finals.drop(dropped[dropped].index), "parent", "params.train_rows")


def _picked_at(picks: pd.DataFrame) -> pd.Series:
    """Return when a sweep last picked each of these runs, as its tag says; without a tag, when the run began."""
    tags = picks.get("tags.picked", pd.Series(index=picks.index, dtype=object))
    picked = pd.to_datetime(tags, utc=True, format="ISO8601", errors="coerce")
    return pd.concat([picked, picks["started"]], axis=1).max(axis=1)


def _has_role(runs: pd.DataFrame, *roles: str) -> pd.Series:
    return runs.get("tags.role", pd.Series(index=runs.index, dtype=object)).isin(roles)


def _as(one: pd.Series, runs: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the runs that have what one has in these columns, as far as there are such."""
    for column in set(columns) & {*runs}:
        runs = runs[runs[column].fillna("") == ("" if pd.isna(one[column]) else one[column])]
    return runs


def _plain_names(runs: pd.DataFrame, metric: str) -> dict[str, str]:
    """Return the columns of parameters and metrics -> their names without prefix, where these are free.

    Where a parameter and a metric have one name, the parameter gets it, unless that is the metric that decides.
    """
    names, taken = {f"metrics.{metric}": metric}, {*runs, *_OVER_SEEDS, "pruned", metric}
    for column in sorted(runs, reverse=True):  # params.* stand before metrics.*
        name = column.partition(".")[2]
        if column.startswith(("params.", "metrics.")) and column not in names:
            names[column] = column if name in taken else name
            taken.add(name)
    return names


def _with_plain_columns(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return a table, oldest run first, with these names, and numbers wherever all values of a parameter are such."""
    table = table.rename(columns=names).iloc[::-1].reset_index(drop=True)
    for column in table[[*names.values()]].select_dtypes(["object", "string"]):
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

    Where a sweep has repeated settings with fresh seeds, these alone count: the trial that they were chosen for has a
    score that is too good. A seed that was run twice counts once.

    Returns:
        Indexed by the name of the oldest run, which other runs may have too: its run_id, mean, sd, min, max, seeds,
        low and high (95 % t interval of the mean, from two seeds on), scores (a list, one a seed), and the settings.
    """
    rows = []
    groups = runs.table.groupby(runs.settings, dropna=False, sort=False) if runs.settings else [("", runs.table)]
    for _, group in groups if len(runs.table) else []:
        fresh = group[_has_role(group, "repeat")]
        runs_of_it = fresh if len(fresh) else group
        oldest = group[["name", "run_id", *runs.settings]].iloc[0].to_dict()
        rows.append(oldest | _over_seeds(runs_of_it, runs.metric))
    columns = ["name", "run_id", *_OVER_SEEDS, *runs.settings]
    table = pd.DataFrame(rows, columns=columns).set_index("name").rename_axis(None)
    return table.sort_values("mean", ascending=False)


def _over_seeds(runs: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return mean, sd, min, max, seeds, low, high and scores of runs that differ in their seed."""
    scores = runs.drop_duplicates("seed") if "seed" in runs else runs[:1]
    n = len(scores)
    row = over_seeds(scores, [metric]).loc[metric].to_dict() | {"seeds": n, "scores": scores[metric].tolist()}
    margin = stats.t.ppf(0.975, n - 1) * row["sd"] / math.sqrt(n) if n > 1 else math.nan
    return row | {"low": row["mean"] - margin, "high": row["mean"] + margin}


def winner(runs: Runs) -> pd.Series:
    """Return the best run by the metric: of default settings and a sweep's pick, where they are there, else of all."""
    table = runs.finals if len(runs.finals) else runs.table
    return table.loc[table[runs.metric].idxmax()]


def pick(runs: Runs) -> pd.Series:
    """Return the run that a sweep has chosen, trained on all rows; without a sweep, the best run by the metric."""
    picked = runs.finals[_has_role(runs.finals, "winner")]
    return picked.iloc[-1] if len(picked) else winner(runs)


def default(runs: Runs) -> pd.Series | None:
    """Return the run with the default settings, trained on all rows as the sweep's pick was; None if there is none."""
    first = runs.finals[_has_role(runs.finals, "first")]
    return first.iloc[-1] if len(first) else None


def headline(runs: Runs, chosen: Mapping[str, Any]) -> str:
    """Return in a sentence how good the chosen run is, over the seeds of its settings where there are several."""
    table = by_settings(runs)
    what = (
        "The better of default settings and the sweep's pick"
        if len(runs.finals) > 1
        else "The sweep's pick"
        if len(runs.finals)
        else f"Best of {len(table)} settings"
        if len(table) > 1
        else "The only settings"
    )
    fresh = "fresh " if _has_role(runs.table, "repeat").any() else ""
    sentence = f"{what}: {chosen['name']} with {runs.metric} {chosen[runs.metric]:.3f}"
    repeated = alike(table, chosen, runs.settings) & (table["seeds"] > 1)
    repeated &= chosen["run_id"] in set(runs.table["run_id"])  # else repeats had fewer rows or epochs than it
    for own in table[repeated].to_dict("records"):
        sentence += (
            f"; over {own['seeds']} {fresh}seeds its settings have a mean of {own['mean']:.3f} "
            f"(sd {own['sd']:.3f}, {own['min']:.3f} to {own['max']:.3f})"
        )
    return sentence + "."


def alike(table: pd.DataFrame, chosen: Mapping[str, Any], settings: list[str]) -> pd.Series:
    """Return which rows have the settings of a run; a setting that neither has is the same."""
    same = pd.Series(True, index=table.index)
    for name in settings:
        same &= table[name].isna() if pd.isna(chosen[name]) else table[name] == chosen[name]
    return same


def importance(runs: Runs) -> pd.Series:
    """Return the share of the differences in rank that each setting explains by itself (fANOVA, Hutter et al. 2014).

    Ranks, because the score of a pruned run comes from a shorter training; it ranks below every completed one.

    Returns:
        Indexed by setting, largest first; settings that some trials lack are left out. Empty when fewer than `ENOUGH`
        trials came to their end, or all of these score the same.
    """
    trials = runs.trials
    completed = trials[~trials["pruned"]]
    if len(completed) < ENOUGH or not runs.settings or completed[runs.metric].nunique() == 1:
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


def as_shares(curve: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """Return the curve of a run over the share of its training, so that long and short trainings can be compared.

    Args:
        curve: columns step and value.
        run: a row of one of the tables of `Runs`; a pruned one has train_share, the share at its last validation.

    Returns:
        Columns step, value and share (from 0 to 1); empty for a pruned run of which that share is not known.
    """
    trained = run.get("train_share") if run.get("tags.trial_state") == "pruned" else 1.0
    if pd.isna(trained):
        return curve[:0].assign(share=pd.Series(dtype=float))
    return curve.assign(share=trained * curve["step"] / curve["step"].max())


def no_budget_curve(runs: Runs) -> str:
    """Return in a sentence why `budget_curve` says nothing of these runs; empty when it does."""
    trials, reasons = _sweep_trials(runs), []
    if not len(trials):
        return "No curve: no trial of a sweep came to its end."
    if len(runs.pruned):
        reasons.append(
            f"{len(runs.pruned)} of {len(runs.pruned) + len(trials)} trials were pruned, and have no final score"
        )
    if dependent := [name or "unknown" for name in runs.samplers if name not in INDEPENDENT]:
        reasons.append(f"the sampler ({', '.join(dependent)}) may choose a trial by the scores of earlier ones")
    if (n := len(_drawn(trials))) < FEWEST:
        reasons.append(f"{n} is too few")
    needed = f"It takes {FEWEST} finished trials or more, drawn independently (sampler {', '.join(INDEPENDENT)})."
    return f"No curve: {', and '.join(reasons)}. {needed}" if reasons else ""


def budget_curve(runs: Runs) -> pd.DataFrame:
    """Return the best score to expect from fewer trials (Dodge et al. 2019), without that of the default settings.

    It is the mean over all ways to draw so many of the trials without putting any back. That is what a smaller sweep
    would have found only where its trials do not depend on each other, and each was trained to its end.

    Returns:
        Columns trials, expected and minutes, a row for each number of trials; empty where `no_budget_curve` says why.
    """
    if no_budget_curve(runs):
        return pd.DataFrame(columns=["trials", "expected", "minutes"])
    trials = _drawn(_sweep_trials(runs))
    scores = np.sort(trials[runs.metric].to_numpy(float))
    n, minutes = len(scores), trials["minutes"].mean()
    rows, others_below = [], np.ones(n)  # comb(i, k - 1) / comb(n - 1, k - 1), for score i
    for k in range(1, n + 1):
        if k > 1:
            others_below *= (np.arange(n) - k + 2) / (n - k + 1)
        rows.append({"trials": k, "expected": float(scores @ others_below) * k / n, "minutes": k * minutes})
    return pd.DataFrame(rows, columns=["trials", "expected", "minutes"])


def _sweep_trials(runs: Runs) -> pd.DataFrame:
    """Return the trials of sweeps that came to their end, each choice of settings once."""
    trials = runs.table[_has_role(runs.table, "trial")]
    return trials.drop_duplicates(runs.settings) if runs.settings else trials[:1]


def _drawn(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials without those of the default settings, which no sampler has drawn."""
    return trials[trials.get("tags.point", pd.Series(index=trials.index, dtype=object)) != "default"]
