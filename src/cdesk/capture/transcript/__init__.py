"""Transcripts: the back-fill of record. What Claude Code wrote down about its own sessions, as activities.

The line format is Claude Code's own affair and changes between versions, so reading is lenient: what is known is
understood, what is not is kept (`line_kept`) and counted, and what is no JSON object goes to the dead letters with
its place. Good lines around bad ones are never affected.
"""

from cdesk.capture.transcript.file import Bookmark, Chunk, TranscriptFile
from cdesk.capture.transcript.find import claude_dirs, find

__all__ = ["Bookmark", "Chunk", "TranscriptFile", "claude_dirs", "find"]
