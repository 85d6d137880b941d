"""Command that writes grafana/dashboards/*.json: python -m grafana.generator."""

from __future__ import annotations

from pathlib import Path

from grafana.generator.boards import boards

FOLDER = Path(__file__).parents[1] / "dashboards"

if __name__ == "__main__":
    for name, text in boards().items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"grafana/dashboards/{name}.json")
