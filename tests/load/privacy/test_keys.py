"""The key of the pseudonyms: made once, kept apart from the data, and not for everybody."""

import os
import stat

import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.load.privacy.keys import new_key, read_key

posix = pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def write_key(path, content=b"0123456789abcdef0123456789abcdef", mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_new_key_is_long_enough_and_read_back(tmp_path, data):
    key = read_key(new_key(tmp_path / "study.key"), data=data)
    assert len(key) == 64
    assert len(set(key)) > 8


def test_two_keys_are_never_the_same(tmp_path, data):
    first, second = (read_key(new_key(tmp_path / name), data=data) for name in ("one.key", "two.key"))
    assert first != second


@posix
def test_only_its_owner_may_read_a_new_key(tmp_path):
    assert stat.S_IMODE(new_key(tmp_path / "study.key").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path):
    path = write_key(tmp_path / "study.key")
    with pytest.raises(PlanError, match="is there already"):
        new_key(path)
    assert path.read_bytes() == b"0123456789abcdef0123456789abcdef"


def test_a_key_for_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(PlanError, match="Make the folder"):
        new_key(tmp_path / "nowhere" / "study.key")


def test_white_space_around_a_key_does_not_count(tmp_path, data):
    bare = write_key(tmp_path / "bare.key")
    ended = write_key(tmp_path / "ended.key", bare.read_bytes() + b"\r\n")
    assert read_key(bare, data=data) == read_key(ended, data=data)


@pytest.mark.parametrize("place", ["study.key", "deeper/study.key"])
def test_a_key_within_the_data_is_refused(data, place):
    path = data / place
    path.parent.mkdir(exist_ok=True)
    write_key(path)
    with pytest.raises(PlanError, match="within the folder of the data"):
        read_key(path, data=data)


def test_a_key_that_only_seems_to_lie_elsewhere_is_refused(tmp_path, data):
    write_key(data / "study.key")
    with pytest.raises(PlanError, match="within the folder of the data"):
        read_key(tmp_path / "data" / ".." / "data" / "study.key", data=data)
    (tmp_path / "link.key").symlink_to(data / "study.key")
    with pytest.raises(PlanError, match="within the folder of the data"):
        read_key(tmp_path / "link.key", data=data)


def test_a_link_within_the_data_to_a_key_elsewhere_is_refused(tmp_path, data):
    (data / "link.key").symlink_to(write_key(tmp_path / "study.key"))
    with pytest.raises(PlanError, match="within the folder of the data"):
        read_key(data / "link.key", data=data)


def test_a_key_beside_the_one_file_of_the_data_is_refused(data):
    workbook = data / "clinic.xlsx"
    workbook.write_bytes(b"")
    with pytest.raises(PlanError, match="within the folder of the data"):
        read_key(write_key(data / "study.key"), data=workbook)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31, b"x" * 31 + b"\n\n"])
def test_a_key_below_32_bytes_is_refused(tmp_path, data, content):
    with pytest.raises(PlanError, match=r"at least 32 bytes.*aih-outcomes key"):
        read_key(write_key(tmp_path / "study.key", content), data=data)


@posix
@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o777])
def test_a_key_that_everybody_may_open_is_refused_with_the_command_that_mends_it(tmp_path, data, mode):
    with pytest.raises(PlanError, match=r"chmod o-rwx study\.key"):
        read_key(write_key(tmp_path / "study.key", mode=mode), data=data)


@posix
def test_a_team_may_share_a_key(tmp_path, data):
    assert read_key(write_key(tmp_path / "study.key", mode=0o640), data=data)


def test_a_key_that_is_not_there_or_is_a_folder_says_how_to_make_one(tmp_path, data):
    for path in (tmp_path / "absent.key", tmp_path):
        with pytest.raises(PlanError, match="aih-outcomes key"):
            read_key(path, data=data)


def test_no_message_holds_the_key(tmp_path, data):
    secret = b"do not print me"
    with pytest.raises(PlanError) as caught:
        read_key(write_key(tmp_path / "study.key", secret), data=data)
    assert secret.decode() not in str(caught.value)
