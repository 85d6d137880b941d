// Times in the reader's time zone (UTC without this script), copy buttons, models to choose from, and the user's name.
"use strict";

(() => {
  const DAY = 86_400;
  const UNITS = [[DAY, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  const two = (number) => String(number).padStart(2, "0");

  function local(date) {
    const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const hour = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
    return date.toDateString() === new Date().toDateString() ? hour : `${day} ${hour}`;
  }

  // "3 min ago", "in 2 h"; nothing beyond a day.
  function distance(date) {
    const seconds = Math.round((Date.now() - date) / 1000);
    const size = Math.abs(seconds);
    if (size >= DAY) return "";
    const [unit, name] = UNITS.find(([length]) => size >= length) ?? [1, "s"];
    const text = `${Math.floor(size / unit)} ${name}`;
    return seconds < 0 ? ` (in ${text})` : ` (${text} ago)`;
  }

  function localise() {
    for (const element of document.querySelectorAll("time[datetime]")) {
      const date = new Date(element.dateTime);
      element.title = `${element.dateTime.replace("T", " ").replace("Z", "")} UTC`;
      const text = local(date) + distance(date);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  async function copy(button, text) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  function addCopyButtons() {
    for (const element of document.querySelectorAll("pre, [data-copy]")) {
      if (element.nextElementSibling?.matches(".copy")) continue;
      const text = element.textContent.trim();
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy ${text.length > 40 ? `${text.slice(0, 40)}…` : text}`);
      button.addEventListener("click", () => void copy(button, text));
      element.after(button);
    }
  }

  // Offer models whose names contain what is typed; the fields of a model narrow each other down.
  const OFFERED = 20;
  const WAIT = 200; // ms after the last key
  const TIMEOUT = 5000; // ms
  const prefix = document.querySelector(".brand a").getAttribute("href");

  async function offer(input) {
    const fields = [...(input.form?.querySelectorAll("[data-complete]") ?? [input])];
    const words = fields.map((field) => field.value.trim()).filter(Boolean).join(" ");
    const list = input.list;
    if (!words || list.dataset.words === words) return;
    list.dataset.words = words;
    const query = new URLSearchParams({ q: words, limit: OFFERED });
    let models;
    try {
      const response = await fetch(`${prefix}api/v1/models?${query}`, { signal: AbortSignal.timeout(TIMEOUT) });
      ({ models } = (await response.json()).data);
    } catch {
      return; // the field works without
    }
    const part = input.dataset.complete;
    const names = models.map((model) => (part === "model" ? `${model.project}/${model.pipeline}/${model.version}` : model[part]));
    list.replaceChildren(...[...new Set(names)].map((name) => new Option(name, name)));
  }

  function addOffers() {
    for (const input of document.querySelectorAll("[data-complete]:not([list])")) {
      const list = document.createElement("datalist");
      list.id = `${input.id}-offers`;
      input.after(list);
      input.setAttribute("list", list.id);
      input.autocomplete = "off";
      let timer = 0;
      const soon = () => {
        clearTimeout(timer);
        timer = setTimeout(() => void offer(input), WAIT);
      };
      input.addEventListener("input", soon);
      input.addEventListener("focus", soon);
    }
  }

  // The name is kept in this browser, only while the server has no users.
  const NAME = "name";

  function stored(action) {
    try {
      return action(localStorage);
    } catch {
      return null; // storage is blocked: the field works without
    }
  }

  function rememberName() {
    if (document.querySelector("[data-user]")) stored((storage) => storage.removeItem(NAME));
    const input = document.querySelector("input[name=by]");
    if (!input) return;
    input.value ||= stored((storage) => storage.getItem(NAME)) ?? "";
    input.form.addEventListener("submit", () => {
      const name = input.value.trim();
      stored((storage) => (name ? storage.setItem(NAME, name) : storage.removeItem(NAME)));
    });
  }

  function all() {
    addOffers();
    localise();
    addCopyButtons();
  }

  document.addEventListener("renewed", all);
  setInterval(localise, 10_000);
  all();
  rememberName();
})();
