"""What the room offers by name is what one gets, whatever was imported before."""

import pkgutil

from forensics import plots


def test_no_module_hides_a_function_of_its_name():
    modules = {each.name for each in pkgutil.iter_modules(plots.__path__)}
    assert modules and not modules & set(plots.__all__)
    for name in plots.__all__:
        assert callable(getattr(plots, name)), name
