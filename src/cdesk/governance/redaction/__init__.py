"""Takes secrets out of text and JSON before anything is written, and leaves a mark where each one stood.

Limits first. A secret is found by its shape (an `AKIA...` key), by the name beside it (`DB_PASSWORD=...`), or by its
place (`scheme://user:HERE@host`). A random word with none of the three is not found. Path-only rules are not used:
the chain sees text, never file names. Encoded or encrypted copies of a secret (base64 of a key, a zip) are not found,
apart from base64 JWTs.

The chain, in order:

    rule     rules/gitleaks.json (215 upstream shapes) and rules/cdesk.json (places and names) become frozen `Rule`s
    scan     one RE2 set answers "which rules can match here?" in one linear pass; only those rules then look closely
    shape    a match is dropped when it is a placeholder, a template, a low-entropy run or a wordy identifier
    field    a JSON value under a secret name (`password`, `api_key`, ...) goes whole, whatever its shape
    mark     the secret becomes `[redacted:<rule>:<8 hex>]`, the hex a keyed fingerprint: countable, not recoverable
    lines    one raw JSON line: unescaped and scanned whole; rewritten string by string only when something is seen

Every pattern runs in RE2, so time is linear in the text; the three finders written by hand (PEM blocks, Kubernetes
secrets, JSON tokens) make one pass with no backtracking.
"""

from cdesk.governance.redaction.redactor import JsonValue, Redactor

__all__ = ["JsonValue", "Redactor"]
