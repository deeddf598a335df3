"""The decoder: a small process that waits, and forks one sandboxed child for each file.

The server never decodes. This process has PyAV loaded and nothing else, so that a child costs a fork instead of an
import. A request is one datagram on the control socket (limits as JSON) with three descriptors: the file, the
place for the samples, and a socket for the answer. The child answers there with one JSON object. When the caller
closes that socket, the child is killed.

A child can open nothing (no file, no connection: RLIMIT_NOFILE is 0 once it has its three descriptors), gains no
rights, has bounds for memory, processor time and output, and few system calls left (syscall_filter.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from whisper_api import process_guard, sound, syscall_filter

MIB = 1024 * 1024


def main() -> None:
    """Serve the control socket until the server closes it."""
    process_guard.die_with_parent(int(sys.argv[1]))
    process_guard.gain_no_rights()
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when this ends
        signal.signal(number, signal.SIG_IGN)
    sound.warm_up()
    _Forker(socket.socket(fileno=int(sys.argv[2]))).run()


class _Forker:
    """Single-threaded loop over the control socket, the children's sockets and their ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, tuple[int, socket.socket]] = {}  # descriptor of the answer: (pid, socket)
        self._poll = select.poll()
        self._wake, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        self._poll.register(self._control.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._wake:
                    os.read(self._wake, 512)
                    self._reap()
                elif descriptor == self._control.fileno():
                    if not self._accept():
                        return
                elif descriptor in self._children:
                    # The caller left. Not reaped yet, so the number still is this child's.
                    os.kill(self._children[descriptor][0], signal.SIGKILL)
                    self._poll.unregister(descriptor)

    def _accept(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 3)
        if not data:
            return False
        if len(descriptors) != 3:
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        source, target, answer = descriptors
        forker = os.getpid()  # asked before the fork: a child that asks may already be told of its adopter
        pid = os.fork()
        if pid == 0:
            _child(json.loads(data), source, target, answer, forker)
        os.close(source)
        os.close(target)
        self._children[answer] = (pid, socket.socket(fileno=answer))
        self._poll.register(answer, select.POLLHUP)
        return True

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            descriptor = next(fd for fd, (child, _) in self._children.items() if child == pid)
            _, answer = self._children.pop(descriptor)
            with contextlib.suppress(KeyError):
                self._poll.unregister(descriptor)
            if status != 0:
                _answer(answer, _death(status))
            answer.close()


def _death(status: int) -> dict[str, Any]:
    """What to say of a child that could not say it itself."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL}:
        return {"error": "decode_timeout", "message": "Decoding this file took too long and was stopped."}
    return {"error": "decode_crashed", "message": "The file broke the decoder: it is damaged or not a recording."}


def _child(limits: dict[str, Any], source: int, target: int, answer_fd: int, parent_pid: int) -> NoReturn:
    code = 1
    try:
        process_guard.die_with_parent(parent_pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _keep_only(source, target, answer_fd)
        _confine(limits)
        answer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=3)
        syscall_filter.confine()
        _answer(answer, _decode(limits))
        code = 0
    finally:
        os._exit(code)


def _keep_only(source: int, target: int, answer: int) -> None:
    """Leave the file as 0, the samples as 1, the answer as 3; standard error goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # First above the numbers wanted, so that no step overwrites one still needed.
    high = [os.dup2(fd, 100 + index, inheritable=False) for index, fd in enumerate((source, target, nowhere, answer))]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") > 0 else 65536)


def _confine(limits: dict[str, Any]) -> None:
    cpu_s = int(limits["cpu_s"])
    output = int(limits["output_bytes"])
    memory = _address_space() + int(limits["memory_mib"]) * MIB
    for what, most in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  (pathlib is one import more)
        return int(statm.read().split()[0]) * resource.getpagesize()


def _decode(limits: dict[str, Any]) -> dict[str, Any]:
    try:
        with open(0, "rb", closefd=False) as source, open(1, "wb", closefd=False) as target:
            return {"seconds": sound.decode(source, target, float(limits["max_audio_s"]))}
    except sound.SoundError as error:
        return {"error": error.code, "message": str(error)}
    except MemoryError:
        return {"error": "decode_memory", "message": "Decoding this file needs more memory than a recording should."}
    except OSError as error:
        return {
            "error": "storage_full" if error.errno == 28 else "decode_failed",
            "message": os.strerror(error.errno or 0),
        }


def _answer(sock: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(json.dumps(message).encode())


if __name__ == "__main__":
    main()
