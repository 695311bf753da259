"""From figures to verdicts: medians, quartiles, ratios of paired rounds, and whether a goal is met.

A row of figures is a list with one value for each round and None where a run failed. Ratios are
taken inside a round, so that what moved the whole machine moves both.
"""
import statistics
from dataclasses import dataclass

from . import workloads

ROUNDS_NEEDED = 11


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the values that are there."""
    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Verdict:
    """state is one of met, missed, not resolved, not measured, not asked; `why` says more."""
    goal: str
    state: str
    spread: Spread = None
    against: str = ""
    why: str = ""

    def text(self):
        return f"{self.state} ({self.why})" if self.why else self.state


def figures(samples, key):
    return [None if sample is None else sample.get(key) for sample in samples]


def spread(row):
    """None when nothing is there."""
    known = sorted(value for value in row if value is not None)
    if not known:
        return None
    if len(known) == 1:
        return Spread(known[0], known[0], known[0], 1)
    low, median, high = statistics.quantiles(known, n=4, method="inclusive")
    return Spread(median, low, high, len(known))


def paired(first, second, combine):
    """combine(a, b) of each round in which both ran and it has an answer."""
    return [value for a, b in zip(first, second) if a is not None and b is not None
            for value in [combine(a, b)] if value is not None]


def divided(a, b):
    return a / b if b else None


def rises(first, second):
    """second / first of each round, None where it has none: still one entry for each round."""
    return [None if None in (a, b) else divided(b, a) for a, b in zip(first, second)]


def judge(goal, row, limit, failed=0, against=""):
    """The verdict on one row of ratios (or figures) that should be at or below `limit`."""
    found = spread(row)
    if failed:
        return Verdict(goal, "missed", found, against, f"runs that failed: {failed}")
    if found is None:
        return Verdict(goal, "not measured", None, against)
    if found.median <= limit:
        state = "met"
    elif found.low > limit:
        state = "missed"
    else:
        state = "not resolved"
    if found.count < ROUNDS_NEEDED:
        hint = {"met": "met so far", "missed": "missed so far"}.get(state, "")
        words = f"{found.count} of {ROUNDS_NEEDED} rounds"
        return Verdict(goal, "not resolved", found, against, ", ".join(filter(None, (words, hint))))
    return Verdict(goal, state, found, against)


def for_both(goal):
    """Held by epoll as it stands; a ratio to a floor or to all peers is io_uring's."""
    return goal.against == workloads.ITSELF or bool(goal.only)


class Results:
    """All samples: rows[work name][contender name] is a list with one entry for each round."""

    def __init__(self, servers):
        self.groups = {server.name: server.group for server in servers}
        self.works, self.rows = {}, {}

    def add(self, work, samples):
        self.works[work.name], self.rows[work.name] = work, samples

    def values(self, work, name):
        return figures(self.rows[work.name].get(name, []), work.metric.key)

    def lowest(self, work, group, only=()):
        """The server of `group` with the lowest median in the row, or None."""
        medians = {}
        for name in self.rows[work.name]:
            if self.groups.get(name) == group and (not only or name in only):
                found = spread(self.values(work, name))
                if found and found.median > 0:
                    medians[name] = found.median
        return min(medians, key=medians.get) if medians else None

    def opponent(self, work, goal):
        if goal.against == workloads.BETTER_FLOOR:
            return self.lowest(work, "floor")
        if goal.against == workloads.BEST_PEER:
            return self.lowest(work, "peer", goal.only)
        return goal.against if goal.against in self.rows[work.name] else None

    def ratio(self, work, name, opponent):
        if opponent is None:
            return []
        return paired(self.values(work, name), self.values(work, opponent), divided)

    def judge_goal(self, work, name, goal):
        mine = self.values(work, name)
        failed = mine.count(None)
        if goal.against == workloads.ITSELF:
            return judge(goal.text(), mine, goal.limit, failed)
        opponent = self.opponent(work, goal)
        if opponent is None:
            return Verdict(goal.text(), "not measured", why=f"no {goal.against.split()[-1]}")
        verdict = judge(goal.text(), self.ratio(work, name, opponent), goal.limit, failed, opponent)
        theirs = self.values(work, opponent)
        # A peer that --settle left out was behind in every round that it ran.
        if self.groups.get(opponent) == "peer" and len(theirs) < len(mine) >= ROUNDS_NEEDED and \
                verdict.spread and verdict.spread.median <= goal.limit and not failed:
            return Verdict(verdict.goal, "met", verdict.spread, opponent,
                           f"{opponent} ran {len(theirs)} rounds")
        return verdict

    def verdicts(self, work, name):
        """The goals of one row for one of our engines."""
        if name not in self.rows[work.name]:
            return []
        if name != "sluice epoll":
            return [self.judge_goal(work, name, goal) for goal in work.goals]
        found = [self.judge_goal(work, name, goal) for goal in work.goals if for_both(goal)]
        if any(not for_both(goal) for goal in work.goals) and self.lowest(work, "floor"):
            found.append(self.judge_epoll(work, name))
        return found

    def judge_epoll(self, work, name):
        """epoll is held against its own floor, in every row where io_uring is within its goals."""
        if any(verdict.state == "missed" for verdict in self.verdicts(work, "sluice uring")):
            return Verdict(workloads.EPOLL_GOAL.text(), "not asked", why="io_uring missed its goal")
        return self.judge_goal(work, name, workloads.EPOLL_GOAL)

    def across(self, goal, name):
        """The verdict on a goal that compares two rows, or None when one of them is not there."""
        if goal.first not in self.rows or goal.second not in self.rows:
            return None
        first, second = self.works[goal.first], self.works[goal.second]
        a, b = self.values(first, name), self.values(second, name)
        if not a or not b:
            return None
        failed = a.count(None) + b.count(None)
        text = f"{goal.name}: at most {goal.limit:g}"
        if goal.how == "difference":
            return judge(text, paired(a, b, lambda x, y: y - x), goal.limit, failed)
        if goal.how == "ratio":
            return judge(text, paired(b, a, divided), goal.limit, failed)
        floor = "floor io_uring" if name.endswith("uring") else "floor epoll"
        theirs = rises(self.values(first, floor), self.values(second, floor))
        return judge(text, paired(rises(a, b), theirs, divided), goal.limit, failed, floor)
