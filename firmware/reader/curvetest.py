"""Turns the samples of an amplification into the test's outcome, analytes and trace."""

import gc
import sys

from reader import memory, outcome, results


def conclude(parts, test, run):
    """Fill in outcome, analytes and trace of `test` from a run that has ended.

    An analysis that fails, for want of memory too, makes the outcome *error, analysis fault*; the trace is kept.
    """
    test.read = parts.clock.uptime_ms()
    step_ms = test.assay.sample_s * 1000
    if run.count:
        test.trace = results.curve_trace(run.wells, run.count, step_ms, step_ms, run.temperatures)
    gc.collect()
    try:
        _analyse(test, run, step_ms)
    except (ArithmeticError, IndexError, MemoryError, ValueError) as error:
        sys.print_exception(error)
        test.fail(outcome.ANALYSIS_FAULT)
    finally:
        memory.forget("amplification", "floats")


def _analyse(test, run, step_ms):
    from reader import amplification

    assay = test.assay
    test.algorithm = "amplification/%d" % amplification.ALGORITHM
    watch = amplification.TemperatureWatch(
        assay.target_cc, assay.tolerance_cc, assay.warm_up_s * 1000, assay.excursion_s * 1000
    )
    for i in range(run.count):
        watch.add((i + 1) * step_ms, run.temperatures[i])
    test.lowest, test.highest = watch.lowest_cc, watch.highest_cc
    if run.failure:
        test.fail(run.failure)
        return
    readings = [_curve(well, run.count, step_ms) for well in run.wells]
    whole = amplification.assess(readings[0], readings[1], assay.latest_positive_s * 1000, watch.excursion)
    test.outcome, test.reason = whole.outcome, whole.reason
    value = error = None
    if whole.ttp_ms is not None and whole.outcome in (outcome.POSITIVE, outcome.INDETERMINATE):
        value, error = whole.ttp_ms // 60, whole.ttp_se_ms // 60
    test.analytes = [[results.label(name), whole.outcome, whole.reason, value, "min", error] for name in assay.analytes]


def _curve(well, count, step_ms):
    from reader import amplification

    curve = amplification.Curve()
    for i in range(count):
        curve.add((i + 1) * step_ms, well[i])
    return curve.result()
