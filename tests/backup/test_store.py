"""An archive is kept whole or not at all, and the oldest go (issue 6)."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ai_services.backup.host import store
from ai_services.backup.host.store import Folder, Store, StoreError, doomed, name_of

from .archives import manifest

CONTENT = os.urandom(300_000)


def name(number: int, host: str = "gpu-1") -> str:
    return f"ai-backup_{host}_20261121T2030{number:02d}Z_{number:016x}.age"


def content(out: BinaryIO) -> None:
    out.writelines(CONTENT[start : start + 1000] for start in range(0, len(CONTENT), 1000))


def nothing_but_trouble(out: BinaryIO) -> None:
    out.write(CONTENT)
    raise ValueError("the host went away")


def test_the_name_says_host_and_time() -> None:
    assert name_of(manifest(host="gpu 1/x")) == "ai-backup_gpu-1-x_20261121T203000Z_0123456789abcdef.age"


@pytest.mark.parametrize(("keep", "gone"), [(0, []), (1, [1, 2, 3]), (2, [1, 2]), (4, []), (9, [])])
def test_the_oldest_go(keep: int, gone: list[int]) -> None:
    names = [name(4), name(1), name(3), name(2), name(0, "another"), "notes.txt", ".ai-backup_gpu-1_half.age"]
    assert doomed(names, name(4), keep) == [name(number) for number in gone]


def test_the_newest_stays_even_with_a_clock_that_went_back() -> None:
    assert doomed([name(1), name(8), name(9)], name(1), 1) == [name(8), name(9)]


def test_a_folder_keeps_for_its_owner_alone(tmp_path: Path) -> None:
    kept = Folder(tmp_path / "new" / "place").keep(name(1), content)
    path = Path(kept.where)
    assert path.read_bytes() == CONTENT
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert kept.size == len(CONTENT)


def test_what_sums_can_be_thrown_away_when_its_file_is_closed(tmp_path: Path) -> None:
    """From Python 3.13 on, what its end raises is a traceback in the log of each backup that went well."""
    with (tmp_path / "archive").open("wb") as file:
        summing = store._Summing(file)
        summing.write(b"1234")
    summing.close()
    assert summing.size == 4


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="went away"):
        Folder(tmp_path).keep(name(1), nothing_but_trouble)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / f".{name(1)}.0011aabb").write_bytes(b"half")
    Folder(tmp_path).keep(name(2), content)
    assert [path.name for path in tmp_path.iterdir()] == [name(2)]


def test_a_disk_that_forgets_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_sum", lambda read: ("0" * 64, 1))
    with pytest.raises(StoreError, match="does not give back"):
        Folder(tmp_path).keep(name(1), content)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A store that speaks S3, and its client: moto stands in for Amazon's, and boto3 is the real one."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(key, value)
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client
    server.stop()


@pytest.mark.long
class TestBucket:
    def place(self) -> Store:
        return store.bucket("s3://backups/ai/host")

    def test_it_keeps_lists_gives_and_removes(self, bucket: Any) -> None:
        kept = self.place().keep(name(1), content)
        assert kept.where == f"s3://backups/ai/host/{name(1)}"
        assert bucket.get_object(Bucket="backups", Key=f"ai/host/{name(1)}")["Body"].read() == CONTENT
        bucket.put_object(Bucket="backups", Key="ai/hostess/other", Body=b"")
        assert self.place().names() == [name(1)]
        self.place().remove(name(1))
        assert self.place().names() == []

    @pytest.mark.parametrize("size", [100, 20 * 2**20])
    def test_what_breaks_off_is_no_object(self, bucket: Any, size: int) -> None:
        def trouble(out: BinaryIO) -> None:
            out.writelines(bytes(100) for _ in range(size // 100))
            raise ValueError("the host went away")

        with pytest.raises(ValueError, match="went away"):
            self.place().keep(name(2), trouble)
        assert self.place().names() == []
        assert not bucket.list_multipart_uploads(Bucket="backups").get("Uploads")

    def test_one_that_does_not_come_back_whole_does_not_stay(
        self, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would count as one of those that are kept, and a good one would go for it."""
        monkeypatch.setattr(store, "_sum", lambda read: ("0" * 64, 1))
        with pytest.raises(StoreError, match="does not give back"):
            self.place().keep(name(4), content)
        assert self.place().names() == []

    def test_a_connection_that_breaks_off_is_an_error_of_ours(
        self, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client's own is none of Python's, so nobody would have noted that the backup failed."""
        from botocore.exceptions import ReadTimeoutError
        from botocore.response import StreamingBody

        def broken(self: Any, amount: int | None = None) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://store")

        monkeypatch.setattr(StreamingBody, "read", broken)
        with pytest.raises(StoreError, match="broke off"):
            self.place().keep(name(5), content)
        assert self.place().names() == []

    def test_uploads_of_killed_runs_are_given_up_and_others_are_not(
        self, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = {f"ai/host/{name(6)}", "ai/host/film.mkv", f"elsewhere/{name(6)}"}
        for key in keys:
            bucket.create_multipart_upload(Bucket="backups", Key=key)
        # moto says of every upload that it began in 2010.
        with monkeypatch.context() as patch:
            patch.setattr(store, "_DEAD_AFTER_S", 10**10)
            self.place().keep(name(7), content)
        assert {row["Key"] for row in bucket.list_multipart_uploads(Bucket="backups")["Uploads"]} == keys
        self.place().keep(name(7), content)
        left = {row["Key"] for row in bucket.list_multipart_uploads(Bucket="backups")["Uploads"]}
        assert left == keys - {f"ai/host/{name(6)}"}
        self.place().remove(name(7))

    def test_a_bucket_that_is_not_there_is_said(self, bucket: Any) -> None:
        with pytest.raises(StoreError, match="Make the bucket first"):
            store.bucket("s3://nobodys/x").keep(name(1), content)

    def test_an_archive_is_fetched_sealed_as_it_is(self, bucket: Any) -> None:
        from ai_services.backup import opening

        kept = self.place().keep(name(3), content)
        with opening.fetched(kept.where, lambda done, total=None: None) as source:
            assert source.read() == CONTENT


@pytest.mark.parametrize("words", ["s3://", "s3://A_B", "s3:///prefix", "s3://x"])
def test_what_names_no_bucket_is_refused(words: str) -> None:
    with pytest.raises(StoreError, match="names no bucket"):
        store.bucket(words)


def test_hosts_that_share_a_name_do_not_push_out_each_other() -> None:
    """Machines are called `debian` everywhere; whose an archive is stands at the beginning of its number."""
    mine, others = [name(number) for number in (1, 2)], [name(number).replace("_00", "_ff") for number in (1, 2, 3)]
    assert doomed([*mine, *others], mine[1], 1) == [mine[0]]


def test_two_that_write_to_one_folder_at_a_time_leave_each_other_alone(tmp_path: Path) -> None:
    place = Folder(tmp_path)

    def with_another_meanwhile(out: BinaryIO) -> None:
        content(out)
        place.keep(name(2), content)

    assert Path(place.keep(name(1), with_another_meanwhile).where).read_bytes() == CONTENT
    assert place.names() == [name(1), name(2)]


def test_files_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    for other in (".ai-backup_notes.age.old", "notes.txt", f"{name(1)}.part"):
        (tmp_path / other).write_text("mine")
    Folder(tmp_path).keep(name(2), content)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".ai-backup_notes.age.old", "notes.txt", f"{name(1)}.part", name(2),
    }  # fmt: skip


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Folder(tmp_path).keep(name(1), content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, was)
    assert list(tmp_path.iterdir()) == []
