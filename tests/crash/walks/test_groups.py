"""How walks are put together, and what is known of their events before anybody walks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fsm.paths import By, Edge, Walk, walks
from strandline.testing import Walker
from strandline.testing.walking.causes import Causes, Inputs
from strandline.testing.walking.group import groups
from tests.crash.walks.flows import Distant, Form, Greeter, Hog

FORM_INPUTS: Inputs = {Form.name_given: "Ada"}


def edge_of(name: str, source: str, target: str, sample: int = 0) -> Edge:
    return Edge(source, target, By.EVENT, name, sample=sample)


@given(st.sampled_from([Form, Greeter, Hog]), st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_each_walk_is_in_one_cohort_whose_last_global_steps_are_its_own(
    flow: type[Form | Greeter | Hog], length: int
) -> None:
    all_walks = walks(flow, length=length)

    found = groups(all_walks)

    placed = [walk for _, of_these in found for walk in of_these]
    assert sorted(map(str, placed)) == sorted(map(str, all_walks))
    for shared, of_these in found:
        for walk in of_these:
            assert shared[len(shared) - len(walk.globals) :] == walk.globals


def test_walks_with_no_restart_join_others() -> None:
    restart = Edge("known", "known", By.RESTART)
    meet = edge_of("meet", "idle", "known")
    plain = Walk("idle", (meet,))
    restarted = plain.then(restart).then(edge_of("who", "known", "known"))

    [(shared, of_these)] = groups([plain, restarted])

    assert [edge.by for edge in shared] == [By.RESTART]
    assert of_these == [restarted, plain]


def test_an_event_causes_itself_as_its_declaration_says() -> None:
    causes = Causes(Form, FORM_INPUTS, {})

    assert list(causes.problems()) == []
    assert causes.of(edge_of("begin", "idle", "asking_name"), 0) == ("!form",)
    assert causes.of(edge_of("name_given", "asking_name", "asking_age"), 0) == ("Ada",)
    assert causes.of(edge_of("misnamed", "asking_name", "asking_name"), 0) == ("Walk on.",)


def test_a_sample_of_a_command_is_its_argument() -> None:
    causes = Causes(Form, {Form.begin: "twice", (Form.submitted, Form.begin): "?anew"}, {}, "?")

    assert causes.of(edge_of("begin", "idle", "asking_name"), 0) == ("?form twice",)
    assert causes.of(edge_of("begin", "submitted", "asking_name"), 0) == ("?anew",)


def test_a_list_holds_samples_and_a_tuple_what_is_done_in_turn() -> None:
    inputs: Inputs = {Form.name_given: "Ada", Form.age_given: [("Hm.", Walker.takes_back), "41"]}
    causes = Causes(Form, inputs, {})

    assert causes.plan.samples["asking_age", "age_given"] == 2
    first = causes.of(edge_of("age_given", "asking_age", "submitted"), 0)
    assert first == ("Hm.", Walker.takes_back)
    second = causes.of(edge_of("age_given", "asking_age", "submitted", sample=1), 0)
    assert second == ("41",)


def test_events_that_are_left_out_need_no_sample() -> None:
    assert len(list(Causes(Distant, {}, {}).problems())) == 2
    assert list(Causes(Distant, {}, {Distant.depart: "…", Distant.far: "…"}).problems()) == []


def test_a_sample_for_another_flow_is_named() -> None:
    problems = list(Causes(Greeter, {Form.begin: "now"}, {}).problems())

    assert problems == ["inputs: 'begin' is no event of Greeter"]
