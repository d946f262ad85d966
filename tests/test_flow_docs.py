from tests.flow_docs import PAGE, page


def test_the_pictures_of_the_flows_are_those_of_their_classes() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "make diagrams writes them anew"
