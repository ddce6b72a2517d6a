"""A model file as a zip archive: its metadata and checksum, read without running the model."""

import hashlib
import shutil
import zipfile
from pathlib import Path

from mlip_engines.model.contract import ModelContractError, ModelMetadata

METADATA_RECORD = "metadata.json"
_HASHED_FOLDERS = ("code/", "data/", "constants/")
_HASHED_FILES = ("data.pkl", "constants.pkl")


def read_metadata(path: str | Path) -> ModelMetadata:
    """Read what a model file says about itself; nothing in the file is executed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelContractError
        If it is no model file, or its metadata are of another version or incomplete.
    """
    path = Path(path)
    with _open(path) as archive:
        name = _root(archive, path) + f"extra/{METADATA_RECORD}"
        if name not in archive.namelist():
            raise ModelContractError(
                f"{path}: expected a model written by mlip-export, got an archive without "
                f"{METADATA_RECORD}; export the checkpoint with mlip-export"
            )
        return ModelMetadata.from_json(archive.read(name).decode(), str(path))


def checksum(path: str | Path) -> str:
    """Return ``sha256:<hex>`` over the code and the tensors of a model file, without its metadata.

    It detects damage, not malice: who can change the code can change the checksum.
    """
    path = Path(path)
    digest = hashlib.sha256()
    with _open(path) as archive:
        root = _root(archive, path)
        for full_name in sorted(archive.namelist()):
            name = full_name.removeprefix(root)
            if name.startswith(_HASHED_FOLDERS) or name in _HASHED_FILES:
                content = _read(archive, full_name, path)
                digest.update(name.encode() + b"\0" + len(content).to_bytes(8, "little") + content)
    return f"sha256:{digest.hexdigest()}"


def replace_metadata(path: str | Path, metadata: ModelMetadata) -> None:
    """Write other metadata into a model file and leave every other record as it is."""
    path = Path(path)
    with _open(path) as source:
        metadata_name = _root(source, path) + f"extra/{METADATA_RECORD}"
    _rewrite(path, {metadata_name: metadata.to_json().encode()})


def strip_debug_records(path: str | Path) -> None:
    """Remove what TorchScript keeps for its error messages: it names the folders of whoever exported the model."""
    _rewrite(Path(path), {}, left_out=".debug_pkl")


def _rewrite(path: Path, replaced: dict[str, bytes], left_out: str | None = None) -> None:
    """Write an archive anew, with other contents for some records and without those that end in ``left_out``."""
    draft = path.with_name(path.name + ".draft")
    with _open(path) as source, zipfile.ZipFile(draft, "w") as target:
        for entry in source.infolist():
            if left_out is None or not entry.filename.endswith(left_out):
                content = replaced.get(entry.filename, source.read(entry))
                target.writestr(zipfile.ZipInfo(entry.filename), content)
    shutil.move(draft, path)


def verify_checksum(path: str | Path, metadata: ModelMetadata) -> None:
    """Raise :class:`ModelContractError` if the file is not what its metadata say it is."""
    found = checksum(path)
    if found != metadata.checksum:
        raise ModelContractError(
            f"{path}: expected checksum {metadata.checksum or '(none recorded)'}, got {found}; "
            "the file is damaged: copy or export it again"
        )


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise FileNotFoundError(f"expected a model file, found nothing at {path}")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as e:
        raise ModelContractError(
            f"{path}: expected a model written by mlip-export, got a file that is no archive"
        ) from e


def _root(archive: zipfile.ZipFile, path: Path) -> str:
    names = archive.namelist()
    if not names or "/" not in names[0]:
        raise ModelContractError(f"{path}: expected a TorchScript archive, got another zip file")
    return names[0].split("/", 1)[0] + "/"


def _read(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except zipfile.BadZipFile as e:
        raise ModelContractError(f"{path}: {name} is damaged ({e}); copy the file again") from e
