import itertools

from pipeline.report.graph import Edge, layout

DIAMOND = {"b": ["a"], "c": ["a"], "d": ["b", "c", "a"]}


def test_a_chain_is_one_lane_and_what_follows_from_others_is_not_drawn():
    found = layout(["a", "b", "c"], {"b": ["a"], "c": ["a", "b"]})
    assert found.lanes == (0, 0, 0) and found.width == 1
    assert found.edges == (Edge(0, 0, 1, 0), Edge(1, 0, 2, 0))


def test_a_diamond():
    found = layout(["a", "b", "c", "d"], DIAMOND)
    assert found.lanes == (0, 0, 1, 0) and found.width == 2
    assert found.edges == (Edge(0, 0, 1, 0), Edge(0, 0, 2, 1), Edge(1, 0, 3, 0), Edge(2, 1, 3, 0))


def test_unknown_and_lonely_components_are_drawn_too():
    assert layout(["a", "b"], {"b": ["elsewhere"]}).lanes == (0, 0)
    assert layout([], {}).width == 1


def test_no_line_passes_through_a_component():
    """All graphs of five components: between its ends a line's lane holds nobody else."""
    order = "abcde"
    pairs = list(itertools.combinations(order, 2))
    for bits in range(2 ** len(pairs)):
        upstream = {n: [] for n in order}
        for number, (above, below) in enumerate(pairs):
            if bits >> number & 1:
                upstream[below].append(above)
        found = layout(order, upstream)
        for edge in found.edges:
            assert found.lanes[edge.target] == edge.lane
            assert edge.lane not in found.lanes[edge.source + 1:edge.target]
