"""What the official MCP conformance suite asks a server for and cdesk does not offer: loaded when `cdesk up` is told to, never else."""
