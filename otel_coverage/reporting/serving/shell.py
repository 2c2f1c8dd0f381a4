"""The page without data: its program asks for them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from otel_coverage.reporting.page.bundle import Bundle
from otel_coverage.reporting.page.page import policy_hash

_HEAD = """<!doctype html>
<html lang="en" data-live="yes">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Coverage</title>
"""
_NOT_BUILT = """</head>
<body>
<main>
<h1>The page is not built</h1>
<p>The checkout that otel-coverage runs from has not built the page. Run <code>make page</code> in it (Node 20.19 or
newer and npm’s registry are needed), then start the command again. <a href="/index.json">The data</a> are served all
the same.</p>
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """An HTML page.

    Attributes:
        text: the page.
        policy: its Content-Security-Policy, for the header.
    """

    text: str
    policy: str

    @classmethod
    def of(cls, bundle: Bundle | None) -> Shell:
        """The page that runs a bundle; without one, it says how to get it."""
        rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        if bundle is None:
            return cls(_HEAD + _NOT_BUILT, f"default-src 'none'; {rest}")
        licenses = json.dumps(bundle.licenses).replace("<", "\\u003c")
        text = "".join(
            [
                _HEAD,
                f"<style>{bundle.style}</style>\n</head>\n<body>\n",
                '<div id="app"><noscript>The page needs JavaScript.</noscript></div>\n',
                f'<script type="application/json" id="licenses">{licenses}</script>\n',
                f"<script>{bundle.script}</script>\n</body>\n</html>\n",
            ]
        )
        sources = f"script-src {policy_hash(bundle.script)}; style-src {policy_hash(bundle.style)}; connect-src 'self'"
        return cls(text, f"default-src 'none'; {sources}; {rest}")
