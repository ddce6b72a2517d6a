"""HTML that a browser can read, whatever the text holds."""

from html.parser import HTMLParser

import pytest

from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.page import page

NASTY = 'a < b & "c" </p><script>x</script>'


class Reader(HTMLParser):
    """Collects tags, texts and attributes, and fails where tags do not close."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.attributes += [value for _, value in attributes]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(
    "element",
    [
        elements.paragraph(NASTY),
        elements.warning(NASTY),
        elements.heading(NASTY, level=3),
        elements.code(NASTY),
        elements.table(["first", NASTY], [["1", "2"]]),
        elements.table(["first"], [[NASTY]]),
    ],
)
def test_text_is_shown_as_it_is(element):
    found = Reader(element)
    assert NASTY in found.texts
    assert "script" not in found.seen


def test_a_figure_is_in_the_page_itself():
    figure, (axes,) = panels(1)
    axes.plot([0, 1])
    contents = png(figure)
    assert contents.startswith(b"\x89PNG")
    found = Reader(elements.figure(contents, NASTY))
    alternative, source = found.attributes
    assert alternative == NASTY and source.startswith("data:image/png;base64,")
    assert NASTY in found.texts


def test_a_page_is_whole():
    box = elements.verdict([elements.paragraph("yes")])
    found = Reader(
        page(NASTY, [elements.heading("A", anchor='x"y'), box, elements.listing({"a": 1})])
    )
    assert found.seen == [*"html head meta title style body h2 div p pre".split()]
    assert NASTY in found.texts and 'x"y' in found.attributes
    assert '{\n "a": 1\n}' in found.texts
