"""Times of segments, put right where silence was cut out between two stretches of speech.

The pipeline decodes speech with the silence removed and translates times back. A segment that begins where one
stretch ends and the next begins is then given the whole silence too: a subtitle would stand there half a minute
before its words. Such a start belongs to the next stretch, such an end to the one before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

PADDING_S = 0.8  # stretches are padded by 0.4 s on each side
GAP_S = 1.0


def snapped(start_s: float, end_s: float, stretches: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """`start_s` and `end_s` of a segment, moved out of silence; `stretches`: speech as (start, end), ascending."""
    starts = [start for start, _ in stretches]
    first, last = bisect_right(starts, start_s) - 1, bisect_right(starts, end_s) - 1
    if 0 <= first < last:
        _, stretch_end = stretches[first]
        next_start, _ = stretches[first + 1]
        if stretch_end - start_s < PADDING_S and next_start - stretch_end > GAP_S:
            start_s = next_start
    if last > 0 and start_s < stretches[last][0]:
        _, previous_end = stretches[last - 1]
        stretch_start, _ = stretches[last]
        if end_s - stretch_start < PADDING_S and stretch_start - previous_end > GAP_S:
            end_s = max(start_s, previous_end)
    return start_s, end_s
