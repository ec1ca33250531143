"""What differs between flows and what they have learned."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

import clary
from clary.flows.differences import Difference, of_learned
from clary.flows.fitted import Fitted, Learned

names = st.text("abcd", min_size=1, max_size=2)
scalars = st.none() | st.integers(2, 9) | st.floats(-5.0, 0.5) | names
values = st.recursive(
    scalars | st.lists(names, max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
columns = st.dictionaries(names, st.sampled_from(["BIGINT", "VARCHAR"]), max_size=3)
nodes = st.builds(
    lambda kinds, state: Learned("x", tuple(kinds.items()), state),
    columns,
    st.dictionaries(names, values, max_size=3),
)
states = st.dictionaries(names, nodes, max_size=3).map(Fitted)


def told(state):
    return {
        name: (one.columns, msgspec.to_builtins(one.state))
        for name, one in state.nodes.items()
        if one.columns or one.state
    }


@given(states, states)
def test_there_is_a_difference_where_they_are_not_equal_and_it_goes_both_ways(before, after):
    found = of_learned(before, after)
    assert (told(before) == told(after)) == (not found)
    back = {(one.node, one.what, repr(one.after), repr(one.before)) for one in found}
    again = of_learned(after, before)
    assert {(one.node, one.what, repr(one.before), repr(one.after)) for one in again} == back
    assert of_learned(before, before) == []


def test_numbers_move_and_categories_come_and_go():
    def learned(rows):
        flow = clary.Flow(rows, name="rides").standard_scale("km").one_hot("city")
        return flow.fit()

    before = learned([{"km": 1.0, "city": "Rome"}, {"km": 3.0, "city": "Oslo"}])
    after = learned([{"km": 1.0, "city": "Rome"}, {"km": 4.0, "city": "Bonn"}])
    found = before.differences(after)
    assert before.differences(before) == []
    assert Difference("standard", "learned.km.mean", 2.0, 2.5, 0.25) in found
    assert Difference("one_hot", "learned.categories", before="Oslo") in found
    assert Difference("one_hot", "learned.categories", after="Bonn") in found
    columns = {one.what for one in found if one.what.startswith("columns")}
    assert columns == {"columns.city_Oslo", "columns.city_Bonn"}


def test_nodes_parameters_and_inputs():
    start = clary.Flow([{"a": 1}], name="rows").parameter("low", 1)
    before = start.filter("a > 1").called("some").drop("a")
    after = start.parameter("low", 2).filter("a > 2").called("some").rename("a", "b")
    dropped, renamed = before.document.nodes[-1], after.document.nodes[-1]
    assert [msgspec.to_builtins(one) for one in before.differences(after)] == [
        {"node": "", "what": "parameters.low.default", "before": 1, "after": 2, "relative": 1.0},
        {"node": "some", "what": "parameters.condition", "before": "a > 1", "after": "a > 2"},
        {"node": dropped.id, "what": "node", "before": dropped.operator},
        {"node": renamed.id, "what": "node", "after": renamed.operator},
    ]
    swapped = of_learned(
        Fitted({"n": Learned("x", (("a", "BIGINT"), ("b", "BIGINT")))}),
        Fitted({"n": Learned("x", (("b", "BIGINT"), ("a", "BIGINT")))}),
    )
    assert swapped == [Difference("n", "columns", ["a", "b"], ["b", "a"])]
    [huge] = of_learned(
        Fitted({"n": Learned("x", (), {"a": 1})}),
        Fitted({"n": Learned("x", (), {"a": 10**400})}),
    )
    assert (huge.relative, huge.before) == (None, 1)
    assert UNSET not in {huge.before, huge.after}
