"""What Claude can ask cdesk, and how it is told: the MCP server, whichever transport it is reached by.

    a message ─▶ protocol.py      which revision speaks, is the request whole ─▶ result or error, as JSON-RPC 2.0
                 tools.py         name, words, schemas, and what each tool does
                 desk.py          where answers come from, as the tools see it
                 page.py          a budget of tokens, and a cursor for the rest
                 quote.py         recorded text stands as data, whatever it says
                 called.py        each call is itself an activity
    stdio        lines.py, stdio.py, local.py, recorder.py    one process per session, no warehouse
    HTTP         surface/http/mcp.py                           the service's own `/mcp`

Limits first
    one message           MESSAGE_BYTES_MAX; longer ones are refused
    one answer            2,000 tokens unless asked otherwise, 200 to 20,000
    calls under way       WORKERS_MAX at a time over stdio; a service is waited for at most PATIENCE_S (cli/mcp.py)

Revisions   2026-07-28: every request says its revision and the client's capabilities in `_meta`; nothing is remembered
            between requests. 2025-11-25 and 2025-06-18: `initialize` first; we remember nothing then either, so one
            handler serves both, and which one speaks is seen from each request.
Errors      What is wrong with a request is a JSON-RPC error; what went wrong in a tool, wrong arguments included, is a
            result with `isError`, one line with its remedy, which the model can act on.
Start       The answer to `initialize` needs this package's protocol.py and nothing else. No warehouse, no web server, no
            SDK is ever imported over stdio; tests hold us to it.
"""
