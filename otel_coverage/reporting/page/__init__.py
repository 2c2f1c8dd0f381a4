"""``index.html``: a report as one page for people, built from ``web/`` and the answers of named queries."""
