"""A browser opens the site from the disk: navigation, search and a figure work without a server."""

import pytest

pytestmark = pytest.mark.slow


def wait_for(browser, condition):
    """Wait until a condition on the browser holds, and return what it is."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(condition)


def test_an_entry_of_the_navigation_opens_its_page(site, browser):
    browser.get((site / "index.html").as_uri())
    (entry,) = browser.find_elements("css selector", ".sidebar-tree a[href='openmm.html']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", entry)
    entry.click()
    wait_for(browser, lambda b: b.current_url.endswith("/openmm.html"))
    assert "OpenMM" in browser.find_element("css selector", "h1").text


def test_the_search_finds_a_page_without_a_server(site, browser):
    browser.get((site / "index.html").as_uri())
    field = browser.find_element("css selector", ".sidebar-search")
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
    browser.get((site / "measurements" / "water.html").as_uri())
    figures = wait_for(browser, lambda b: b.find_elements("css selector", "article img"))
    assert len(figures) == 5
    for figure in figures:  # pictures far down are loaded when they come into view
        browser.execute_script("arguments[0].scrollIntoView()", figure)
        wait_for(browser, lambda b, f=figure: b.execute_script("return arguments[0].complete", f))
        assert browser.execute_script("return arguments[0].naturalWidth", figure) > 300
