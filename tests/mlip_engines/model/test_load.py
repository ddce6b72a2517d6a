"""Model files are found, checked, and refused with a reason."""

import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mlip_engines.model.load
from mlip_engines.model.archive import checksum, read_metadata, replace_metadata
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import find_model, load_model


@pytest.fixture
def model_file(model_files, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copy(model_files["float64"], tmp_path / "model.pt"))


def rewrite(path: Path, name_end: str, change) -> None:
    """Replace one record of an archive, whatever its checks say."""
    with zipfile.ZipFile(path) as source:
        records = {name: source.read(name) for name in source.namelist()}
    (name,) = [n for n in records if n.endswith(name_end)]
    records[name] = change(records[name])
    with zipfile.ZipFile(path, "w") as target:
        for n, content in records.items():
            target.writestr(n, content)


def test_a_path_is_taken_as_it_is(model_file):
    assert find_model(model_file) == model_file
    assert find_model(str(model_file)) == model_file


def test_a_shipped_model_is_found_with_and_without_suffix(model_file, monkeypatch):
    monkeypatch.setattr(mlip_engines.model.load, "models_directory", lambda: model_file.parent)
    assert find_model("model") == find_model("model.pt") == model_file
    with pytest.raises(FileNotFoundError, match=r"shipped model \(model\), got 'other'"):
        find_model("other")
    with pytest.raises(FileNotFoundError):  # a path is not looked for among shipped models
        find_model("folder/model")


def test_a_loaded_model_knows_its_file(model_file):
    model = load_model(model_file)
    assert model.path == model_file
    assert model.metadata == read_metadata(model_file)
    assert not model.module.training


def test_checksum_follows_the_documented_recipe(model_file):
    """SHA-256 over sorted records: name, zero byte, length in 8 little-endian bytes, content."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(model_file) as archive:
        root = archive.namelist()[0].split("/")[0] + "/"
        for name in sorted(name.removeprefix(root) for name in archive.namelist()):
            if name.split("/")[0] in ("code", "data", "constants", "data.pkl", "constants.pkl"):
                content = archive.read(root + name)
                digest.update(name.encode() + b"\0")
                digest.update(len(content).to_bytes(8, "little"))
                digest.update(content)
    assert checksum(model_file) == "sha256:" + digest.hexdigest()
    assert read_metadata(model_file).checksum == checksum(model_file)


@pytest.mark.parametrize("record", [".py", "data.pkl", "data/0"])
def test_a_changed_record_is_noticed(record, model_file):
    if record == ".py":
        with zipfile.ZipFile(model_file) as archive:
            code = [entry for entry in archive.infolist() if entry.filename.endswith(".py")]
        record = max(code, key=lambda entry: entry.file_size).filename
    rewrite(model_file, record, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelContractError, match="file is damaged"):
        load_model(model_file)


def test_metadata_do_not_change_the_checksum(model_file):
    before = checksum(model_file)
    replace_metadata(model_file, replace(read_metadata(model_file), citation="A paper"))
    assert checksum(model_file) == before
    assert load_model(model_file).metadata.citation == "A paper"


def test_a_truncated_file_is_refused(model_file):
    content = model_file.read_bytes()
    model_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelContractError, match="no archive"):
        load_model(model_file)


def test_a_flipped_byte_anywhere_in_the_tensors_is_refused(model_file):
    content = bytearray(model_file.read_bytes())
    with zipfile.ZipFile(model_file) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    content[largest.header_offset + 200] ^= 1
    model_file.write_bytes(bytes(content))
    with pytest.raises(ModelContractError, match="damaged"):
        load_model(model_file)


def test_another_contract_version_is_refused(model_file):
    rewrite(
        model_file,
        "extra/metadata.json",
        lambda content: content.replace(b'"contract_version": 1', b'"contract_version": 99'),
    )
    with pytest.raises(ModelContractError, match="expected contract version 1 or 2, got 99"):
        load_model(model_file)


def test_torchscript_without_metadata_is_refused(tmp_path):
    with pytest.warns(DeprecationWarning) if torch.__version__ >= "2.10" else _nothing():
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "other.pt"))
    with pytest.raises(ModelContractError, match="archive without metadata.json"):
        load_model(tmp_path / "other.pt")


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and so on"])
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelContractError, match="no archive"):
        load_model(path)


def test_any_other_zip_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelContractError, match="another zip file"):
        load_model(tmp_path / "model.pt")


def test_unknown_elements_are_all_named(model_file):
    with pytest.raises(ValueError, match="knows H, O, got Ar, C"):
        load_model(model_file).check_elements({"C", "O", "Ar"})


def test_a_device_that_is_not_there_is_named():
    missing = f"cuda:{torch.cuda.device_count() if torch.cuda.is_available() else 0}"
    with pytest.raises(ValueError, match=f"torch can use here, got '{missing}', and torch finds"):
        load_model("water", missing)
