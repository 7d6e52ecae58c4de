"""`cdesk emit`: activities of your own, durable before it answers. Needs no service."""

from __future__ import annotations

import sys

from cdesk.app import open_producer
from cdesk.cli import show


def run(arguments: list[str]) -> int:
    show.parser(
        "emit",
        "Reads one JSON activity a line from standard input and prints {\"accepted\": n, \"rejected\": [...]}\n"
        "once the accepted ones are durable on disk.\n\n"
        "  required   activity, ts, customer, feature_json\n"
        "  optional   activity_id (any text: the fact's identity), anonymous_customer_id, revenue_impact (USD),\n"
        "             link, _org_id, _session_id, _query_tag\n\n"
        "example:\n"
        "  echo '{\"activity\":\"deployed\",\"ts\":\"2026-11-23T09:00:00Z\",\"customer\":\"ada\",\"feature_json\":{}}' | cdesk emit",
    ).parse_args(arguments)  # fmt: skip
    producer = open_producer()
    try:
        receipt = producer.intake.take_lines(sys.stdin.buffer)
    finally:
        producer.close()
    show.json(receipt)
    return 1 if receipt.rejected else 0
