#!/usr/bin/env python3
"""Tests of the arithmetic of bench/compare: ratios, verdicts, the table; nothing is started."""
import os
import sys
import unittest
from xml.etree import ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from comparing import documents, plots, report, running, servers, verdicts, workloads  # noqa: E402

WORKS = {work.name: work for work in workloads.WORKS}
KEEP_ALIVE = WORKS["GET keep-alive, 64 connections"]
PIPELINED = WORKS["GET, 16 pipelined, 64 connections"]
IDLE = WORKS[workloads.IDLE]


def row(work, values):
    return {name: [None if value is None else {work.metric.key: value} for value in numbers]
            for name, numbers in values.items()}


def results(*rows):
    """Results of (work, {server: figures}) rows."""
    found = verdicts.Results(servers.all_servers())
    for work, values in rows:
        found.add(work, row(work, values))
    return found


def eleven(value):
    return [value] * 11


class Spread(unittest.TestCase):
    def test_quartiles_of_what_is_there(self):
        found = verdicts.spread([5.0, None, 1.0, 2.0, 3.0, 4.0])
        self.assertEqual((found.low, found.median, found.high, found.count), (2.0, 3.0, 4.0, 5))
        self.assertIsNone(verdicts.spread([None, None]))

    def test_one_value_is_its_own_quartile(self):
        self.assertEqual(verdicts.spread([7.0]), verdicts.Spread(7.0, 7.0, 7.0, 1))

    def test_pairs_need_both_and_a_denominator(self):
        found = verdicts.paired([1.0, None, 3.0, 4.0], [2.0, 2.0, None, 0], verdicts.divided)
        self.assertEqual(found, [0.5])


class Judge(unittest.TestCase):
    def state(self, values, limit, failed=0):
        return verdicts.judge("", values, limit, failed).state

    def test_met_at_the_limit_and_not_above(self):
        self.assertEqual(self.state(eleven(1.10), 1.10), "met")
        self.assertEqual(self.state(eleven(1.11), 1.10), "missed")

    def test_a_median_above_with_a_quartile_below_is_not_resolved(self):
        values = [1.0] * 4 + [1.2] * 7
        self.assertEqual(self.state(values, 1.10), "not resolved")

    def test_ten_rounds_resolve_nothing_and_say_so(self):
        found = verdicts.judge("", [1.0] * 10, 1.10)
        self.assertEqual((found.state, found.why), ("not resolved", "10 of 11 rounds, met so far"))

    def test_a_run_that_failed_misses(self):
        self.assertEqual(self.state(eleven(1.0), 1.10, failed=1), "missed")

    def test_nothing_measured(self):
        self.assertEqual(self.state([], 1.10), "not measured")


