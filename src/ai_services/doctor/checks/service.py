"""The proof: real requests through the gateway with the host's own key."""

from __future__ import annotations

from ai_services.doctor.verdict import Seen, Verdict, check, failed, ok, skipped

GROUP = "service"
# Of the sample's words, this share must be recognised (the local stack's proof asks the same).
ENOUGH = 0.8
_LOGS = "`cd /opt/ai && docker compose logs -n 50 {}`"


@check("gateway", GROUP)
def gateway(seen: Seen) -> Verdict:
    """Does the gateway answer on 127.0.0.1, and does it find its backends well?

    Its `/health` names each backend with a reason when one is down.
    """
    found = seen["gateway"]
    if not found["answers"] and not seen.get("release_state", {}).get("deployed"):
        return skipped("nothing is deployed on this host")
    if not found["answers"]:
        return failed(f"no answer on {found['url']}: {found['why']}", "`docker ps -a`; " + _LOGS.format("gateway"))
    down = [
        f"{name} ({row.get('reason', row.get('status', '?'))})"
        for name, row in sorted(found["components"].items())
        if row.get("status") not in ("ok", "paused")
    ]
    if down:
        return failed(f"not well: {', '.join(down)}", _LOGS.format("NAME"))
    return ok(f"{found['url']}, version {found['version']}, {', '.join(sorted(found['components']))} well")


@check("transcription", GROUP)
def transcription(seen: Seen) -> Verdict:
    """Does a recording of eleven seconds come back as the words that are in it?

    The recording is in the doctor; its transcript is compared with what is known to be said, and shown nowhere.
    Failed when the request fails or less than four words in five are right.
    """
    found = seen["transcription"]
    if found["why"]:
        return failed(found["why"], _LOGS.format("whisper-api"))
    pace = f"{found['seconds']:.1f} s for {found['audio_s']:.0f} s of speech"
    said = f"{found['match'] * 100:.0f} % of the words right, {pace}"
    return (
        ok(said)
        if found["match"] >= ENOUGH
        else failed(said, "Another model (ai_whisper_model), or " + _LOGS.format("whisper-api"))
    )


@check("completion", GROUP)
def completion(seen: Seen) -> Verdict:
    """Does the language model answer a short question?

    The first one after a pause loads the model, which takes seconds to minutes. What it says is shown nowhere.
    """
    found = seen["completion"]
    if found["why"]:
        return failed(found["why"], "`docker exec ollama ollama list`; " + _LOGS.format("ollama"))
    return ok(f"{found['model']}, {found['tokens']} tokens in {found['seconds']:.1f} s")


@check("keys", GROUP)
def keys(seen: Seen) -> Verdict:
    """Is a request without a key turned away?

    Asked at the gateway itself. Failed when anybody may transcribe or ask the model.
    """
    status = seen["keyless"]["status"]
    if status in (401, 403):
        return ok(f"a request without a key is answered {status}")
    return failed(
        f"a request without a key is answered {status}",
        "Deploy with keys: `./ai deploy HOST`; replace keys others may have",
    )
