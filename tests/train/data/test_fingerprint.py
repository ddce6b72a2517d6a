"""The hash of the data changes with them."""

from mlip_train.data.fingerprint import file_hash


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    before = file_hash(tmp_path)
    (tmp_path / "b").write_text("3")
    changed = file_hash(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert len({before, changed, file_hash(tmp_path)}) == 3 and len(before) == 64
