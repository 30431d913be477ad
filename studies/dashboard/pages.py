"""The pages around a study's report."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline; padding: .6rem 1rem;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
header h1 { font-size: 1rem; margin: 0; }
#problem:not(:empty) { flex-basis: 100%; }
main { padding: 1rem; max-width: 50rem; }
iframe { border: 0; width: 100%; display: block; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STUDY = """<header>
<h1>{name}</h1>
<a href="/">All studies</a>
<a id="optuna" href="optuna" target="_blank" hidden>Optuna</a>
<span id="state" role="status">The first look takes some seconds.</span>
<span id="problem" role="alert"></span>
</header>
<iframe id="report" title="Report of {name}"></iframe>
<script>
"use strict";
const report = document.getElementById("report");
const state = document.getElementById("state");
const problem = document.getElementById("problem");
let version = 0;
function fit() {{
  report.style.height = window.innerHeight - document.querySelector("header").offsetHeight + "px";
}}
function words(shown) {{
  if (!shown.status) return "The first look takes some seconds.";
  const sums = {{}};
  for (const counts of Object.values(shown.status.datasets))
    for (const key of ["finished", "running", "stopped", "failed", "waiting"])
      sums[key] = (sums[key] || 0) + counts[key];
  const counts = Object.entries(sums).filter(([, count]) => count).map(([key, count]) => count + " " + key);
  const at = new Date(1000 * shown.taken).toLocaleTimeString();
  const what = shown.status.running ? "Running: " : "Not running: ";
  return what + (counts.join(", ") || "no trial yet") + ", at " + at;
}}
async function look() {{
  try {{
    const answer = await fetch("state.json", {{cache: "no-store"}});
    const shown = await answer.json();
    state.textContent = words(shown);
    problem.textContent = shown.problem;
    document.getElementById("optuna").hidden = !shown.optuna;
    if (shown.version !== version) {{
      const inside = report.contentWindow;
      const place = version ? inside.scrollY : 0;
      version = shown.version;
      report.onload = () => inside.scrollTo(0, place);
      inside.location.replace("report.html?" + version);
    }}
  }} catch (error) {{
    problem.textContent = "The dashboard does not answer: has it been ended?";
  }}
  fit();
  setTimeout(look, {milliseconds});
}}
window.addEventListener("resize", fit);
fit();
look();
</script>"""


def index_page(names: Iterable[str]) -> str:
    """Return the page that lists studies, by name."""
    links = "".join(f'<li><a href="/{quote(name)}/">{escape(name)}</a></li>\n' for name in names)
    return _page("Studies", f"<main>\n<h1>Studies</h1>\n<ul>\n{links}</ul>\n</main>")


def study_page(name: str, milliseconds: int) -> str:
    """Return the page that shows a study's report and replaces it as the study goes on.

    Args:
        name: the study's.
        milliseconds: between two questions whether there is something new.
    """
    return _page(name, _STUDY.format(name=escape(name), milliseconds=milliseconds))


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), style=_STYLE, body=body)
