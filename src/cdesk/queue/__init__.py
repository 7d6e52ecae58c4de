r"""The durable queue: what was acknowledged is on disk, and stays until the warehouse has committed it.

Limits first
    one line              at most LINE_BYTES_MAX (33,554,432 bytes); longer ones are refused
    one segment           closed at 50 MB or after 60 s, whichever is first; empty ones are never closed
    the whole queue       `bytes_max` (2 GB by default); at its end `append` raises QueueFull
    dead letters          256 MB, and 64 KB of each line; then only counted
    owners                one process at a time reads for the warehouse (`lock.py`)

Segment     `<20 digits: ns since 1970>-<8 hex>.ndjson`: NDJSON, one activity a line, each line with its own
            checksum (`activity/codec.py`). A segment has exactly one writer, which holds an exclusive `flock` on
            it while it lives; so producers never meet, whether they are one service or a thousand short hooks,
            and nobody can tear anybody else's line.
Append      write(2), then fdatasync(2), then "ok". The folder entry was synced when the segment was made. Group commit:
            producers in one process that come while a sync is under way share the next one. `writer.py` has a face
            for threads, `async_writer.py` one for an event loop.
Order       per producer: its segments' names only grow. Between producers: by segment name.
Offsets     `offsets/<consumer>.json`: bytes read of each segment, replaced atomically and synced after the
            consumer's own commit. A consumer that dies in between reads some lines again; identity makes that
            harmless. A consumer counts from its first read on, until its file is removed.
Retiring    a segment is deleted, or moved to `archive/` as it is (`archive.py`), when every consumer has passed its end
            and its writer is gone, and for no other reason.
Recovery    there is none to run: a reader takes whole lines that prove themselves. Behind a dead writer, a tail
            without newline was never acknowledged and is passed over; a damaged line in the middle goes to the
            dead letters with its position and reason, and reading continues at the next newline. A start costs a
            stat and a byte per segment (`recovery.py`), whatever their size.
Dead letter `dead/letters.ndjson`: reason, source, position, the line itself, and how often it was seen; one per
            distinct line (`dead_letter.py`).
Pressure    `depth.py` measures bytes, events and age of what waits, `pressure.py` decides the level; what is left out
            at which level is capture's (`capture/relief.py`), and never a line that is in the queue.
Full        producers are told; what nobody keeps is counted in place, which needs no room (`refusals.py`).
"""

from cdesk.queue.dead_letter import DeadLetter, DeadLetters, Kept
from cdesk.queue.reader import Delivery, Reader
from cdesk.queue.writer import Writer

__all__ = ["DeadLetter", "DeadLetters", "Delivery", "Kept", "Reader", "Writer"]
