"""Ready is who has done it once: a spoken sentence goes through decoder, queue and engine like anybody's recording.

The engine tries its model by itself on each load; this also finds a decoder that cannot start, a TEMP_DIR that cannot
be written, and a processor type that computes nonsense.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from service_kit.errors import ServiceError
from service_kit.log import get_logger
from whisper_api.wishes import Wishes

# Four seconds of espeak-ng: "Please remember to close the window before you leave the house."
SAMPLE = Path(__file__).with_name("proof.ogg")
WISHES = Wishes(language="en")
RETRY_S = 15.0


class Proof:
    """Runs `attempt` (the text of SAMPLE, or ServiceError) until it succeeds once. `detail` says what was seen."""

    def __init__(self, attempt: Callable[[], Awaitable[str]], on_change: Callable[[], None]) -> None:
        self._attempt = attempt
        self._on_change = on_change
        self._running: asyncio.Task[None] | None = None
        self._log = get_logger()
        self.given = False
        self.detail = "nothing has been transcribed yet"

    def begin(self) -> None:
        """Start in the background, once."""
        if not self.given and self._running is None:
            self._running = asyncio.create_task(self._run())

    def accept(self) -> None:
        """A recording has been transcribed: the proof is given, whoever sent it."""
        if not self.given:
            self.given, self.detail = True, ""
            self._on_change()

    async def stop(self) -> None:
        """End it, given or not."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while not self.given:
            try:
                text = await self._attempt()
            except (ServiceError, OSError) as error:
                self.detail = f"the first transcription failed: {error}"
                self._log.warning("proof_failed", reason=str(error), again_in_s=RETRY_S)
                self._on_change()
                await asyncio.sleep(RETRY_S)
            else:
                # No reason to refuse everybody: a model made for another language may rightly hear no word in it.
                if not text:
                    self._log.warning("proof_without_words", hint="Try another COMPUTE_TYPE if recordings stay empty.")
