"""Settings of artifacts: a bucket by name, credentials by where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdesk import config
from cdesk.config import Home
from cdesk.errors import ConfigError

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"


def loaded(folder: Path, text: str) -> config.ArtifactSettings:
    (folder / "config.toml").write_text(f"[artifacts]\n{text}\n")
    return config.load(Home(folder)).artifacts


@pytest.mark.parametrize(
    "text",
    [
        'url = "s3://bucket"', 'url = "s3://our.bucket-1/a/b_c/"', 'endpoint = "http://127.0.0.1:9000"', "days = 0.5",
        'endpoint = "https://s3.example.org/"', 'key_id = "env:KEY"\nsecret = "file:/run/secrets/s3"',
    ],
)  # fmt: skip
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("days = 0", "days"), ('url = "https://bucket"', "s3://"), ('url = "s3://b/../x"', "s3://"), ('url = "s3://"', "s3://"),
        ('endpoint = "http://s3.example.org"', "https://"), ('endpoint = "http://127.0.0.1.evil.org"', "https://"),
        (f'endpoint = "https://me:{SECRET}@s3.example.org"', "https://"), (f'secret = "{SECRET}"', "secret says where"),
        (f'key_id = "{SECRET}"', "key_id says where"), (f'session_token = "env:{SECRET}/x"', "session_token says where"),
        (f'secret_access_key = "{SECRET}"', "secret_access_key"), ('secret = "file:relative"', "secret says where"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_without_the_secret(tmp_path: Path, text: str, says: str) -> None:
    """Nobody's secret is repeated, in whichever setting it was written by mistake."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert says in str(error.value) and SECRET not in str(error.value) and "\n" not in str(error.value)
