"""What keeps the libraries of a process from reporting to their makers, in its environment."""

from __future__ import annotations

# onnxruntime (the voice activity detection) reports to its makers unless told not to before it is loaded, and leaves
# a device id in the home directory; the model hub's client counts its users. A private server does neither.
NO_REPORTS = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
