"""Reports as one HTML page that needs no other file: the page of ``mlip-validate`` and that of ``mlip-train``.

:mod:`~mlip_engines.report.elements` makes paragraphs, tables and figures from plain text and numbers,
:func:`mlip_engines.report.page.page` puts them together, :mod:`~mlip_engines.report.figures` draws, and
:mod:`~mlip_engines.report.numbers` writes values with their errors.
"""
