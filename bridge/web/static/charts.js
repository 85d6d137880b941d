// Interactive charts of signals, on the page of a model and in the report of a backtest. Without this script the SVG from the server stays.
"use strict";

(() => {
  const drawn = new Map(); // figure id -> {plot, data}
  const HEIGHT = 236;
  const NEAR = 6; // pixels between events that share a line
  const TIMEOUT = 30_000; // ms per history
  const RETRY = 30_000; // ms until a history that failed may be read again
  const ROWS = 4; // of labels
  const MOST_TEXTS = 3; // events named in one label
  const PERIODS = ["1h", "6h", "1d", "7d", "30d"];
  let period = ""; // history before the bridge's start
  const histories = new Map(); // URL -> {slots, value} or {problem}

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

  // Background: periods in which retraining was due, and periods in which the rule was pending or firing. Foreground: events of requests.
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

  // Events closer than a few pixels share one line; a label takes the first row in which it covers no other.
  function mark(plot, data) {
    const { ctx, bbox } = plot;
    const pixel = devicePixelRatio;
    const lines = [];
    for (const [at, text] of merge(data.marks)) {
      const x = plot.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const last = lines.at(-1);
      if (last && x - last.x < NEAR * pixel) last.texts.push(text);
      else lines.push({ x, texts: [text] });
    }
    const ends = Array(ROWS).fill(-Infinity); // right edge of the last label in each row
    for (const { x, texts } of lines) {
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("--text");
      ctx.setLineDash([3, 3]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `${11 * pixel}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      const text = texts.length > MOST_TEXTS ? `${texts.length} events` : texts.filter(Boolean).join(", ");
      const wide = ctx.measureText(text).width;
      const left = Math.max(bbox.left, x + wide + 8 * pixel < bbox.left + bbox.width ? x + 4 * pixel : x - wide - 4 * pixel);
      const row = ends.findIndex((end) => left > end + 4 * pixel);
      if (row >= 0 && text) {
        ends[row] = left + wide;
        const label = [text, left, bbox.top + (14 + 14 * row) * pixel];
        ctx.setLineDash([]);
        ctx.strokeStyle = colour("--ground");
        ctx.lineWidth = 4 * pixel;
        ctx.lineJoin = "round";
        ctx.strokeText(...label); // an outline keeps the text readable above lines
        ctx.fillText(...label);
      }
      ctx.restore();
    }
  }

  // Numbers as people write them, like reading() of the pages.
  const SECONDS = { microseconds: 1e-6, us: 1e-6, milliseconds: 1e-3, ms: 1e-3, seconds: 1, s: 1, minutes: 60 };
  const SHARES = { ratio: 100, percent: 1, "%": 1 };
  const STEPS = [[3600, "h", 7200], [60, "min", 120], [1, "s", 1], [1e-3, "ms", 1e-3], [1e-6, "µs", 0]];

  function plain(number, digits = 4) {
    const size = Math.abs(number);
    if (size >= 1e15 || (size > 0 && size < 1e-4)) return number.toExponential(2);
    return size >= 1e4 ? Math.round(number).toLocaleString("en") : String(Number(number.toPrecision(digits)));
  }

  function human(number, unit) {
    if (number === null || number === undefined) return "-";
    if (unit in SECONDS) {
      const seconds = number * SECONDS[unit];
      const [size, name] = seconds ? STEPS.find(([, , least]) => Math.abs(seconds) >= least) : [1, "s"];
      return `${plain(seconds / size, 3)} ${name}`;
    }
    if (unit in SHARES) return `${plain(number * SHARES[unit], 3)} %`;
    return unit ? `${plain(number)} ${unit}` : plain(number);
  }

  const two = (number) => String(number).padStart(2, "0");

  function day(date) {
    return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  }

  // Local times, as exact as the distance between them; the date where a day begins, and at the first one.
  function ticks(splits, incr) {
    let before = "";
    return splits.map((at) => {
      const date = new Date(at * 1000);
      const today = day(date);
      const time = `${two(date.getHours())}:${two(date.getMinutes())}${incr < 60 ? `:${two(date.getSeconds())}` : ""}`;
      const text = incr >= 86400 ? today : today === before ? time : `${time}\n${today}`;
      before = today;
      return text;
    });
  }

  function moment(seconds) {
    const date = new Date(seconds * 1000);
    const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
    return `${date.getFullYear()}-${day(date)} ${time}`;
  }

  // A range around the numbers, also if there is only one.
  function around(min, max) {
    if (min === null || max === null) return [0, 1];
    const margin = (max - min) * 0.08 || Math.abs(max) * 0.1 || 1;
    return [min >= 0 && min - margin < 0 ? 0 : min - margin, max + margin];
  }

  function options(figure, entry, width) {
    const { data } = entry;
    const unit = figure.dataset.unit;
    const value = (_, v) => human(v, unit);
    const number = (_, v) => human(v, "");
    const line = (label, name, more) => ({ label, stroke: colour(name), width: 1.5, value, spanGaps: false, ...more });
    const scale = data.own ? "statistic" : "y";
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--quiet"), grid, ticks: grid, font: "12px system-ui, sans-serif", size: 76 };
    const series = [
      { value: (_, v) => (v === null ? "-" : moment(v)), label: "time" },
      line(data.labels.value ?? "value", "--link", { width: 2 }),
      line(data.own ? "statistic limit" : "limit", "--bad", {
        scale, dash: [6, 4], points: { show: false }, value: data.own ? number : value,
      }),
    ];
    const axes = [
      { ...axis, size: 46, space: 70, values: (_, splits, __, ___, incr) => ticks(splits, incr) },
      { ...axis, values: (_, splits) => splits.map((v) => human(v, unit)) },
    ];
    if (data.own) {
      series.push(line("statistic", "--warn", { scale, value: number }));
      axes.push({ ...axis, scale, side: 1, grid: { show: false }, values: (_, splits) => splits.map((v) => human(v, "")) });
    }
    const bands = [];
    if (hasBand(data)) {
      const edge = { width: 0.5, points: { show: false } };
      series.push(line(data.labels.lower ?? "expected min", "--good", edge), line(data.labels.upper ?? "expected max", "--good", edge));
      bands.push({ series: [series.length - 1, series.length - 2], fill: colour("--band") });
    }
    const range = (_, min, max) => around(min, max);
    return {
      width, height: HEIGHT, series, axes, bands,
      scales: {
        x: { range: (_, min, max) => (min !== null && min === max ? [min - 30, max + 30] : [min, max]) },
        y: { range }, statistic: { range },
      },
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
    const data = withHistory(figure, JSON.parse(figure.dataset.trail));
    addPeriods(figure);
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

  const LENGTHS = { h: 3600, d: 86_400 };

  function seconds(text) {
    return Number(text.slice(0, -1)) * LENGTHS[text.at(-1)];
  }

  // Put values from Prometheus before those of the trail, and cut what is older than the chosen period.
  function withHistory(figure, trail) {
    const known = histories.get(`${figure.dataset.history}&last=${period}`);
    if (!figure.dataset.history || !known?.slots) return trail;
    const first = trail.slots.at(-1) - seconds(period);
    const from = trail.slots.findIndex((slot) => slot >= first);
    const begin = known.slots.findIndex((slot, index) => slot >= first && known.value[index] !== null);
    let end = known.slots.findIndex((slot) => slot >= trail.slots[from]);
    if (end < 0) end = known.slots.length;
    if (begin < 0 || begin >= end) return from > 0 ? cut(trail, from) : trail;
    const rest = cut(trail, from);
    const nothing = Array(end - begin).fill(null);
    const joined = { ...rest };
    for (const name of ["value", "lower", "upper", "threshold", "statistic"]) joined[name] = [...nothing, ...rest[name]];
    joined.slots = [...known.slots.slice(begin, end), ...rest.slots];
    joined.value = [...known.value.slice(begin, end), ...rest.value];
    joined.state = [...Array(end - begin).fill(0), ...rest.state];
    return joined;
  }

  function cut(trail, from) {
    const result = { ...trail };
    for (const name of ["slots", "value", "lower", "upper", "threshold", "statistic", "state"]) result[name] = trail[name].slice(from);
    return result;
  }

  // A history is read once, and again when the trail has dropped the slots that followed it.
  function isWanted(figure, known) {
    if (!known) return true;
    if (!known.slots?.length) return false;
    const step = known.slots[1] - known.slots[0];
    return JSON.parse(figure.dataset.trail).slots[0] > known.slots.at(-1) + 2 * step;
  }

  async function load(figure) {
    const url = `${figure.dataset.history}&last=${period}`;
    if (!figure.dataset.history || !isWanted(figure, histories.get(url))) return;
    histories.set(url, {});
    let found;
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT) });
      const body = await response.json();
      if (!response.ok) throw new Error(body.detail);
      const { slots, value } = body.data;
      found = { slots: slots.map((at) => Date.parse(at) / 1000), value: value.map((v) => (typeof v === "number" ? v : null)) };
    } catch (error) {
      found = { problem: `No values from before the bridge's start: ${error.message}` };
      setTimeout(() => histories.delete(url), RETRY); // the next choice or update tries again
    }
    histories.set(url, found);
    const present = document.getElementById(figure.id);
    if (present) draw(present);
  }

  // Choice of the period, and why there is nothing from before the start.
  function addPeriods(figure) {
    if (!figure.dataset.history) return;
    let bar = figure.querySelector(".periods");
    if (!bar) {
      bar = document.createElement("p");
      bar.className = "periods";
      for (const name of PERIODS) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = name;
        button.setAttribute("aria-label", `Show the last ${name} of ${figure.dataset.rule}`);
        button.addEventListener("click", () => { period = name; all(); });
        bar.append(button, " ");
      }
      const note = document.createElement("span");
      note.className = "quiet";
      note.setAttribute("role", "status");
      bar.append(note);
      figure.querySelector(".plot").before(bar);
    }
    for (const button of bar.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.textContent === period));
    const known = histories.get(`${figure.dataset.history}&last=${period}`);
    const text = known?.problem ?? "";
    if (bar.lastChild.textContent !== text) bar.lastChild.textContent = text;
  }

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) void load(target);
  });

  // Signals that are evaluated every few seconds get a shorter period.
  function usualPeriod(figure) {
    const { slots } = JSON.parse(figure.dataset.trail);
    return slots.length > 1 && slots[1] - slots[0] < 15 ? "1h" : "6h";
  }

  function all() {
    const first = document.querySelector("figure[data-trail]");
    if (first) period ||= usualPeriod(first);
    seen.disconnect();
    for (const figure of document.querySelectorAll("figure[data-trail]")) {
      draw(figure);
      seen.observe(figure);
    }
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
