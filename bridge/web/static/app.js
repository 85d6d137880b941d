// Renews what a page shows while somebody looks at it. Without this script a page is as it was loaded.
"use strict";

(() => {
  const seconds = Number(document.body.dataset.live);
  const place = document.getElementById("live");
  if (!seconds || !place) return;

  const LIMIT = 10_000; // ms that an answer may take
  let paused = false;
  let busy = false;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  const note = document.createElement("span");
  note.setAttribute("role", "status");
  place.append(button, " ", note);

  function label() {
    button.textContent = paused ? "Resume updates" : "Pause updates";
    button.setAttribute("aria-pressed", String(paused));
  }

  button.addEventListener("click", () => {
    paused = !paused;
    label();
    if (!paused) void renew();
  });

  // Somebody is typing, choosing or marking text: what they do must not vanish below their hands.
  function isInUse(content) {
    const active = document.activeElement;
    if (content.contains(active) && active.matches("input, select, textarea")) return true;
    const marked = document.getSelection();
    return !!marked && !marked.isCollapsed && content.contains(marked.anchorNode);
  }

  // A link or button keeps the focus, and a section stays open, over a renewal.
  function signOf(element) {
    return element.id || element.getAttribute("href") || element.textContent.trim();
  }

  function swap(content, fresh) {
    const active = content.contains(document.activeElement) ? document.activeElement : null;
    const sign = active && signOf(active);
    const open = [...content.querySelectorAll("details[open]")].map(signOf);
    const [x, y] = [window.scrollX, window.scrollY];
    document.dispatchEvent(new Event("renewing"));
    content.replaceChildren(...fresh.childNodes);
    for (const details of content.querySelectorAll("details")) {
      if (open.includes(signOf(details))) details.open = true;
    }
    if (sign) {
      const again = [...content.querySelectorAll("a, button, summary")].find((item) => signOf(item) === sign);
      again?.focus({ preventScroll: true });
    }
    window.scrollTo(x, y);
    document.dispatchEvent(new Event("renewed"));
  }

  async function renew() {
    const content = document.getElementById("content");
    if (busy || paused || document.hidden || isInUse(content)) return;
    busy = true;
    try {
      const answer = await fetch(location.href, {
        cache: "no-store", headers: { Accept: "text/html" }, signal: AbortSignal.timeout(LIMIT),
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("content");
      if (!fresh) throw new Error(`HTTP ${answer.status}`);
      if (!paused && !isInUse(content)) {
        document.title = page.title;
        swap(content, fresh);
      }
      if (note.textContent) note.textContent = "";
    } catch (error) {
      const text = `The bridge does not answer (${error.message}). What you see is old; it is tried again.`;
      if (note.textContent !== text) note.textContent = text;
    } finally {
      busy = false;
    }
  }

  label();
  setInterval(renew, seconds * 1000);
  document.addEventListener("visibilitychange", renew);
})();
