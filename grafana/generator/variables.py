"""Variables at the top of a dashboard, and the label filters made from them."""

from __future__ import annotations

from grafana.generator.sdk import build, common, dashboard

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
OF_PLACE = 'cluster=~"$cluster",namespace=~"$namespace"'
OF_JOB = f'job=~"$job",{OF_PLACE}'
OF_MODEL = f'{OF_JOB},project=~"$project",pipeline=~"$pipeline",version=~"$version"'
MODEL = "project,pipeline,version"


def metric(name: str, more: str = "", *, model: bool = False) -> str:
    """Return a selector of a metric of the bridge, filtered by the variables."""
    filters = ",".join(filter(None, [OF_MODEL if model else OF_JOB, more]))
    return f"retrain_bridge_{name}{{{filters}}}"


def _query(name: str, label: str, about: str, query: str) -> build.QueryVariable:
    """Return a variable with Prometheus' label values, refreshed with the time range; the default is all."""
    every = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        build.QueryVariable(name)
        .label(label)
        .description(about)
        .datasource(DATASOURCE)
        .query({"qryType": 1, "query": query, "refId": name})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(every)
    )


def _values(of: str, label: str) -> str:
    return f"label_values({of}, {label})"


def variables(*, rule: bool = False) -> list[build.DatasourceVariable | build.QueryVariable]:
    """Return data source, cluster to version, each filtered by those before, and web interface."""
    found: list[build.DatasourceVariable | build.QueryVariable] = [
        build.DatasourceVariable("datasource").label("Data source").type("prometheus")
        .description("The Prometheus that scrapes the bridge"),
        _query("cluster", "Cluster", "Label of the scrape; without it, all",
               _values("retrain_bridge_build_info", "cluster")).all_value(".*"),
        _query("namespace", "Namespace", "Label of the scrape; without it, all",
               _values('retrain_bridge_build_info{cluster=~"$cluster"}', "namespace")).all_value(".*"),
        # No allValue: ".*" would include the metrics of all other processes.
        _query("job", "Job", "The scrape job of the bridge",
               _values(f"retrain_bridge_build_info{{{OF_PLACE}}}", "job")),
    ]  # fmt: skip
    chain = [OF_JOB]
    for name in ("project", "pipeline", "version"):
        about = f"Models of this {name}"
        query = _values(f"retrain_bridge_model_info{{{','.join(chain)}}}", name)
        found.append(_query(name, name.capitalize(), about, query).all_value(".*"))
        chain.append(f'{name}=~"${name}"')
    if rule:
        query = _values(metric("signal_value", model=True), "rule")
        found.append(_query("rule", "Rule", "Values and decisions of these rules", query).all_value(".*"))
    interface = _query(
        "bridge", "Web interface", "Target of links to the bridge", _values(metric("web_info"), "external_url")
    )
    found.append(interface.multi(False).include_all(False).current(dashboard.VariableOption(text="", value="")))
    return found
