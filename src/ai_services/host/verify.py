"""The proof that a host serves, from outside: what a user of it may do works, and nothing else does.

Each check says what it saw; one that fails also says what to do. The key is used and never shown.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from ai_services.host.outside import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Outside, addresses_of
from ai_services.local.proof import ENOUGH, QUESTION, sample, word_match, words_of

# Ports of the inner services and of monitoring, and how to know our own service where one is open.
_INNER = {
    8080: {"gateway": "/healthz gateway"},
    8081: {"gateway": "/healthz gateway"},
    8000: {"whisper-api": "/healthz whisper-api"},
    11434: {"Ollama": "/ ollama"},
    9090: {"Prometheus": "/-/healthy prometheus"},
    9100: {"the node exporter": "/ exporter"},
    9835: {"the GPU exporter": "/ exporter"},
}
_LOOK_TIMEOUT_S = (CONNECT_TIMEOUT_S, 30.0)
_WORK_TIMEOUT_S = (CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
# Renewal begins at a third of a certificate's life; with less than this many days left it has been failing for a while.
_FEW_DAYS = 7
_WRONG_KEY = "not-a-key-of-this-host"


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it is as it should be, what was seen, how long it took, and what to do if not."""

    name: str
    ok: bool
    detail: str
    seconds: float = 0.0
    hint: str = ""


class WrongError(Exception):
    """A check found something wrong; `hint` says what to do about it."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.hint = hint


Look = Callable[[], str]


def verify(settings: Mapping[str, Any], *, address: str, key: str, plan: Mapping[str, Any]) -> list[Check]:
    """Look at the host at `address` as `settings` (validated ai_*) say it should be; `plan` is preflight's.

    Never raises for what it finds: every failure is a check that is not ok.
    """
    return list(look(settings, address=address, key=key, plan=plan))


def look(
    settings: Mapping[str, Any], *, address: str, key: str, plan: Mapping[str, Any], only: Collection[str] | None = None
) -> Iterator[Check]:
    """The checks of `verify`, each as soon as it is made; with `only`, those of these names."""
    del plan  # what was planned does not change what users must see
    outside = Outside.of(settings, address)
    for name, check in _checks(outside, settings, key):
        if only is None or name in only:
            yield _made(name, check)


def _made(name: str, check: Look) -> Check:
    begun = time.monotonic()
    hint = ""
    try:
        ok, detail = True, check()
    except WrongError as error:
        ok, detail, hint = False, str(error), error.hint
    except requests.RequestException as error:
        ok, detail, hint = False, _why(error), "Look at nginx and the gateway: sudo /opt/ai/bin/doctor on the host."
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        ok, detail = False, f"an answer that is not to be understood ({type(error).__name__}: {error})"
    return Check(name, ok, detail, round(time.monotonic() - begun, 2), hint)


def _why(error: requests.RequestException) -> str:
    """The innermost reason; the outer ones repeat it in Python's words."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__ or cause.__context__) and isinstance(
        inner, BaseException
    ):
        cause = inner
    return f"no answer: {cause}"


def _checks(outside: Outside, settings: Mapping[str, Any], key: str) -> Iterator[tuple[str, Look]]:
    visitor = _Visitor(outside, settings, key)
    if outside.domain:
        yield "name", visitor.name
    if outside.tls:
        yield "certificate", visitor.certificate
        yield "plain HTTP is sent to HTTPS", visitor.redirect
    yield "/health", visitor.health
    yield "keys are asked for", visitor.no_key
    yield "a wrong key is refused", visitor.wrong_key
    yield "/docs", lambda: visitor.page("/docs", "swagger")
    yield "/queue/status", visitor.queue
    yield "/transcribe", visitor.transcribe
    yield "/transcribe/url", visitor.fetches_nothing_inside
    yield "/v1/chat/completions", visitor.chat
    yield "/v1/chat/completions, streamed", visitor.stream
    yield "/generate", visitor.generate
    yield "/api/tags", visitor.tags
    yield "/api/create is nobody's", visitor.create
    yield "inner ports are closed", visitor.closed


