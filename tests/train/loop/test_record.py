"""Errors by element and kind go into the record where there are several, without what is unknown."""

from mlip_engines.properties.by_element import ElementErrors
from mlip_engines.properties.by_structure import KindErrors
from mlip_train.loop.record import errors_by_part


def test_what_is_unknown_is_left_out():
    elements = [ElementErrors("H", 2, 0.1, None), ElementErrors("O", 1, 0.2, 0.3)]
    found = errors_by_part(elements, [KindErrors("liquid", 3, 0.01, 0.1)])
    assert found == {
        "element": {
            "H": {"conservative_rmse": 0.1},
            "O": {"conservative_rmse": 0.2, "non_conservative_rmse": 0.3},
        }
    }


def test_a_set_of_one_element_and_two_kinds_has_errors_by_kind():
    kinds = [KindErrors("a", 3, 0.01, 0.1), KindErrors("", 1, None, 0.2)]
    assert errors_by_part([ElementErrors("H", 2, 0.1, None)], kinds) == {
        "config_type": {
            "a": {"structures": 3, "energy_rmse": 0.01, "conservative_rmse": 0.1},
            "": {"structures": 1, "conservative_rmse": 0.2},
        }
    }
