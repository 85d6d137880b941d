// Interactive charts of signals, on the page of a model and in the report of a backtest. Without this script the SVG from the server stays.
"use strict";

(() => {
  const drawn = new Map(); // figure id -> {plot, data}
  const HEIGHT = 220;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function hasBand(data) {
    return data.lower.some((number) => number !== null);
  }

  function columns(data) {
    const series = [data.slots, data.value, data.threshold];
    if (data.own) series.push(data.statistic);
    if (hasBand(data)) series.push(data.lower, data.upper);
    return series;
  }

  // Background: labelled windows, and periods in which the rule was pending or firing. Foreground: events of requests.
  function shade(plot, data) {
    const { ctx, bbox } = plot;
    for (const [begins, ends] of data.windows) {
      const left = Math.max(plot.valToPos(begins, "x", true), bbox.left);
      const right = Math.min(Math.max(plot.valToPos(ends, "x", true), left + 2), bbox.left + bbox.width);
      if (right <= left) continue;
      ctx.save();
      ctx.globalAlpha = 0.2;
      ctx.fillStyle = colour("--warn");
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.restore();
    }
    data.state.forEach((state, index) => {
      if (!state) return;
      const left = plot.valToPos(data.slots[index], "x", true);
      const next = data.slots[index + 1] ?? data.slots[index];
      const right = Math.max(plot.valToPos(next, "x", true), left + 2);
      ctx.save();
      ctx.globalAlpha = state === 2 ? 0.14 : 0.08;
      ctx.fillStyle = colour(state === 2 ? "--bad" : "--warn");
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.restore();
    });
  }

  // Merge events of the same instant into one mark.
  function merge(marks) {
    const merged = new Map();
    for (const [at, text] of [...marks].sort((a, b) => a[0] - b[0])) {
      merged.set(at, merged.has(at) ? `${merged.get(at)}, ${text}` : text);
    }
    return [...merged];
  }

  function mark(plot, data) {
    const { ctx, bbox } = plot;
    let row = 0; // neighbouring labels are on different rows
    for (const [at, text] of merge(data.marks)) {
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
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      const wide = ctx.measureText(text).width;
      const room = x + wide + 8 < bbox.left + bbox.width;
      const label = [text, room ? x + 4 : x - wide - 4, bbox.top + (14 + 14 * (row++ % 4)) * devicePixelRatio];
      ctx.setLineDash([]);
      ctx.strokeStyle = colour("--ground");
      ctx.lineWidth = 4 * devicePixelRatio;
      ctx.lineJoin = "round";
      ctx.strokeText(...label); // an outline keeps the text readable above lines
      ctx.fillText(...label);
      ctx.restore();
    }
  }

  function short(number) {
    return number === null || number === undefined ? "-" : String(Number(number.toPrecision(5)));
  }

  function clock(seconds, incr) {
    const text = new Date(seconds * 1000).toISOString();
    return incr >= 86400 ? text.slice(5, 10) : incr >= 60 ? text.slice(11, 16) : text.slice(11, 19);
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
      line(unit ? `value (${unit})` : data.labels.value ?? "value", "--link", { width: 2 }),
      line(data.own ? "statistic limit" : "limit", "--bad", { scale, dash: [6, 4], points: { show: false } }),
    ];
    const axes = [{ ...axis, size: 34, values: (_, splits, __, ___, incr) => splits.map((at) => clock(at, incr)) }, axis];
    if (data.own) {
      series.push(line("statistic", "--warn", { scale }));
      axes.push({ ...axis, scale, side: 1, grid: { show: false } });
    }
    const bands = [];
    if (hasBand(data)) {
      const edge = { width: 0.5, points: { show: false } };
      series.push(line(data.labels.lower ?? "expected min", "--good", edge), line(data.labels.upper ?? "expected max", "--good", edge));
      bands.push({ series: [series.length - 1, series.length - 2], fill: colour("--band") });
    }
    return {
      width, height: HEIGHT, series, axes, bands,
      scales: { x: { range: (_, min, max) => (min !== null && min === max ? [min - 30, max + 30] : [min, max]) } },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: true, y: false }, y: false },
      hooks: {
        ready: [(plot) => showNewest(plot, entry.data)],
        setCursor: [(plot) => { if (plot.cursor.idx == null) showNewest(plot, entry.data); }],
        drawClear: [(plot) => shade(plot, entry.data)],
        draw: [(plot) => mark(plot, entry.data)],
      },
    };
  }

  // Show the newest known slot in the legend while the cursor is on none.
  function showNewest(plot, data) {
    const newest = data.value.findLastIndex((number) => number !== null);
    plot.setLegend({ idx: newest < 0 ? data.slots.length - 1 : newest }, false);
  }

  // Keyboard control: arrows, Home and End move between slots, Escape returns to the newest.
  function addKeyboard(entry, figure) {
    const { root } = entry.plot;
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `Chart of ${figure.dataset.rule}: use the arrow keys to read the values of each slot`);
    root.addEventListener("keydown", (event) => {
      const last = entry.data.slots.length - 1;
      const now = entry.plot.cursor.idx ?? last + 1;
      const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
      if (next === undefined && event.key !== "Escape") return;
      event.preventDefault();
      root.querySelector(".u-legend").setAttribute("aria-live", "polite");
      const index = Math.min(Math.max(next, 0), last);
      entry.plot.setCursor({ left: next === undefined ? -10 : entry.plot.valToPos(entry.data.slots[index], "x"), top: 0 });
    });
  }

  // Update the data, and keep the zoom range.
  function renew(entry, data) {
    const { plot } = entry;
    const { min, max } = plot.scales.x;
    const whole = min <= entry.data.slots[0] && max >= entry.data.slots.at(-1);
    entry.data = data;
    plot.setData(columns(data), whole);
    if (!whole) plot.redraw();
    if (plot.cursor.idx == null) showNewest(plot, data);
  }

  function draw(figure) {
    const container = figure.querySelector(".plot");
    const data = JSON.parse(figure.dataset.trail);
    const existing = drawn.get(figure.id);
    if (existing && existing.data.own === data.own && hasBand(existing.data) === hasBand(data)) {
      container.replaceChildren(existing.plot.root);
      renew(existing, data);
      if (existing.focused) existing.plot.root.focus({ preventScroll: true });
      watch(container, existing);
      return;
    }
    const entry = { data, plot: null };
    const width = container.clientWidth;
    container.replaceChildren();
    entry.plot = new uPlot(options(figure, entry, width), columns(data), container);
    addKeyboard(entry, figure);
    drawn.set(figure.id, entry);
    watch(container, entry);
  }

  function watch(container, entry) {
    entry.watcher?.disconnect();
    entry.watcher = new ResizeObserver(() => {
      const width = container.clientWidth;
      if (width && Math.abs(width - entry.plot.width) > 1) entry.plot.setSize({ width, height: HEIGHT });
    });
    entry.watcher.observe(container);
  }

  function all() {
    for (const figure of document.querySelectorAll("figure[data-trail]")) draw(figure);
  }

  document.addEventListener("renewing", () => {
    for (const entry of drawn.values()) entry.focused = entry.plot.root === document.activeElement;
  });
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
