"""Content in a bucket: a real S3-compatible server takes it, gives it back, and signs links that are good for one thing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.artifact.house import House
from tests.surface.page_service import serve

from cdesk.artifact.s3 import S3Store
from cdesk.artifact.seal import LINK_SECONDS
from cdesk.config import ArtifactSettings, PersonSettings, Settings
from cdesk.errors import ArtifactError, BucketAway, ConfigError, ContentMissing
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

ENVIRONMENT = {"KEY": "test", "SECRET": "test"}


@dataclass
class Bucket:
    settings: ArtifactSettings
    url: str

    def store(self, copies: Path = Path()) -> S3Store:
        return S3Store(self.settings, copies, ENVIRONMENT)

    def names(self) -> list[str]:
        import obstore

        store = self.store()._bucket
        return sorted(str(one["path"]) for found in obstore.list(store) for one in found)


@pytest.fixture(scope="module")
def bucket(s3_server: str) -> Bucket:
    settings = ArtifactSettings(
        url="s3://kept/results", endpoint=s3_server, key_id="env:KEY", secret="env:SECRET"
    )  # fmt: skip
    bucket = Bucket(settings, s3_server)
    made = bucket.store()
    import datetime

    import obstore

    assert httpx.put(obstore.sign(made._bucket, "PUT", "", datetime.timedelta(minutes=1))).status_code == 200
    return bucket


@pytest.fixture
def remote(tmp_path: Path, warehouse: DuckDBWarehouse, bucket: Bucket) -> Iterator[House]:
    warehouse.write([("DELETE FROM ARTIFACTS", []), ("DELETE FROM ARTIFACT_CONTENT_DUE", [])])
    found = House(tmp_path, warehouse, remote=bucket.store(tmp_path / "artifacts" / "copies"))
    yield found
    found.artifacts.close()


def test_the_life_of_content_in_a_bucket(remote: House, bucket: Bucket) -> None:
    """Nothing of it stays here but a copy that is read; when it is deleted, it is gone there."""
    kept = remote.keep()
    assert kept.place.url == f"s3://kept/{kept.place.key}" and kept.place.key in bucket.names()
    assert remote.files() == []
    assert remote.rows(kept) == [[1, "one"], [2, "two"]]
    assert remote.artifacts.is_here(kept)
    remote.artifacts.delete(kept.artifact_id)
    assert kept.place.key not in bucket.names()


def test_lost_or_changed_content_is_found_out(remote: House) -> None:
    import obstore

    lost, changed = remote.keep(), remote.keep([(3, "three")])
    store: Any = remote.artifacts._remote
    obstore.delete(store._bucket, lost.place.key)
    obstore.put(store._bucket, changed.place.key, b"something else")
    assert not remote.artifacts.is_here(lost)
    with pytest.raises(ContentMissing):
        remote.rows(lost)
    with pytest.raises(ArtifactError, match="not what was kept"):
        remote.rows(changed)


def test_only_what_is_due_is_deleted(remote: House, bucket: Bucket) -> None:
    """Homes may share a bucket: what this one never wrote is not its to delete. A bucket that is away is asked again."""
    import obstore

    store: Any = remote.artifacts._remote
    obstore.put(store._bucket, "results/art_1a2225642db_00000009.parquet", b"theirs")
    kept = remote.keep()
    remote.wait(days=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_bucket_name", "away")
        remote.artifacts.delete(kept.artifact_id)
        assert kept.place.key in bucket.names()
    assert remote.artifacts.sweep() == 1 and kept.place.key not in bucket.names()
    assert "results/art_1a2225642db_00000009.parquet" in bucket.names()


def test_a_signed_link_is_good_for_one_thing(remote: House) -> None:
    """Expired, changed, for another object or another method: the server refuses."""
    kept, other = remote.keep(), remote.keep([(5, "five")])
    url = str(remote.artifacts.signed_by_store(kept, LINK_SECONDS))
    got = httpx.get(url)
    assert got.status_code == 200 and got.content == remote.artifacts.file(kept).read_bytes()
    assert f"X-Amz-Expires={LINK_SECONDS}" in url
    last = "0" if url[-1] != "0" else "1"
    for wrong in (
        url[:-1] + last,
        url.replace(kept.artifact_id, other.artifact_id),
        url.replace("Expires=600", "Expires=6000"),
    ):
        assert httpx.get(wrong).status_code == 403, wrong
    for method in ("HEAD", "PUT", "DELETE"):
        assert httpx.request(method, url).status_code == 403, method
    brief = str(remote.artifacts.signed_by_store(kept, 1))
    until = time.monotonic() + 10
    while httpx.get(brief).status_code == 200:
        assert time.monotonic() < until, "the link does not end"
        time.sleep(0.2)
    assert httpx.get(brief).status_code == 403
    assert httpx.get(url).status_code == 200


def test_the_service_links_to_the_bucket(
    bucket: Bucket, tmp_path: Path, deployed: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet is linked to where it is; other formats are made here, and need no copy in the bucket."""
    from cdesk import app as assembly

    settings = Settings(person=PersonSettings(customer="ada"), artifacts=bucket.settings)
    real = assembly.App.__init__

    def with_credentials(self: Any, home: Any, settings: Any, environment: Any, **more: Any) -> None:
        real(self, home, settings, {**environment, **ENVIRONMENT}, **more)

    monkeypatch.setattr(assembly.App, "__init__", with_credentials)
    deployed(tmp_path / "warehouse")
    with serve(tmp_path, settings=settings) as served:
        id_ = served.client.post("/v1/artifacts", json={"sql": "SELECT 7 AS seven"}).json()["artifact_id"]
        link = served.client.post(f"/v1/artifacts/{id_}/link", json={"format": "parquet"}).json()["url"]
        assert link.startswith(bucket.url) and httpx.get(link).content[:4] == b"PAR1"
        csv = served.client.post(f"/v1/artifacts/{id_}/link", json={"format": "csv"}).json()["url"]
        assert csv.startswith(served.url) and httpx.get(csv).text == "seven\r\n7\r\n"
        assert "test" not in served.client.get(f"/v1/artifacts/{id_}").text.replace("latest", "")


def test_a_server_that_refuses_is_said_in_one_line(bucket: Bucket, tmp_path: Path) -> None:
    """And nothing of the credentials."""
    settings = ArtifactSettings(url="s3://nobodys/x", endpoint=bucket.url, key_id="env:KEY", secret="env:SECRET")
    store = S3Store(settings, tmp_path, {"KEY": "AKIA-mine", "SECRET": "s3cr3t-mine"})
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(BucketAway) as refused:
        store.put(store.place("art_1a2225642db_00000001"), file)
    assert "bucket nobodys said" in str(refused.value) and "mine" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_credentials_name_where_they_were_looked_for(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="env:SECRET"):
        S3Store(bucket.settings, tmp_path, {"KEY": "test"})
