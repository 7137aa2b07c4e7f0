// Keeps a page as it is now: times as people say them, copying, and what the server tells. Pages work without it.
"use strict";
(() => {
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy("rerail", { createHTML: (text) => text })
    : { createHTML: (text) => text };
  // The server has escaped every text in it, as on the page.
  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = policy.createHTML(html);
    return template.content;
  };

  // --- times -------------------------------------------------------------------------------------------------------
  const say = (seconds) => {
    const s = Math.abs(seconds);
    if (s < 60) return `${Math.floor(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d`;
  };
  const tick = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll("time")) {
      const seconds = (now - Date.parse(time.dateTime)) / 1000;
      if (Number.isNaN(seconds)) continue;
      const text = seconds >= 0 ? `${say(seconds)} ago` : `in ${say(seconds)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // --- copying -----------------------------------------------------------------------------------------------------
  const copyable = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    }, () => {});
  });

  // --- a form is sent once -----------------------------------------------------------------------------------------
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });

  // --- what changes ------------------------------------------------------------------------------------------------
  // Somebody who types, or has opened something, is not disturbed: their piece waits until they are done.
  const inUse = (element) => {
    const active = document.activeElement;
    if (active && active !== document.body && element.contains(active) && active.matches("input, textarea, select")) return true;
    for (const field of element.querySelectorAll("input:not([type=hidden]), textarea")) {
      if (field.type === "radio" || field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue) return true;
    }
    return element.querySelector("details[open]") !== null;
  };
  const waiting = new Map();
  const put = (piece) => {
    const element = document.getElementById(piece.at);
    if (piece.how === "row") {
      const row = parse(piece.html).firstElementChild;
      if (!row) return;
      row.classList.add("new");
      if (element) element.replaceWith(row);
      else document.getElementById(piece.in)?.append(row);
      return;
    }
    if (!element) return;
    if (piece.how === "after") {
      const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
      element.append(parse(piece.html));
      const most = Number(element.dataset.linesMax) * 8;
      while (most && element.childNodes.length > most) element.firstChild.remove();
      if (atEnd) element.scrollTop = element.scrollHeight;
      return;
    }
    if (inUse(element)) { waiting.set(piece.at, piece); return; }
    waiting.delete(piece.at);
    // Whoever stands on a link or a button in it stands on the same one afterwards.
    const active = document.activeElement;
    const stood = active && active !== document.body && element.contains(active)
      ? [...element.querySelectorAll("a, button, summary")].indexOf(active) : -1;
    element.replaceChildren(parse(piece.html));
    copyable(element);
    if (stood >= 0) element.querySelectorAll("a, button, summary")[stood]?.focus();
  };
  // How many wait stands in the title too, where a page in the background shows it.
  const count = () => {
    const waits = Number(document.querySelector("#p-waits [data-waits]")?.dataset.waits ?? 0);
    const bare = document.title.replace(/^\(\d+\) /, "");
    const title = waits > 0 ? `(${waits}) ${bare}` : bare;
    if (document.title !== title) document.title = title;
  };
  document.addEventListener("focusout", () => setTimeout(() => {
    for (const piece of [...waiting.values()]) put(piece);
  }, 0));

  // Those who listen to the page hear of it at most every five seconds: more often is noise.
  let sentences = [];
  const speak = () => {
    const log = document.getElementById("p-said");
    if (!log || sentences.length === 0) return;
    const line = document.createElement("p");
    line.textContent = sentences.splice(0).slice(-6).join(". ");
    log.append(line);
    while (log.childNodes.length > 20) log.firstChild.remove();
  };
  const address = document.body.dataset.live;
  if (address && window.EventSource) {
    const source = new EventSource(address);
    source.addEventListener("change", (event) => {
      const told = JSON.parse(event.data);
      told.pieces.forEach(put);
      count();
      sentences.push(...told.said);
      const picture = document.getElementById("p-picture");
      if (picture && told.pieces.length > 0) picture.src = `${picture.src.split("?")[0]}?at=${event.lastEventId}`;
      tick();
      if (told.ended) source.close();
    });
    // Its session may have ended: the page itself says what to do.
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000); });
    window.addEventListener("pagehide", () => source.close());
    setInterval(speak, 5000);
  }
  copyable(document);
  tick();
  setInterval(tick, 1000);
})();
