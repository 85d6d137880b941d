// Live updates of the page content while the page is visible. Without this script the page stays as loaded.
"use strict";

(() => {
  const seconds = Number(document.body.dataset.live);
  const controls = document.getElementById("live");
  if (!seconds || !controls) return;

  const TIMEOUT = 10_000; // ms per update
  let paused = false;
  let busy = false;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  const note = document.createElement("span");
  note.setAttribute("role", "status");
  controls.append(button, " ", note);

  function label() {
    button.textContent = paused ? "Resume updates" : "Pause updates";
    button.setAttribute("aria-pressed", String(paused));
  }

  button.addEventListener("click", () => {
    paused = !paused;
    label();
    if (!paused) void renew();
  });

  // Do not replace content while the user types, chooses an option or selects text.
  function isInUse(content) {
    const active = document.activeElement;
    if (content.contains(active) && active.matches("input, select, textarea")) return true;
    const selection = document.getSelection();
    return !!selection && !selection.isCollapsed && content.contains(selection.anchorNode);
  }

  // Identity of an element across updates: links and buttons keep the focus, and sections stay open.
  function identityOf(element) {
    return element.id || element.getAttribute("href") || element.getAttribute("aria-label") || element.textContent.trim();
  }

  function swap(content, fresh) {
    const active = content.contains(document.activeElement) ? document.activeElement : null;
    const focused = active && identityOf(active);
    const open = [...content.querySelectorAll("details[open]")].map(identityOf);
    const [x, y] = [window.scrollX, window.scrollY];
    document.dispatchEvent(new Event("renewing"));
    content.replaceChildren(...fresh.childNodes);
    for (const details of content.querySelectorAll("details")) {
      if (open.includes(identityOf(details))) details.open = true;
    }
    document.dispatchEvent(new Event("renewed"));
    if (focused && document.activeElement === document.body) {
      const target = [...content.querySelectorAll("a, button, summary")].find((item) => identityOf(item) === focused);
      target?.focus({ preventScroll: true });
    }
    window.scrollTo(x, y);
  }

  async function renew() {
    const content = document.getElementById("content");
    if (busy || paused || document.hidden || isInUse(content)) return;
    busy = true;
    try {
      const response = await fetch(location.href, {
        cache: "no-store", headers: { Accept: "text/html" }, signal: AbortSignal.timeout(TIMEOUT),
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("content");
      if (!fresh) throw new Error(`HTTP ${response.status}`);
      if (!paused && !isInUse(content)) {
        document.title = page.title;
        const navigation = page.querySelector("nav");
        const shown = document.querySelector("nav");
        if (!shown.contains(document.activeElement)) shown.replaceChildren(...navigation.childNodes);
        swap(content, fresh);
      }
      if (note.textContent) note.textContent = "";
    } catch (error) {
      const text = `The bridge is not responding (${error.message}). This page may be out of date; retrying.`;
      if (note.textContent !== text) note.textContent = text;
    } finally {
      busy = false;
    }
  }

  label();
  setInterval(renew, seconds * 1000);
  document.addEventListener("visibilitychange", renew);
})();
