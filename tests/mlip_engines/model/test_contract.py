"""Metadata refuse what cannot be right, and say what was expected."""

import json

import pytest

from mlip_engines.model.contract import ModelContractError, ModelMetadata

FIELDS = {
    "name": "argon",
    "species": ["Ar"],
    "cutoff": 5.0,
    "message_passing_layers": 2,
    "heads": ["energy", "non_conservative_forces"],
    "dtype": "float32",
    "interaction_range": 10.0,
}


def as_json(**changes) -> str:
    return json.dumps({**FIELDS, "contract_version": 1, **changes})


def test_metadata_survive_a_round_trip_through_json():
    metadata = ModelMetadata(**FIELDS, errors={"rms_c_minus_nc": 0.02}, licence="CC-BY-4.0")
    assert ModelMetadata.from_json(metadata.to_json()) == metadata


def test_json_has_the_documented_keys():
    """Other readers, in C++ among them, rely on these names."""
    values = json.loads(ModelMetadata(**FIELDS).to_json())
    assert values["contract_version"] == 1
    assert (values["energy_unit"], values["length_unit"]) == ("eV", "Angstrom")
    assert set(values) == {
        *FIELDS,
        "non_conservative_layers",
        "feature_exchange",
        "edge_exchange",
        "structure_inputs",
        "extensions",
        "short_range",
        "properties",
        "comparison",
        "symmetrisation",
        "energy_range",
        "largest_forces",
        "contract_version",
        "energy_unit",
        "length_unit",
    } | {
        "reference_energies",
        "training",
        "errors",
        "errors_by",
        "card",
        "licence",
        "citation",
        "checksum",
    }


def test_fields_of_a_later_minor_addition_are_ignored():
    assert ModelMetadata.from_json(as_json(colour="green")).name == "argon"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected metadata in JSON"),
        ("[]", "expected a JSON object, got list"),
        (as_json(edge_exchange=True), "must also evaluate only the atoms it is asked for"),
        (as_json(contract_version=3), "expected contract version 1 or 2, got 3"),
        (json.dumps(FIELDS), "expected contract version 1 or 2, got None"),
        (json.dumps({"contract_version": 1, "name": "x"}), "metadata lack cutoff, dtype"),
        (as_json(dtype="float16"), "dtype must be one of .*got 'float16'"),
        (as_json(cutoff=0.0), "cutoff must be positive, got 0"),
        (as_json(interaction_range=4.0), "interaction range must be at least the cutoff"),
        (as_json(heads=["energy", "virial"]), "virial is what the file itself returns"),
        (as_json(heads=["energy", "energy"]), "heads must be different names"),
        (as_json(heads=["energy", "a b"]), "heads must be different names"),
        (as_json(energy_unit="kcal/mol"), "the file has kcal/mol and Angstrom"),
        (as_json(length_unit="bohr"), "the file has eV and bohr"),
        (as_json(structure_inputs=["electric_field"]), "depends on electric_field, which"),
        (as_json(heads=["non_conservative_forces"]), "heads must include 'energy'"),
        (as_json(heads=["energy", "non_conservative_stress"]), "needs one for forces"),
        (as_json(species=[]), "at least one species"),
    ],
)
def test_bad_metadata_are_refused(text, message):
    with pytest.raises(ModelContractError, match=message) as caught:
        ModelMetadata.from_json(text, "argon.pt")
    assert str(caught.value).startswith("argon.pt: ")


def test_head_is_recognised():
    assert ModelMetadata(**FIELDS).has_non_conservative_forces
    assert not ModelMetadata(**{**FIELDS, "heads": ["energy"]}).has_non_conservative_forces


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({}, 1),
        ({"extensions": []}, 1),
        ({"extensions": ["mlip"]}, 1),
        ({"extensions": ["mlip", "cueq"]}, 2),
        ({"heads": ["energy", "dipoles"]}, 2),
        ({"structure_inputs": ["total_charge"]}, 2),
    ],
)
def test_the_version_is_the_least_that_reads_the_file(changes, version):
    assert ModelMetadata(**{**FIELDS, **changes}).least_version == version


def test_a_head_of_another_name_is_kept():
    metadata = ModelMetadata.from_json(as_json(contract_version=2, heads=["energy", "dipoles"]))
    assert metadata.other_heads == ["dipoles"]
    assert not metadata.has_non_conservative_forces


def test_files_of_before_extensions_may_call_the_operators_of_this_package():
    values = json.loads(as_json())
    assert "extensions" not in values
    assert ModelMetadata.from_json(json.dumps(values)).extensions == ["mlip"]
