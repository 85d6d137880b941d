"""Panel constructors; every panel has a title, a description and a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grafana.generator.sdk import (
    PromQueryFormat,
    build,
    build_common,
    build_query,
    common,
    dashboard,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana.generator.variables import DATASOURCE, MODEL, metric

# State and colour. The index is the value in timelines, which draw values instead of labels.
STATES = (
    ("healthy", "green"), ("cooldown", "light-green"), ("no_data", "#808080"), ("degraded", "orange"),
    ("held", "purple"), ("awaiting_approval", "light-purple"), ("retrain_requested", "light-blue"),
    ("retraining", "blue"), ("replaced", "text"),
)  # fmt: skip
GREY = "text"


def query(
    expr: str, legend: str = "", *, ref: str = "A", instant: bool = False, rows: bool = False
) -> build_query.Dataquery:
    """Return a PromQL target; rows: as a table; legend: with {{label}}."""
    made = build_query.Dataquery().datasource(DATASOURCE).expr(expr).ref_id(ref)
    made = made.instant() if instant else made.range()
    made = made.format(PromQueryFormat.TABLE if rows else PromQueryFormat.TIME_SERIES)
    return made.legend_format(legend or "__auto")


def steps(*pairs: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Return thresholds: pairs of lower bound and colour; the first bound is None."""
    found = [dashboard.Threshold(value=value, color=color) for value, color in pairs]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(found)


def bad_above(orange: float, red: float | None = None) -> build.ThresholdsConfig:
    """Return thresholds from green over orange to red."""
    more = [] if red is None else [(red, "red")]
    return steps((None, "green"), (orange, "orange"), *more)


PLAIN = steps((None, GREY))


def number(
    title: str, about: str, expr: str, *, unit: str = "short", limits: build.ThresholdsConfig = PLAIN,
    none: str = "no data", width: int = 4, decimals: int = 0, mappings: Sequence[Any] = (), links: Sequence[Any] = (),
) -> stat.Panel:  # fmt: skip
    """Return a stat panel with the current value."""
    reduce = build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
    panel = (
        stat.Panel().title(title).description(about).datasource(DATASOURCE).span(width).height(4)
        .with_target(query(expr, title, instant=True)).unit(unit).decimals(decimals).thresholds(limits).no_value(none)
        .reduce_options(reduce).graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE).color_scheme(_by_thresholds())
    )  # fmt: skip
    return panel.mappings(list(mappings)).data_links(list(links))


def lines(
    title: str, about: str, targets: Iterable[build_query.Dataquery], *, unit: str = "short", width: int = 12,
    height: int = 8, least: float | None = 0, links: Sequence[Any] = (), none: str = "no data",
) -> timeseries.Panel:  # fmt: skip
    """Return a time series panel with lines."""
    panel = (
        timeseries.Panel().title(title).description(about).datasource(DATASOURCE).span(width).height(height)
        .unit(unit).line_width(1).fill_opacity(8).show_points(common.VisibilityMode.AUTO)
        .legend(_legend()).tooltip(_tooltip()).data_links(list(links)).no_value(none)
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    )  # fmt: skip
    if least is not None:
        panel = panel.axis_soft_min(least)
    for target in targets:
        panel = panel.with_target(target)
    return panel


def bars(
    title: str, about: str, targets: Iterable[build_query.Dataquery], *, unit: str = "short", width: int = 12,
    height: int = 8,
) -> timeseries.Panel:  # fmt: skip
    """Return a time series panel with stacked bars."""
    stacking = build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
    panel = lines(title, about, targets, unit=unit, width=width, height=height)
    panel = panel.draw_style(common.GraphDrawStyle.BARS).stacking(stacking).fill_opacity(80).line_width(0)
    panel = panel.bar_max_width(24)
    return panel.show_points(common.VisibilityMode.NEVER)


def coloured(panel: timeseries.Panel, colours: Mapping[str, str]) -> timeseries.Panel:
    """Return the panel with a fixed colour for each series by its name."""
    for name, colour in colours.items():
        value = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="color", value=value)])
    return panel


def states(title: str, about: str, *, links: Sequence[Any], height: int = 8) -> statetimeline.Panel:
    """Return a state timeline of the selected models."""
    chosen = [metric("model_state", f'state="{state}"', model=True) for state, _ in STATES]
    codes = [f"max by ({MODEL}) ({one}) * {code}" for code, one in enumerate(chosen)]
    return timeline(
        title, about, [query(" or ".join(codes), "{{project}}/{{pipeline}}/{{version}}")],
        mappings=[words({str(code): (name.replace("_", " "), color) for code, (name, color) in enumerate(STATES)})],
        links=links, height=height,
    )  # fmt: skip


def timeline(
    title: str, about: str, targets: Iterable[build_query.Dataquery], *, mappings: Sequence[Any],
    links: Sequence[Any] = (), height: int = 5, width: int = 24,
) -> statetimeline.Panel:  # fmt: skip
    """Return a state timeline panel."""
    panel = (
        statetimeline.Panel().title(title).description(about).datasource(DATASOURCE).span(width).height(height)
        .unit("none").mappings(list(mappings)).merge_values(True).show_value(common.VisibilityMode.AUTO)
        .row_height(0.8).fill_opacity(75).line_width(0).legend(_legend()).tooltip(_tooltip())
        .data_links(list(links)).color_scheme(_by_thresholds()).thresholds(PLAIN)
    )  # fmt: skip
    for target in targets:
        panel = panel.with_target(target)
    return panel


def rows(
    title: str, about: str, targets: Iterable[build_query.Dataquery], *, steps: Sequence[tuple[str, dict[str, Any]]],
    units: Mapping[str, str] | None = None, links: Sequence[Any] = (), none: str = "none", width: int = 12,
    height: int = 8, sort: tuple[str, bool] | None = None,
) -> table.Panel:  # fmt: skip
    """Return a table panel; steps: transformations; units: by column; sort: column, descending."""
    panel = (
        table.Panel().title(title).description(about).datasource(DATASOURCE).span(width).height(height)
        .unit("none").no_value(none).show_header(True).cell_height(common.TableCellHeight.SM).min_width(60)
        .data_links(list(links))
    )  # fmt: skip
    for target in targets:
        panel = panel.with_target(target)
    for name, options in steps:
        panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val=name, options=options))
    for column, unit in (units or {}).items():
        found = [dashboard.DynamicConfigValue(id_val="unit", value=unit)]
        if unit == "dateTimeAsIso":
            found.append(dashboard.DynamicConfigValue(id_val="custom.width", value=180))
        panel = panel.override_by_name(column, found)
    if sort is not None:
        panel = panel.sort_by([build_common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    return panel


def words(texts: Mapping[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Return value mappings to text and colour."""
    return dashboard.ValueMap(options={
        value: dashboard.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(texts.items())
    })  # fmt: skip


def organize(names: Mapping[str, str], hide: Iterable[str] = ("Time",)) -> tuple[str, dict[str, Any]]:
    """Return a transformation that orders and renames columns, and hides the given ones."""
    return "organize", {
        "excludeByName": dict.fromkeys(hide, True),
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": {name: text for name, text in names.items() if text != name},
    }


def _by_thresholds() -> build.FieldColor:
    return build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def _legend() -> build_common.VizLegendOptions:
    legend = build_common.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    return legend.placement(common.LegendPlacement.BOTTOM).show_legend(True).calcs([])


def _tooltip() -> build_common.VizTooltipOptions:
    return build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
