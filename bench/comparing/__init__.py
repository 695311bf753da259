"""The parts of bench/compare: workloads, servers, running, verdicts, report, plots."""
