"""The root key: made once, whole or not at all, and one derived key per purpose."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import root_file
from app.errors import ServiceUnavailable, SettingsInvalid
from app.vault import Vault


def test_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = Vault.open(secret_key=None, data_dir=tmp_path)
    path = tmp_path / "root.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["root.key"]
    again = Vault.open(secret_key=None, data_dir=tmp_path)
    assert again.derive_key("x") == first.derive_key("x") != first.derive_key("y")


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: Vault.open(secret_key=None, data_dir=tmp_path), range(16)))
    assert len({vault.derive_key("x") for vault in made}) == 1


def test_a_damaged_root_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "root.key").write_bytes(b"short")
    with pytest.raises(SettingsInvalid, match="restore it from a backup"):
        Vault.open(secret_key=None, data_dir=tmp_path)
    assert (tmp_path / "root.key").read_bytes() == b"short"


def test_what_was_sealed_opens_in_its_place_alone() -> None:
    vault = Vault(b"0" * 32)
    sealed = vault.seal("secret", place="accounts/1")
    assert vault.unseal(sealed, place="accounts/1") == "secret"
    assert vault.seal("secret", place="accounts/1") != sealed
    with pytest.raises(SettingsInvalid):
        vault.unseal(sealed, place="accounts/2")
    with pytest.raises(SettingsInvalid):
        Vault(b"1" * 32).unseal(sealed, place="accounts/1")


def test_an_old_root_opens_and_is_known_and_the_new_one_makes() -> None:
    before, after = Vault(b"0" * 32), Vault(b"1" * 32, old=[b"0" * 32])
    sealed = before.seal("secret", place="accounts/1")
    assert after.unseal(sealed, place="accounts/1") == "secret"
    with pytest.raises(SettingsInvalid):
        after.unseal(sealed, place="accounts/2")
    fresh = after.reseal(sealed, place="accounts/1")
    assert Vault(b"1" * 32).unseal(fresh, place="accounts/1") == "secret"
    assert after.reseal(fresh, place="accounts/1") == fresh
    assert after.keyed_hashes("x", "y") == [
        Vault(b"1" * 32).keyed_hash("x", "y"),
        before.keyed_hash("x", "y"),
    ]
    assert after.derive_key("x") == after.derive_keys("x")[0] != before.derive_key("x")
    assert (before.has_old_roots, after.has_old_roots) == (False, True)
    assert before.root_fingerprint != after.root_fingerprint


def test_the_root_key_is_replaced_once_until_the_old_one_goes(tmp_path: Path) -> None:
    first = root_file.read_or_create(tmp_path)
    assert root_file.replace_root_key(tmp_path)
    second = root_file.read_or_create(tmp_path)
    assert root_file.read_old(tmp_path) == [first] != [second]
    assert not root_file.replace_root_key(tmp_path)
    assert root_file.read_or_create(tmp_path) == second
    (tmp_path / "root.key.old").unlink()
    assert root_file.replace_root_key(tmp_path)
    assert root_file.read_old(tmp_path) == [second]


def test_two_can_not_replace_it_at_once(tmp_path: Path) -> None:
    with (
        root_file.exclusive_access(tmp_path),
        pytest.raises(ServiceUnavailable, match="is being changed already"),
        root_file.exclusive_access(tmp_path),
    ):
        pass
    with root_file.exclusive_access(tmp_path):
        pass


def test_a_process_that_runs_on_learns_of_a_new_root_key(tmp_path: Path) -> None:
    running = Vault.open(secret_key=None, data_dir=tmp_path)
    root_file.replace_root_key(tmp_path)
    other = Vault.open(secret_key=None, data_dir=tmp_path)
    assert running.root_fingerprint != other.root_fingerprint
    assert running.unseal(other.seal("secret", place="here"), place="here") == "secret"
    assert running.root_fingerprint == other.root_fingerprint


def test_a_file_gives_way_to_a_variable(tmp_path: Path) -> None:
    sealed = Vault.open(secret_key=None, data_dir=tmp_path).seal("secret", place="here")
    (tmp_path / "root.key").rename(tmp_path / "root.key.old")
    opened = Vault.open(secret_key="a-secret-key-0123456789", data_dir=tmp_path)
    assert opened.unseal(sealed, place="here") == "secret"
    assert not (tmp_path / "root.key").exists()
