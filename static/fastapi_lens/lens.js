// What plain links and forms cannot do: live updates, keyboard, theme, toasts. Fetches nothing itself.
(() => {
  "use strict";
  const TICK_MS = 5000, TOAST_MS = 6000, YEAR = 31536000;
  const doc = document, root = doc.documentElement;
  const $ = (name) => doc.getElementById("lens-" + name);
  const on = (name, listener) => doc.addEventListener(name, listener);
  const base = doc.querySelector('meta[name="lens-base"]').content;
  const remember = (name, value) => {
    const secure = location.protocol === "https:" ? ";secure" : "";
    doc.cookie = `lens_${name}=${value};path=${base || "/"};max-age=${YEAR};samesite=lax${secure}`;
  };
  const press = (button, value) => button.setAttribute("aria-pressed", value);
  const isPressed = (name) => $(name)?.getAttribute("aria-pressed") === "true";
  const announce = (text) => { $("announce").textContent = text; };
  let skew = 0, etag = "", forced = false, focused = "", updated = new Date();

  // --- live updates ---------------------------------------------------------------------------

  const now = () => Date.now() / 1000 + skew;
  const tick = () => htmx.trigger(doc.body, "lens:tick");
  const isSelecting = () => getSelection().type === "Range";

  // Says what formats.ago says.
  const ago = (seconds) => {
    for (const [limit, unit, name] of [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [2 * YEAR, 86400, "d"]])
      if (seconds < limit) return seconds < 1 ? "just now" : `${Math.floor(seconds / unit)} ${name} ago`;
    return `${Math.floor(seconds / YEAR)} y ago`;
  };
  const age = () => {
    for (const time of doc.querySelectorAll("time[title]")) {
      const text = ago(Math.floor(now() - Date.parse(time.dateTime) / 1000));
      // A text node that stays the same keeps what is selected in it.
      if (time.textContent !== text) time.firstChild.nodeValue = text;
    }
  };
  const healthy = () => {
    updated = new Date();
    if ($("toggle")) delete $("toggle").dataset.state;
    if ($("note")) $("note").textContent = "";
  };
  const failed = () => {
    const text = `Last updated ${updated.toISOString().slice(11, 16)} · retrying`;
    if ($("note").textContent !== text) announce(text);
    $("note").textContent = text;
    $("toggle").dataset.state = "failed";
  };
  const settle = () => {
    const live = $("live");
    if (live) skew = live.dataset.now - Date.now() / 1000;
    for (const toast of doc.querySelectorAll(".toast.ok:not([data-seen])")) {
      toast.dataset.seen = "";
      const leave = () => toast.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : toast.remove();
      setTimeout(leave, TOAST_MS);
    }
  };
  // While the reader is in the rows, their values change but not their order.
  const hold = (fragment) => {
    const shown = $("rows"), fresh = fragment.querySelector("#lens-rows");
    if (!shown || !fresh || !(shown.matches(":hover") || shown.contains(doc.activeElement))) return;
    const ids = (rows) => [...rows.children].map((row) => row.id).join();
    if (ids(shown) === ids(fresh)) return;
    const byId = new Map([...fresh.children].map((row) => [row.id, row]));
    fresh.replaceChildren(...[...shown.children].map((row) => byId.get(row.id) || row.cloneNode(true)));
    fragment.querySelector("#lens-order").hidden = false;
    etag = "";
  };
  const isLive = (ctx) => ctx?.sourceElement?.id === "lens-live";

  setInterval(() => {
    age();
    if (!doc.hidden && isPressed("toggle") && !isSelecting()) tick();
  }, TICK_MS);
  on("visibilitychange", () => { if (!doc.hidden && isPressed("toggle") && !isSelecting()) tick(); });

  on("htmx:config:request", ({ detail: { ctx } }) => {
    if (isLive(ctx) && etag && !forced) ctx.request.headers["If-None-Match"] = etag;
  });
  on("htmx:before:swap", (event) => {
    const { ctx, tasks } = event.detail, { status, headers } = ctx.response;
    if (isLive(ctx) && status >= 400) {
      event.preventDefault();
      return failed();
    }
    if (status < 400) healthy();
    etag = headers.get("ETag") || etag;
    const complete = headers.get("Lens-Complete-To");
    if (complete && $("complete")) {
      $("complete").dateTime = complete;
      $("complete").textContent = complete.slice(11, 19);
    }
    const main = tasks.find((task) => task.type === "main");
    if (isLive(ctx) && !forced && main) hold(main.fragment);
    forced = false;
    focused = doc.activeElement?.id;
  });
  on("htmx:after:swap", ({ detail: { ctx } }) => {
    if (focused && doc.activeElement === doc.body) doc.getElementById(focused)?.focus({ preventScroll: true });
    if (ctx.response.status === 304) return;
    settle();
    if (isLive(ctx)) return;
    // What the reader has changed by hand stays in a control through a morph; the answer is right.
    for (const control of $("filters")?.elements ?? []) {
      if (control.type === "checkbox") control.checked = control.defaultChecked;
      else if (control.type === "search" && control !== doc.activeElement) control.value = control.defaultValue;
      for (const option of control.options ?? []) option.selected = option.defaultSelected;
    }
    if (ctx.response.status < 400 && $("live")) announce($("live").dataset.announce);
  });
  on("htmx:error", ({ detail: { ctx } }) => {
    if (isLive(ctx)) failed();
    else if (ctx) toast("The server could not be reached.", "error");
  });

  // --- toasts, copying ------------------------------------------------------------------------

  const toast = (text, kind) => {
    const box = doc.createElement("div"), words = doc.createElement("p"), close = doc.createElement("button");
    box.className = `toast ${kind}`;
    words.textContent = text;
    close.className = "button quiet";
    close.textContent = "Close";
    close.dataset.close = "";
    box.append(words, close);
    $("toasts").append(box);
    settle();
  };
  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      toast("Copied.", "ok");
    } catch {
      // No clipboard without https: leave it selected, ready for Ctrl+C.
      getSelection().selectAllChildren(element);
    }
  };

  // --- controls -------------------------------------------------------------------------------

  const toggle = (name) => {
    const value = !isPressed(name);
    press($(name), value);
    remember(name === "toggle" ? "live" : name, value ? "on" : "off");
    return value;
  };
  const theme = () => {
    const names = ["auto", "light", "dark"], next = names[(names.indexOf(root.dataset.theme) + 1) % 3];
    root.dataset.theme = next;
    remember("theme", next);
    for (const name of ["aria-label", "title"]) $("theme").setAttribute(name, `Theme: ${next}`);
  };
  const actions = {
    "lens-toggle": () => { healthy(); if (toggle("toggle")) tick(); },
    "lens-theme": theme,
    "lens-help-open": () => $("help").showModal(),
    "lens-keys": () => toggle("keys"),
    "lens-order": () => { forced = true; tick(); },
  };
  on("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    actions[button.id]?.();
    if ("close" in button.dataset) button.closest(".toast").remove();
    if (button.dataset.copy) copy(doc.getElementById(button.dataset.copy));
  });

  const walk = (step) => {
    const links = [...doc.querySelectorAll("#lens-rows th a")], at = links.indexOf(doc.activeElement);
    links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
  };
  const keys = {
    "/": () => { $("q")?.focus(); $("q")?.select(); },
    j: () => walk(1),
    k: () => walk(-1),
    l: () => $("toggle")?.click(),
    "?": () => $("help")?.showModal(),
  };
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target.id === "lens-q") {
      event.preventDefault();
      return event.target.blur();
    }
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
    if (typing || !isPressed("keys") || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  settle();
})();
