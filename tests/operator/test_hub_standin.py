"""The stand-in for the hub, driven by the hub's official client: what that takes for the hub, our code may too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

LARGE = bytes(range(256)) * 40
SMALL = b'{"small": true}'


@pytest.fixture
def hub(hub_standin: Any) -> Iterator[Any]:
    repositories = {
        "acme/model": hub_standin.Repository({"model.bin": LARGE, "config.json": SMALL}),
        "acme/gated": hub_standin.Repository({"model.bin": LARGE}, gated=True),
    }
    with hub_standin.running(repositories) as running:
        yield running


def test_the_official_client_downloads_both_kinds_of_file(hub: Any, tmp_path: Path) -> None:
    for name, content in (("model.bin", LARGE), ("config.json", SMALL)):
        place = hf_hub_download("acme/model", name, endpoint=hub.url, local_dir=tmp_path)
        assert Path(place).read_bytes() == content


def test_the_official_client_reads_sizes_and_checksums(hub: Any) -> None:
    files = {file.rfilename: file for file in HfApi(endpoint=hub.url).model_info("acme/model", files_metadata=True)
             .siblings or []}  # fmt: skip
    lfs = files["model.bin"].lfs
    assert lfs is not None
    assert lfs.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert files["model.bin"].size == len(LARGE)
    assert files["config.json"].lfs is None
    # `git hash-object` of the same content
    assert files["config.json"].blob_id == hashlib.sha1(b"blob 15\0" + SMALL).hexdigest()


def test_the_official_client_sees_its_own_errors(hub: Any, hub_standin: Any, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.url, token=False).model_info("acme/nothing")
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.url, token=hub_standin.TOKEN).model_info("acme/nothing")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("acme/model", "other.bin", endpoint=hub.url, local_dir=tmp_path)
    with pytest.raises(GatedRepoError):
        hf_hub_download("acme/gated", "model.bin", endpoint=hub.url, local_dir=tmp_path, token=False)
    hub.down = True
    with pytest.raises(HfHubHTTPError):
        HfApi(endpoint=hub.url).model_info("acme/model")


def test_ranges(hub: Any) -> None:
    url = f"{hub.url}/acme/model/resolve/main/model.bin"
    answer = requests.get(url, headers={"Range": "bytes=100-"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, LARGE[100:])
    assert answer.headers["Content-Range"] == f"bytes 100-{len(LARGE) - 1}/{len(LARGE)}"
    assert requests.get(url, headers={"Range": f"bytes={len(LARGE)}-"}, timeout=10).status_code == 416


def test_a_connection_is_cut_once(hub: Any) -> None:
    hub.cut_after = 1000
    url = f"{hub.url}/acme/model/resolve/main/model.bin"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=10)
    assert requests.get(url, timeout=10).content == LARGE


def test_search(hub: Any) -> None:
    assert [found.id for found in HfApi(endpoint=hub.url).list_models(search="gated")] == ["acme/gated"]
