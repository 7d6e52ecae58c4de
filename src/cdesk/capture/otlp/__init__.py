"""Telemetry: what Claude Code's OpenTelemetry exporter sends, as activities.

    export (bytes) → wire_json | wire_protobuf → record → claude_code → Activity → gate
                                                    └→ sequence: records that never came

Each signal is read into the same few flat records whichever encoding it came in (`record.py`). `claude_code.py` says
which facts they tell, and `receiver.py` puts those through the gate and answers in OTLP's own words.
"""
