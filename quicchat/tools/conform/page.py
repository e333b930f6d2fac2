"""A run as one page for a browser: a table with a filter, and behind each row what was said. (spec 16-conformance)"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from quicchat.tools.conform.plain import plain
from quicchat.tools.conform.report import Run, deviates, lines, sentence, strength, told
from quicchat.tools.conform.runner import Result
from quicchat.tools.conform.verdict import Verdict

# Everything stands in the page itself, and nothing that a peer said can become more than text of it.
_HEAD: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>quicchat conform</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #8884; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
td:nth-child(2) { width: 25%; overflow-wrap: anywhere; }
td.verdict { font-weight: 600; white-space: nowrap; }
.bad { color: #b00020; } .warn { color: #8a5a00; } .good { color: #1b6e2d; }
@media (prefers-color-scheme: dark) { .bad { color: #ff8a80; } .warn { color: #ffc46b; } .good { color: #8fd69c; } }
form { display: flex; gap: 1rem; flex-wrap: wrap; margin: 1rem 0; }
input, select { font: inherit; }
</style>
</head>
<body>
"""
_FOOT: Final = """\
</tbody></table>
<script>
const text = document.getElementById("text"), verdict = document.getElementById("verdict");
const shown = document.getElementById("shown"), rows = [...document.querySelectorAll("tbody tr")];
function filter() {
  const words = text.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const fits = (!verdict.value || row.dataset.verdict === verdict.value || row.dataset.is === verdict.value)
      && words.every(word => row.dataset.text.includes(word));
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = count + " of " + rows.length;
}
text.addEventListener("input", filter);
verdict.addEventListener("change", filter);
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
filter();
</script>
</body>
</html>
"""


def as_page(run: Run) -> str:
    """The whole page."""
    return "".join(_parts(run))


def _parts(run: Run) -> Iterator[str]:
    counts = {verdict.value: count for verdict, count in run.counts.items()}
    counts |= {"FAULT": len(run.faults)} if run.faults else {}
    yield _HEAD
    yield f"<h1>quicchat conform {_safe(run.target)}</h1>\n<p>"
    yield f"Versions {', '.join(map(str, run.versions)) or 'none'}; "
    yield f"features {', '.join(sorted(run.features)) or 'none'}; "
    yield f"{len(run.results)} cases in {run.seconds:.1f} s{'' if run.is_whole else ', interrupted'}.</p>\n"
    yield '<form><label>Words <input id="text" type="search"></label> <label>Verdict <select id="verdict">'
    yield f'<option value="">all ({len(run.results)})</option>'
    if found := len(run.deviations) + len(run.faults):
        yield f'<option value="bad" selected>what is wrong ({found})</option>'
    yield from (f'<option value="{name}">{name} ({count})</option>' for name, count in counts.items())
    yield '</select></label> <output id="shown"></output></form>\n'
    yield "<table><thead><tr><th>verdict</th><th>case</th><th>what it is about</th></tr></thead><tbody>\n"
    for each in run.results:
        yield _row(each, is_bad=bool(each.fault) or deviates(each, strict=run.strict))
    yield _FOOT


def _row(result: Result, *, is_bad: bool) -> str:
    case = result.case
    verdict = "FAULT" if result.fault else result.verdict.value
    about = sentence(case)
    parts = [f"<div>{_safe(about)}</div>"]
    if result.text:
        parts.append(f"<div><b>{_safe(result.text)}</b></div>")
    if result.fault:
        parts.append(f"<pre>{escape(lines(result.fault))}</pre>")
    elif result.verdict not in (Verdict.OK, Verdict.UNIMPLEMENTED):
        said = escape("\n".join(told(result)[2:]))
        parts.append(f"<details><summary>what was said</summary><pre>{said}</pre></details>")
    mark = ' data-is="bad"' if is_bad else ""
    words = _safe(f"{case.id} {strength(case)} {verdict} {about} {result.text}".lower())
    return (
        f'<tr data-verdict="{verdict}"{mark} data-text="{words}"><td class="verdict {_colour(result)}">{verdict}</td>'
        f"<td>{_safe(case.id)}</td><td>{''.join(parts)}</td></tr>\n"
    )


def _colour(result: Result) -> str:
    if result.fault or result.verdict.is_bad:
        return "bad"
    return "good" if result.verdict is Verdict.OK else "warn"


def _safe(text: str) -> str:
    return escape(plain(text))
