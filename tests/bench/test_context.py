"""The benchmark of contexts reads what it says it reads."""

from __future__ import annotations

from benchmarks.context import _figures, reads


def test_every_way_reads_every_time() -> None:
    """Turn by turn in one run, each as often as the others."""
    took = reads(contexts=20, rounds=15)
    assert {len(each) for each in took.values()} == {15} and len(took) == 4
    assert _figures([0.001, 0.002, 0.003], 1e3) == {"p50": 2.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
