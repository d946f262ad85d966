"""What import-linter has no contract for: no module imports itself through others."""

from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("fsm", "durable", "ephemeral", "matrix", "strandline")


def test_no_import_goes_in_a_circle_not_even_for_types() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
    assert len(graph.modules) > 100
