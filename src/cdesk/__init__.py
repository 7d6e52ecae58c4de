"""cdesk: everything Claude Code does, as one ActivitySchema stream, with answers people can trust."""

__version__ = "0.1.0"
