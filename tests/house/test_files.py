import json
import stat

import pytest

from pact_hw.errors import InputError
from pact_hw.files import atomic_path, read_json, write_json


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "x.json"
    write_json(target, {"a": 1})

    def fails_halfway():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_halfway()
    assert json.loads(target.read_text()) == {"a": 1}
    assert [path.name for path in target.parent.iterdir()] == ["x.json"]


def test_written_files_have_ordinary_permissions(tmp_path):
    write_json(tmp_path / "x.json", 1)
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


@pytest.mark.parametrize("text", ["", "{", "\x00\x01", '{"a": ', '{"a": NaN}', "-Infinity"])
def test_what_is_not_json_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"^.*x\.json: cannot be read: [^\n]+$"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^.*y\.json: no such file$"):
        read_json(tmp_path / "y.json")


def test_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert not list(tmp_path.iterdir())
