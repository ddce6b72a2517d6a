"""A browser opens the site from the disk: navigation, search and a figure work without a server."""

import pytest

pytestmark = pytest.mark.slow


def wait_for(browser, condition):
    """Wait until a condition on the browser holds, and return what it is."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(condition)


def elements(browser, page, selector):
    """Open a page and return the elements of a kind, as soon as there are any."""
    browser.get(page.as_uri())
    return wait_for(
        browser,
        lambda b: (
            b.current_url == page.as_uri()
            and b.execute_script("return document.readyState") == "complete"
            and b.find_elements("css selector", selector)
        ),
    )


def test_an_entry_of_the_navigation_opens_its_page(site, browser):
    (entry,) = elements(browser, site / "index.html", ".sidebar-tree a[href='openmm.html']")
    # At once: the theme scrolls smoothly, and a click on what moves goes elsewhere.
    scroll = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    browser.execute_script(scroll, entry)
    entry.click()
    wait_for(browser, lambda b: b.current_url == (site / "openmm.html").as_uri())
    wait_for(browser, lambda b: "OpenMM" in b.find_element("css selector", "h1").text)


def test_the_search_finds_a_page_without_a_server(site, browser):
    (field,) = elements(browser, site / "index.html", ".sidebar-search")
    field.send_keys("resonance")
    field.submit()
    wait_for(browser, lambda b: "Search finished" in b.find_element("id", "search-results").text)
    found = browser.find_elements("css selector", "#search-results li a")
    pages = {
        entry.get_attribute("href").split("/")[-1].partition("?")[0].partition("#")[0]
        for entry in found
    }
    assert {"glossary.html", "theory.html", "speed.html"} <= pages


def test_figures_are_drawn(site, browser):
    figures = elements(browser, site / "measurements" / "water.html", "article img")
    assert len(figures) == 5
    for figure in figures:  # pictures far down are loaded when they come into view
        browser.execute_script("arguments[0].scrollIntoView()", figure)
        wait_for(browser, lambda b, f=figure: b.execute_script("return arguments[0].complete", f))
        assert browser.execute_script("return arguments[0].naturalWidth", figure) > 300