class Goals(unittest.TestCase):
    def test_the_ratio_is_of_paired_rounds_against_the_better_floor(self):
        found = results((KEEP_ALIVE, {
            "sluice uring": [6.0, 12.0, None], "floor epoll": [5.0, 10.0, 5.0],
            "floor io_uring": [9.0, 11.0, 9.0], "nginx": [9.0, 18.0, 9.0]}))
        self.assertEqual(found.lowest(KEEP_ALIVE, "floor"), "floor epoll")
        self.assertEqual(found.ratio(KEEP_ALIVE, "sluice uring", "floor epoll"), [1.2, 1.2])

    def test_a_peer_that_is_faster_misses(self):
        found = results((KEEP_ALIVE, {
            "sluice uring": eleven(6.0), "floor epoll": eleven(6.0), "nginx": eleven(9.0),
            "Beast": eleven(5.0)}))
        self.assertEqual([(verdict.state, verdict.against)
                          for verdict in found.verdicts(KEEP_ALIVE, "sluice uring")],
                         [("met", "floor epoll"), ("missed", "Beast")])

    def test_pipelining_is_held_against_the_ring(self):
        found = results((PIPELINED, {
            "sluice uring": eleven(0.45), "sluice epoll": eleven(0.45),
            "floor epoll": eleven(0.42), "floor io_uring": eleven(0.40)}))
        self.assertEqual(found.verdicts(PIPELINED, "sluice uring")[0].against, "floor io_uring")
        epoll = found.verdicts(PIPELINED, "sluice epoll")
        self.assertEqual([(verdict.state, verdict.against) for verdict in epoll],
                         [("met", "floor epoll")])

    def test_epoll_is_not_asked_where_the_ring_missed(self):
        found = results((PIPELINED, {
            "sluice uring": eleven(0.8), "sluice epoll": eleven(0.8), "floor epoll": eleven(0.4),
            "floor io_uring": eleven(0.4)}))
        self.assertEqual(found.verdicts(PIPELINED, "sluice epoll")[0].state, "not asked")

    def test_memory_is_held_against_a_number(self):
        for size, state in ((200, "met"), (201, "missed")):
            found = results((IDLE, {"sluice uring": eleven(size)}))
            self.assertEqual(found.verdicts(IDLE, "sluice uring")[0].state, state)

    def test_latency_is_held_against_the_better_of_two(self):
        work = next(work for work in workloads.WORKS if work.kind == "latency")
        found = results((work, {"sluice epoll": eleven(100.0), "nginx": eleven(90.0),
                                "h2o": eleven(120.0)}))
        self.assertEqual([(verdict.state, verdict.against)
                          for verdict in found.verdicts(work, "sluice epoll")],
                         [("missed", "nginx")])


class Across(unittest.TestCase):
    def across(self, how):
        return next(goal for goal in workloads.ACROSS if goal.how == how)

    def state(self, how, first, second, name="sluice uring"):
        goal = self.across(how)
        found = results((WORKS[goal.first], first), (WORKS[goal.second], second))
        return found.across(goal, name).state

    def test_a_subscription_costs_the_difference(self):
        for more, state in ((232, "met"), (233, "missed")):
            self.assertEqual(self.state("difference", {"sluice uring": eleven(200)},
                                        {"sluice uring": eleven(more)}), state)

    def test_the_wide_storm_is_no_slower(self):
        self.assertEqual(self.state("ratio", {"sluice uring": eleven(0.5)},
                                    {"sluice uring": eleven(0.6)}), "missed")

    def test_the_rise_is_measured_by_that_of_the_floor_of_the_same_engine(self):
        first = {"sluice epoll": eleven(5.0), "floor epoll": eleven(4.0),
                 "floor io_uring": eleven(4.0)}
        second = {"sluice epoll": eleven(10.0), "floor epoll": eleven(8.0),
                  "floor io_uring": eleven(6.0)}
        self.assertEqual(self.state("rise", first, second, "sluice epoll"), "met")

    def test_a_row_that_was_not_run(self):
        goal = self.across("ratio")
        found = results((WORKS[goal.first], {"sluice uring": eleven(1.0)}))
        self.assertIsNone(found.across(goal, "sluice uring"))


class Report(unittest.TestCase):
    def test_a_run_that_failed_leaves_a_gap_not_a_number(self):
        found = results((KEEP_ALIVE, {"sluice uring": [None], "floor epoll": [5.0]}))
        lines = report.figures_table(found, ["sluice uring", "floor epoll", "nginx"])
        self.assertIn("| GET keep-alive, 64 connections | us CPU a request | failed | 5.00 |  |",
                      lines)

    def test_a_goal_that_is_missed_stands_out(self):
        found = results((IDLE, {"sluice uring": eleven(900)}))
        self.assertIn("| at most 200 | **missed** |",
                      report.ratios_table(found, ["sluice uring"]))


