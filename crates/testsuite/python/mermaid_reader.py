#!/usr/bin/env python3
"""Reads flowcharts as Mermaid itself reads them, and draws them, in Chromium.

Reads one JSON object from standard input:
    mermaid   path of Mermaid's script for browsers
    diagrams  texts by names
    draw      the names of those that are to be drawn too, which takes its time

and writes one to standard output: for each name what is wrong with the text, or what it says (hosts,
links with their labels) and every text of the picture.
"""

import json
import sys
import tempfile
from pathlib import Path

from sign_in import chromium

READ = """
const [text, draw, done] = arguments;
(async () => {
  await mermaid.parse(text);
  const { db, type } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const svg = draw ? (await mermaid.render("picture", text)).svg : "";
  const picture = new DOMParser().parseFromString(svg, "text/html");
  return {
    type,
    hosts: [...db.getVertices().keys()],
    links: db.getEdges().map(edge => [edge.start, edge.end, edge.text]),
    drawn: picture.body.textContent,
  };
})().then(done, error => done({ error: String(error.message ?? error) }));
"""


def main():
    question = json.load(sys.stdin)
    script = Path(question["mermaid"]).as_uri()
    answers = {}
    with tempfile.TemporaryDirectory(prefix="mermaid-", ignore_cleanup_errors=True) as home:
        browser = chromium(home, "nowhere.example")
        try:
            page = Path(home, "page.html")
            page.write_text(f'<!doctype html><meta charset="utf-8"><body><script src="{script}"></script>')
            browser.get(page.as_uri())
            browser.execute_script("mermaid.initialize({ startOnLoad: false });")
            for name, text in question["diagrams"].items():
                answers[name] = browser.execute_async_script(READ, text, name in question["draw"])
        finally:
            browser.quit()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
