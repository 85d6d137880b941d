// Draws what rules saw of a model. Without this script the pictures that the server made stay.
"use strict";

(() => {
  const drawn = new Map(); // figure's id -> {plot, data}
  const HEIGHT = 220;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function columns(data) {
    const found = [data.slots, data.lower, data.upper, data.value, data.threshold];
    if (data.own) found.push(data.statistic);
    return found;
  }

  // Behind the lines: when the rule was pending or firing. Before them: what happened to requests.
  function shade(plot, data) {
    const { ctx, bbox } = plot;
    data.state.forEach((state, place) => {
      if (!state) return;
      const left = plot.valToPos(data.slots[place], "x", true);
      const next = data.slots[place + 1] ?? data.slots[place];
      const right = Math.max(plot.valToPos(next, "x", true), left + 2);
      ctx.save();
      ctx.globalAlpha = state === 2 ? 0.14 : 0.08;
      ctx.fillStyle = colour(state === 2 ? "--bad" : "--warn");
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.restore();
    });
  }

  function mark(plot, data) {
    const { ctx, bbox } = plot;
    for (const [at, text] of data.marks) {
      const x = plot.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("--text");
      ctx.setLineDash([3, 3]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      const wide = ctx.measureText(text).width;
      const room = x + wide + 8 < bbox.left + bbox.width;
      ctx.fillText(text, room ? x + 4 : x - wide - 4, bbox.top + 12 * devicePixelRatio);
      ctx.restore();
    }
  }

  function short(number) {
    return number === null || number === undefined ? "-" : String(Number(number.toPrecision(5)));
  }

  function options(figure, entry, width) {
    const { data } = entry;
    const unit = figure.dataset.unit;
    const line = (label, name, more) => ({ label, stroke: colour(name), width: 1.5, value: (_, v) => short(v), ...more });
    const scale = data.own ? "statistic" : "y";
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--quiet"), grid, ticks: grid, font: "12px system-ui, sans-serif", size: 60 };
    const series = [
      { value: (_, v) => (v === null ? "-" : `${new Date(v * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`), label: "time" },
      line("usual from", "--good", { width: 0.5 }),
      line("usual to", "--good", { width: 0.5 }),
      line(unit ? `value (${unit})` : "value", "--link", { width: 2 }),
      line(data.own ? "limit of the statistic" : "limit", "--bad", { scale, dash: [6, 4] }),
    ];
    const axes = [{ ...axis, size: 40 }, axis];
    if (data.own) {
      series.push(line("statistic", "--warn", { scale }));
      axes.push({ ...axis, scale, side: 1, grid: { show: false } });
    }
    return {
      width, height: HEIGHT, series, axes,
      bands: [{ series: [2, 1], fill: colour("--band") }],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: true, y: false }, y: false },
      hooks: {
        drawClear: [(plot) => shade(plot, entry.data)],
        draw: [(plot) => mark(plot, entry.data)],
      },
    };
  }

  function draw(figure) {
    const place = figure.querySelector(".plot");
    const data = JSON.parse(figure.dataset.trail);
    const known = drawn.get(figure.id);
    if (known && known.data.own === data.own) {
      known.data = data;
      place.replaceChildren(known.plot.root);
      known.plot.setData(columns(data));
      watch(place, known);
      return;
    }
    const entry = { data, plot: null };
    const width = place.clientWidth;
    place.replaceChildren();
    entry.plot = new uPlot(options(figure, entry, width), columns(data), place);
    drawn.set(figure.id, entry);
    watch(place, entry);
  }

  function watch(place, entry) {
    entry.watcher?.disconnect();
    entry.watcher = new ResizeObserver(() => {
      const width = place.clientWidth;
      if (width && Math.abs(width - entry.plot.width) > 1) entry.plot.setSize({ width, height: HEIGHT });
    });
    entry.watcher.observe(place);
  }

  function all() {
    for (const figure of document.querySelectorAll("figure[data-trail]")) draw(figure);
  }

  document.addEventListener("renewed", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot, watcher } of drawn.values()) {
      watcher.disconnect();
      plot.destroy();
    }
    drawn.clear();
    all();
  });
  all();
})();