class Workloads(unittest.TestCase):
    def test_names_are_unique_and_goals_across_rows_name_them(self):
        self.assertEqual(len(WORKS), len(workloads.WORKS))
        for goal in workloads.ACROSS:
            self.assertIn(goal.first, WORKS)
            self.assertIn(goal.second, WORKS)
        for _, names in workloads.CURVES.values():
            self.assertLessEqual(set(names), set(WORKS))

    def test_json_is_two_kib(self):
        self.assertEqual(len(workloads.JSON), 2048)

    def test_variants_run_on_our_engines_only(self):
        work = next(work for work in workloads.WORKS if work.variants)
        names = [contender.name for contender in running.contenders(work, servers.all_servers())]
        self.assertEqual(names, ["sluice uring, 4", "sluice uring, 16", "sluice epoll, 4",
                                 "sluice epoll, 16"])

    def test_no_process_needs_more_than_its_descriptors(self):
        for work in workloads.WORKS:
            self.assertLess(work.conns, servers.FILES_LIMIT - 1000, work.name)


class Plots(unittest.TestCase):
    def test_a_chart_is_xml_with_a_line_for_each_server(self):
        drawing = plots.chart("a < b", "x", "y", {"one": [(1, 2.0), (1000, 4.0)],
                                                  "two": [(1, 3.0), (1000, 9.0)]},
                              [1, 1000], log_x=True, log_y=False)
        root = ElementTree.fromstring(drawing)
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}polyline")), 2)

    def test_ticks_are_round_and_inside(self):
        self.assertEqual(plots.Scale([3.0, 300.0], 0, 100, True).ticks(), [5, 10, 20, 50, 100, 200])
        self.assertEqual(plots.Scale([10.0], 0, 100, False).ticks(), [0, 2, 4, 6, 8, 10])


class Settled(unittest.TestCase):
    def settled(self, name, ours, theirs, settle=3):
        server = next(server for server in servers.all_servers() if server.name == name)
        samples = {"sluice uring": [{"key": value} for value in ours],
                   name: [{"key": value} if value else None for value in theirs]}
        return running.is_settled(running.Contender(server, name), samples, "key", settle)

    def test_a_goal_against_a_settled_peer_is_met(self):
        found = results((KEEP_ALIVE, {
            "sluice uring": eleven(6.0), "floor io_uring": eleven(6.0), "nginx": [9.0, 9.0]}))
        verdict = found.verdicts(KEEP_ALIVE, "sluice uring")[1]
        self.assertEqual((verdict.state, verdict.why), ("met", "nginx ran 2 rounds"))

    def test_only_a_peer_that_never_came_near(self):
        self.assertTrue(self.settled("nginx", [1, 1, 1], [1.4, 1.5, 9]))
        self.assertFalse(self.settled("nginx", [1, 1, 1], [1.4, 1.2, 9]))
        self.assertFalse(self.settled("nginx", [1, 1, 1], [1.4, None, 9]), "a run that failed")
        self.assertFalse(self.settled("nginx", [1, 1], [2, 2]), "too early")
        self.assertFalse(self.settled("nginx", [1, 1, 1], [2, 2, 2], settle=0))
        self.assertFalse(self.settled("floor epoll", [1, 1, 1], [2, 2, 2]), "floors always run")


class Documents(unittest.TestCase):
    def test_only_what_stands_between_the_markers_is_exchanged(self):
        text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
        self.assertEqual(documents.replaced(text, "x", "new"),
                         "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n")
        for wrong in ("", text + text, text.replace("<!-- x: end -->", "")):
            with self.assertRaises(ValueError):
                documents.replaced(wrong, "x", "new")

    def test_the_compact_table_names_the_best_peer_and_both_ratios(self):
        found = results((KEEP_ALIVE, {
            "sluice uring": eleven(6.0), "sluice epoll": eleven(9.0), "floor io_uring": eleven(6.0),
            "floor epoll": eleven(7.0), "nginx": eleven(8.0), "h2o": eleven(8.5)}))
        lines = documents.compact_table(found, ["sluice uring", "sluice epoll"]).splitlines()
        self.assertEqual(lines[2].split(" | ")[2:],
                         ["6.00", "9.00", "6.00", "7.00", "8.00 nginx", "1.00", "1.50 |"])
        self.assertEqual(documents.counts(found, ["sluice uring"]), "2 met")


if __name__ == "__main__":
    unittest.main()
