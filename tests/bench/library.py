"""faster-whisper called directly: the model loaded, nothing else in the process.

``python -m bench.library``: the first line of standard input is the engine as JSON (``model``, ``device``,
``compute_type``, ``cpu_threads``, ``batch_size``, ``beam_size``), every further line the path of a recording. One JSON
line answers each: ``{}`` once loaded, then ``{"seconds", "text"}``.
"""

import json
import sys
import time
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel

from whisper_api.recognise import Options, library_options


def _transcribe(model: WhisperModel, path: str, options: dict[str, Any]) -> dict[str, Any]:
    begun = time.perf_counter()
    segments, _ = BatchedInferencePipeline(model).transcribe(path, **options)
    text = " ".join(segment.text.strip() for segment in segments)  # the generator is lazy: this is the work
    return {"seconds": time.perf_counter() - begun, "text": text}


def main() -> None:
    """Load, then answer until standard input ends."""
    engine = json.loads(sys.stdin.readline())
    model = WhisperModel(
        engine["model"],
        device=engine["device"],
        compute_type=engine["compute_type"],
        cpu_threads=engine["cpu_threads"],
        local_files_only=True,
    )
    options = library_options(Options(), beam_size=engine["beam_size"], batch_size=engine["batch_size"])
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(_transcribe(model, line.strip(), options)), flush=True)


if __name__ == "__main__":
    main()