@dataclass(frozen=True)
class _Visitor:
    """Makes one check at a time; each returns what it saw, or raises WrongError."""

    outside: Outside
    settings: Mapping[str, Any]
    key: str

    @property
    def _model(self) -> str:
        return str(self.settings["ai_ollama_model"])

    def name(self) -> str:
        domain = str(self.outside.domain)
        here, there = addresses_of(domain), addresses_of(self.outside.address)
        if not here:
            raise WrongError(
                f"{domain} has no address here",
                f"Make a DNS record for {domain} that points to {', '.join(sorted(there)) or self.outside.address}.",
            )
        shown = ", ".join(sorted(here))
        if here & there:
            return f"{domain} is {shown}"
        if self.outside.tls:
            try:
                same = self.outside.certificate(domain).der == self.outside.certificate().der
            except OSError:  # (ssl.SSLError is one)
                same = False
            if same:
                return f"{domain} is {shown}, which leads to this host"
        raise WrongError(
            f"{domain} is {shown}, not {', '.join(sorted(there)) or self.outside.address}",
            "Correct the DNS record, or wait until the old one has expired.",
        )

    def certificate(self) -> str:
        try:
            found = self.outside.certificate()
        except ssl.SSLCertVerificationError as error:
            raise WrongError(
                f"not trusted: {error.verify_message}",
                "Look at sudo certbot certificates; with an authority of your own, name it in ai_extra_ca_file.",
            ) from error
        if found.days < _FEW_DAYS and self.settings.get("ai_tls") == "letsencrypt":
            raise WrongError(f"ends in {found.days:.1f} days", "sudo certbot renew --dry-run says what fails.")
        return f"{', '.join(found.names)}; {found.days:.0f} days left; {found.protocol}"

    def redirect(self) -> str:
        # A path that no old API has: those may be answered on port 80, as before a migration.
        url = self.outside.url.replace("https://", "http://", 1) + "/"
        with self.outside.session(None) as session:
            answer = session.get(url, timeout=_LOOK_TIMEOUT_S, allow_redirects=False)
        target = answer.headers.get("Location", "")
        if answer.status_code not in {301, 308} or not target.startswith("https://"):
            raise WrongError(
                f"port 80 answers {answer.status_code} {target}", "Deploy again: nginx's files have changed."
            )
        return f"{answer.status_code} to {target}"

    def health(self) -> str:
        with self.outside.session(None) as session:
            answer = session.get(f"{self.outside.url}/health", timeout=_LOOK_TIMEOUT_S)
        said = _object(answer)
        parts = {name: part["status"] for name, part in said.get("components", {}).items()}
        if answer.status_code != 200 or said.get("status") != "ok":
            raise WrongError(f"{answer.status_code}: {parts or answer.text[:200]}", "See docker compose ps in /opt/ai.")
        return ", ".join(f"{name} {status}" for name, status in parts.items())

    def no_key(self) -> str:
        return self._refused(None)

    def wrong_key(self) -> str:
        return self._refused(_WRONG_KEY)

    def _refused(self, key: str | None) -> str:
        asked = (
            ("POST", "/transcribe"), ("POST", "/transcribe/url"), ("POST", "/generate"),
            ("POST", "/v1/chat/completions"), ("GET", "/api/tags"), ("POST", "/api/pull"), ("GET", "/docs"),
            ("GET", "/queue/status"), ("GET", "/metrics"),
        )  # fmt: skip
        as_before = self._open_as_before()
        with self.outside.session(key) as session:
            found = {
                path: session.request(method, self.outside.url + path, timeout=_LOOK_TIMEOUT_S).status_code
                for method, path in asked
                if path not in as_before
            }
        if wrong := {path: status for path, status in found.items() if status != 401}:
            raise WrongError(f"not 401: {wrong}", "Anybody may use this host: close port 443, then look why.")
        kept = f"; {', '.join(as_before)} as open as before the migration" if as_before else ""
        return f"401 on {len(found)} routes{kept}"

    def _open_as_before(self) -> tuple[str, ...]:
        """Return which of the routes asked for a key are an old API's that never asked for one."""
        if self.settings.get("ai_old_api_keyless") and "seed" in (self.settings.get("ai_old_api") or ()):
            return ("/transcribe", "/transcribe/url", "/queue/status")
        return ()

    def page(self, path: str, word: str) -> str:
        answer = self._get(path)
        if word not in answer.text.lower():
            raise WrongError(f"{path} is not what it should be: {answer.text[:100]}")
        return f"{len(answer.content) // 1024 + 1} KiB"

    def queue(self) -> str:
        said = _object(self._get("/queue/status"))
        return f"{said['queue_size']} of {said['max_queue_size']} places taken"

    def transcribe(self) -> str:
        spoken = sample()
        with spoken.file.open("rb") as audio:
            said = self._post("/transcribe", files={"file": (spoken.file.name, audio, "audio/ogg")})
        missing = {"text", "language", "duration", "processing_time"} - said.keys()
        if missing:
            raise WrongError(f"the answer lacks {', '.join(sorted(missing))}")
        match = word_match(spoken.text, str(said["text"]))
        if match < ENOUGH:
            raise WrongError(f"heard only {match:.0%} of the words: {said['text']}", "Try another ai_whisper_model.")
        return f"{said['duration']:.1f} s of speech in {said['processing_time']:.1f} s, {match:.0%} of the words"

    def fetches_nothing_inside(self) -> str:
        with self._session() as session:
            answer = session.post(
                f"{self.outside.url}/transcribe/url", json={"url": "http://127.0.0.1/a.wav"}, timeout=_LOOK_TIMEOUT_S
            )
        if not 400 <= answer.status_code < 500 or answer.status_code in {401, 404, 405}:
            raise WrongError(f"{answer.status_code} for an address inside the host: {answer.text[:200]}")
        return f"answers, and refuses addresses inside the host ({answer.status_code})"

    def chat(self) -> str:
        said = self._post("/v1/chat/completions", json=self._question(stream=False))
        return _words(words_of(said["choices"][0]["message"]))

    def stream(self) -> str:
        with (
            self._session() as session,
            session.post(
                f"{self.outside.url}/v1/chat/completions",
                json=self._question(stream=True),
                timeout=_WORK_TIMEOUT_S,
                stream=True,
            ) as answer,
        ):
            _good(answer)
            lines = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: {")]
        pieces = [piece for line in lines if (piece := words_of(line["choices"][0]["delta"]))]
        return f"{len(pieces)} pieces: {_words(''.join(pieces))}"

    def generate(self) -> str:
        options = {"num_predict": 16, "temperature": 0}
        body = {"model": self._model, "prompt": QUESTION, "stream": False, "options": options}
        return _words(words_of(self._post("/generate", json=body)))

    def tags(self) -> str:
        names = [str(model["name"]) for model in _object(self._get("/api/tags"))["models"]]
        wanted = [self._model, *self.settings.get("ai_ollama_extra_models", [])]
        missing = [name for name in wanted if name not in names and f"{name}:latest" not in names]
        if missing:
            raise WrongError(f"{', '.join(missing)} is not there, only {', '.join(names) or 'none'}", "Deploy again.")
        return ", ".join(names)

    def create(self) -> str:
        with self._session() as session:
            answer = session.post(f"{self.outside.url}/api/create", json={"model": "x"}, timeout=_LOOK_TIMEOUT_S)
        if answer.status_code != 403:
            raise WrongError(f"answers {answer.status_code}", "It can read the host's files: upgrade the gateway.")
        return "403"

    def closed(self) -> str:
        if self.outside.is_this_machine():
            return "not looked at: this is the machine itself, and from here they are open on purpose"
        grafana = int(self.settings.get("ai_grafana_port", 3000))
        ports = {**_INNER, grafana: {"Grafana": "/api/health database"}}
        found = {
            port: self.outside.who_listens(port, marks) for port, marks in ports.items() if self.outside.is_open(port)
        }
        if ours := {port: name for port, name in found.items() if name}:
            shown = ", ".join(f"{port} ({name})" for port, name in ours.items())
            raise WrongError(f"open from outside: {shown}", "Stop what publishes it: ss -ltnp on the host names it.")
        strangers = f"; on {', '.join(map(str, found))} somebody else listens" if found else ""
        return f"{', '.join(str(port) for port in ports if port not in found)}{strangers}"

    def _question(self, *, stream: bool) -> dict[str, Any]:
        messages = [{"role": "user", "content": QUESTION}]
        return {"model": self._model, "messages": messages, "max_tokens": 16, "temperature": 0, "stream": stream}

    def _session(self) -> requests.Session:
        return self.outside.session(self.key)

    def _get(self, path: str) -> requests.Response:
        with self._session() as session:
            return _good(session.get(self.outside.url + path, timeout=_LOOK_TIMEOUT_S))

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        with self._session() as session:
            return _object(_good(session.post(self.outside.url + path, timeout=_WORK_TIMEOUT_S, **body)))


def _good(answer: requests.Response) -> requests.Response:
    if answer.status_code != 200:
        raise WrongError(f"{answer.status_code}: {answer.text[:300]}", "docker compose logs in /opt/ai says more.")
    return answer


def _object(answer: requests.Response) -> dict[str, Any]:
    said = answer.json()
    if not isinstance(said, dict):
        raise WrongError(f"no JSON object: {answer.text[:100]}")
    return said


def _words(text: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise WrongError("an empty answer", "Ask again; a model that stays silent may be damaged: pull it anew.")
    return f"“{said[:60]}{'…' if len(said) > 60 else ''}”"
