"""Files that Claude's tools read and changed."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family

_FEATURES = (
    F("operation", "string", "read, create, write, edit, delete or rename", privacy="public", required=True),
    F("file_path", "string", "absolute path", required=True),
    F("file_type", "string", "extension without the dot, lower case", privacy="public"),
    F("lines_affected", "integer", "lines read, or added plus removed", unit="lines", privacy="public"),
    F("lines_added", "integer", "lines added", unit="lines", privacy="public"),
    F("lines_removed", "integer", "lines removed", unit="lines", privacy="public"),
    F("bytes_before", "integer", "size before, as UTF-8", unit="bytes", privacy="public"),
    F("bytes_after", "integer", "size after, as UTF-8", unit="bytes", privacy="public"),
    F("success", "boolean", "it worked", privacy="public"),
    F("git_tracked", "boolean", "git knows the file, where known", privacy="public"),
    F("user_modified", "boolean", "the person changed the proposal first", privacy="public"),
    F("tool_use_id", "string", "tool call that did it", privacy="public"),
    *COMMON,
)

FILE = Family(
    "file",
    "VW_FILE_EVENTS",
    tuple(
        Declaration(name, meaning, _FEATURES, aliases=aliases)
        for name, meaning, aliases in (
            ("file_read", "a file was read", ()),
            ("file_created", "a file that was not there was written", ()),
            ("file_written", "a file was written anew", ("claude_file_operation", "file_op", "file_operation")),
            ("file_edited", "part of a file was replaced", ()),
            ("file_deleted", "a file was deleted", ()),
            ("file_renamed", "a file got another path", ()),
        )
    ),
)
