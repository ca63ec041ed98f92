// What links and forms cannot do: live updates, keyboard, theme, toasts. htmx fetches and swaps.
const TICK_MS = 5000, TOAST_MS = 6000, GO_MS = 1500, YEAR = 31536000;
const $ = (name) => document.getElementById("lens-" + name);
const on = (type, listener) => document.addEventListener(type, listener);
const base = document.querySelector("meta[name=lens-base]").content || "/";
const remember = (name, value) => {
  // A prefix that takes any path may have what ends an attribute.
  const path = base.replace(/[^/]*;.*/, "");
  document.cookie = `lens_${name}=${value};path=${path};max-age=${YEAR};samesite=lax`;
};
// The zone of the times that the server has written.
const timeZone = $("zone")?.dataset.zone;
const clock = (time) => time.toLocaleTimeString("en-GB", { timeZone });
const isOn = (name) => $(name)?.ariaPressed === "true";
const say = (text) => ($("announce").textContent = text);
let skew = 0, etag = "", forced, focused, touched, opened, went = 0, updated = new Date();

// Says what formats.ago says.
const ago = (seconds) => {
  const units = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [2 * YEAR, 86400, "d"], [Infinity, YEAR, "y"]];
  const [, size, unit] = units.find(([limit]) => seconds < limit);
  return seconds < 1 ? "just now" : `${Math.floor(seconds / size)} ${unit} ago`;
};
const age = () => {
  for (const time of document.querySelectorAll("time[title]")) {
    const text = ago(Date.now() / 1000 + skew - Date.parse(time.dateTime) / 1000);
    // Untouched where it stays the same, so that what is selected in it stays selected.
    if (time.textContent !== text) time.firstChild.data = text;
  }
};
// A preview brings the fault of a field, but not the field, in which somebody types.
const mark = (wrong) => {
  const field = document.querySelector(`:is(input, textarea, select)[aria-describedby~="${wrong.id}"]`);
  if (field) field.ariaInvalid = wrong.textContent ? "true" : null;
};
const arrived = () => {
  choose();
  document.querySelectorAll(".wrong[id]").forEach(mark);
  show(shown);
  if ($("up")) $("up").href = left($("up").pathname).href || $("up").href;
  const live = $("live");
  // Ages go by the server's clock, because that of a browser may be wrong.
  if (live) skew = live.dataset.now - Date.now() / 1000;
  for (const toast of document.querySelectorAll(".toast.ok:not([data-seen])")) {
    // A toast stays while somebody reads it or its button has the focus.
    const leave = () => toast.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : toast.remove();
    setTimeout(leave, TOAST_MS);
    toast.dataset.seen = "";
  }
};
const state = (text) => {
  // Announced once, not after each failed attempt.
  if (!$("note") || $("note").textContent === text) return;
  $("note").textContent = text;
  $("toggle").toggleAttribute("data-state", !!text);
  say(text);
};
const failed = () => state(`Last updated ${clock(updated).slice(0, 5)} · retrying`);

const tick = () => htmx.trigger(document.body, "lens:tick");
const beat = () => {
  // Not in a hidden tab, and not while text is marked: a swap would undo the selection.
  if (!document.hidden && isOn("toggle") && getSelection().type !== "Range") tick();
};
setInterval(() => (age(), beat()), TICK_MS);
on("visibilitychange", beat);

// A finger does not stay on the table, so the last touch counts.
on("pointerdown", ({ target, pointerType }) => (touched = pointerType === "touch" && !!target.closest("table")));
const isRead = (table) => {
  const marked = getSelection(), isMarked = marked.type === "Range" && marked.containsNode(table, true);
  return isMarked || touched || table.matches(":hover, :focus-within");
};
// While the reader is in the table, its values change but not the order of its rows.
const hold = (fragment) => {
  const shown = $("rows"), fresh = fragment.querySelector("#lens-rows");
  if (!fresh || !shown || !isRead(shown.closest("table"))) return;
  const rows = new Map([...fresh.children].map((row) => [row.id, row]));
  const order = [...shown.children].map((row) => row.id);
  if (order.join() === [...rows.keys()].join()) return;
  fresh.replaceChildren(...order.map((id) => rows.get(id) || document.getElementById(id).cloneNode(true)));
  fragment.querySelector("#lens-order").hidden = false;
  // The page now differs from the answer, so the next one must not be a 304.
  etag = "";
};
const isLive = (ctx) => ctx?.sourceElement?.id === "lens-live";
const isGo = (ctx) => ctx.sourceElement?.id === "lens-go-q";
const isByHand = (ctx) => ctx.sourceElement.matches("#lens-filters, #lens-q, #lens-live");

on("htmx:config:request", ({ detail: { ctx } }) => {
  // Only a live update may be answered with 304; a choice must be swapped in.
  if (isLive(ctx) && etag && !forced) ctx.request.headers["If-None-Match"] = etag;
});
on("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail, { status, headers } = ctx.response;
  // The results are no part of the page; a toast would be behind their dialog.
  if (isGo(ctx)) return status >= 400 && $("go")?.close();
  const active = document.activeElement;
  focused = (active.closest("tbody tr") || active).id;
  if (status >= 400) {
    if (isLive(ctx)) event.preventDefault(failed());
    return;
  }
  state("");
  updated = new Date();
  etag = headers.get("ETag") || "";
  const complete = headers.get("Lens-Complete-To");
  if (complete) $("complete").textContent = clock(new Date(($("complete").dateTime = complete)));
  const main = tasks.find((task) => task.type === "main");
  if (isLive(ctx) && !forced && main) hold(main.fragment);
  // What has been typed since the request was sent is newer than the answer.
  if (isByHand(ctx)) main?.fragment.querySelector("#lens-q")?.setAttribute("value", $("q").value);
  forced = false;
});
on("htmx:after:swap", ({ detail: { ctx } }) => {
  if (isGo(ctx)) return;
  // Browsers without moveBefore lose the focus of a row that moves.
  const lost = document.activeElement === document.body && focused && document.getElementById(focused);
  if (lost) (lost.querySelector("a") || lost).focus({ preventScroll: true });
  if (ctx.response.status >= 300) return;
  arrived();
  if (isLive(ctx)) return;
  const told = ctx.target.isConnected && ctx.target.querySelector("[data-announce]");
  if (told) say(told.dataset.announce);
  // A control keeps its state through a morph; a link has chosen another one.
  if (!isByHand(ctx)) for (const form of ["filters", "columns"]) $(form)?.reset();
});
on("htmx:error", ({ detail: { ctx } }) => {
  if (isLive(ctx)) return failed();
  if (!ctx) return;
  if (isGo(ctx)) $("go")?.close();
  toast("The server could not be reached.", "error");
});

const toast = (text, kind) => {
  const box = document.createElement("div");
  box.className = "toast card " + kind;
  // The text is set afterwards, so that it never becomes HTML.
  box.innerHTML = '<p></p><button class="button quiet" type="button" data-close>Close</button>';
  box.firstChild.textContent = text;
  $("toasts").append(box);
  arrived();
};
const copy = (element) => {
  // Without https there is no clipboard: then it is selected, ready for Ctrl+C.
  const select = () => getSelection().selectAllChildren(element);
  const done = navigator.clipboard?.writeText(element.textContent);
  done ? done.then(() => toast("Copied.", "ok"), select) : select();
};
const toggle = (name, cookie) => {
  $(name).ariaPressed = !isOn(name);
  remember(cookie, isOn(name) ? "on" : "off");
};
// The chosen rows, as the form of the page sends them without a script.
const boxes = () => [...document.querySelectorAll("#lens-rows input[name=e]")];
const choose = () => {
  if (!$("chosen")) return;
  const all = boxes(), count = all.filter((box) => box.checked).length;
  $("chosen").textContent = count ? `${count} chosen` : "None chosen";
  $("all").checked = count === all.length;
  $("all").indeterminate = count > 0 && count < all.length;
};
on("change", ({ target }) => {
  if (target === $("all")) for (const box of boxes()) box.checked = target.checked;
  choose();
});
addEventListener("pageshow", choose);
on("submit", (event) => {
  const { target, submitter } = event;
  if (target === $("go-form")) $("go")?.close();
  // Without https there is no clipboard: then the text is shown.
  if (!("copyText" in (submitter?.dataset ?? {})) || !navigator.clipboard?.write) return;
  event.preventDefault();
  const address = `${submitter.formAction}?${new URLSearchParams(new FormData(target))}`;
  const text = fetch(address).then((answer) => {
    if (!answer.headers.get("Content-Type")?.startsWith("text/markdown")) throw answer;
    return answer.blob();
  }).then((blob) => new Blob([blob], { type: "text/plain" }));
  const done = navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
  done.then(() => toast("Copied as Markdown.", "ok"), () => (location = address));
});
const actions = {
  toggle: () => (toggle("toggle", "live"), state(""), beat()),
  keys: () => toggle("keys", "keys"),
  "help-open": () => $("help").showModal(),
  order: () => tick((forced = true)),
  zone: () => {
    remember("zone", isOn("zone") ? "" : Intl.DateTimeFormat().resolvedOptions().timeZone);
    location.reload();
  },
  theme: () => {
    const root = document.documentElement;
    const next = { auto: "light", light: "dark", dark: "auto" }[root.dataset.theme];
    remember("theme", (root.dataset.theme = next));
    $("theme").title = $("theme").ariaLabel = "Theme: " + next;
  },
};
// The search for pages, lists and endpoints: in a dialog, or on its own page.
const go = () => {
  const box = $("go-q");
  if ($("go") && !$("go").open) {
    box.value = "";
    $("go").showModal();
    htmx.trigger(box, "lens:go");
  }
  box.focus();
  box.select();
};
on("keydown", (event) => {
  const { key, target } = event, results = [...document.querySelectorAll("#lens-go-results a")];
  // While a letter is composed, these keys belong to the input method.
  if (event.altKey || event.shiftKey || event.isComposing || !$("go-q")) return;
  if (event.ctrlKey || event.metaKey) return key.toLowerCase() === "k" ? event.preventDefault(go()) : undefined;
  const at = results.indexOf(target), step = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (at < 0 && target !== $("go-q")) return;
  // Browsers only clear a search box at first.
  if (key === "Escape" && $("go")) event.preventDefault($("go").close());
  else if (step) event.preventDefault((results[Math.min(at + step, results.length - 1)] ?? $("go-q")).focus());
  // The letter itself goes into the box, which has the focus by then.
  else if (key.length === 1) $("go-q").focus();
});
on("click", (event) => {
  const { target } = event, step = target.closest(".hits a"), isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (isPlain && target.closest("#lens-go-open") && $("go")) return event.preventDefault(go());
  // A file or a section of the same page leaves the page where it is.
  if (isPlain && target.closest("#lens-go-results a")) $("go")?.close();
  opened = target.closest("tbody tr")?.id;
  // htmx boosts no links of an SVG; the table has the same ones.
  const same = step && document.querySelector(`th a[href="${step.getAttribute("href")}"]`);
  if (same && isPlain) {
    event.preventDefault();
    return same.click();
  }
  const button = target.closest("button");
  if (!button) return;
  actions[button.id.slice(5)]?.();
  if ("close" in button.dataset) button.parentNode.remove();
  if (button.dataset.copy) copy(document.getElementById(button.dataset.copy));
});

// The numbers of one step of the charts, which stand in its row of the table: the last step at first.
const steps = () => [...document.querySelectorAll(".hits rect")];
let shown = Infinity;
const show = (step) => {
  const all = steps(), box = $("step");
  if (!box || !all.length) return;
  shown = Math.max(1, step);
  const at = Math.min(shown, all.length), [head, ...rows] = $("d-numbers").querySelectorAll("tr");
  const [first, ...cells] = [...rows.at(-at).cells].slice(0, 9).map((cell) => cell.textContent.trim());
  const named = cells.map((text, index) => {
    const [name, unit = ""] = head.cells[index + 1].textContent.trim().split(" ");
    return `${name} ${text}${text === "–" || !unit ? "" : ` ${unit}`}`;
  });
  box.textContent = [first, ...named].join(" · ");
  box.ariaValueNow = at;
  box.ariaValueText = box.textContent;
  all.forEach((rect, index) => rect.toggleAttribute("data-shown", index === at - 1 && shown <= all.length));
};
for (const type of ["pointerover", "pointerdown"])
  on(type, ({ target }) => target.matches?.(".hits rect") && show(steps().indexOf(target) + 1));
on("keydown", (event) => {
  const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -Infinity, End: Infinity };
  if (event.target !== $("step") || !moves[event.key]) return;
  event.preventDefault();
  show(Math.min(steps().length, Number(event.target.ariaValueNow) + moves[event.key]));
});

// A list as it was left, by its path: address, row, and how far it was scrolled.
const store = (() => { try { return sessionStorage } catch { return {} } })();
const left = (path) => JSON.parse(store["lens-left " + path] || "{}");
addEventListener("pagehide", () => {
  if ($("rows")) store["lens-left " + location.pathname] = JSON.stringify({ href: location.href, row: opened, top: scrollY });
});
const restore = () => {
  const { href, row, top } = left(location.pathname);
  const isBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (href !== location.href || !(isBack || document.referrer.startsWith(location.origin + location.pathname + "/"))) return;
  scrollTo(0, top);
  document.getElementById(row)?.querySelector("a")?.focus({ preventScroll: true });
};

const walk = (step) => {
  const links = [...document.querySelectorAll("#lens-rows a")], at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
};
const pick = () => document.activeElement.closest("#lens-rows tr")?.querySelector("input")?.click();
// While the chart is closed, the server does not read it.
document.addEventListener("toggle", ({ target }) => target === $("chart") && remember("chart", target.open ? "on" : "off"), true);
// Links by their id, so that a key does what a click does.
const follow = (name) => () => $(name)?.click();
const choice = (at) => () => document.querySelectorAll("[id^=lens-w-]")[at]?.click();
const page = (key) => document.querySelector(`[data-go="${key}"]`)?.click();
const keys = { ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((at) => [at + 1, choice(at)])), "[": follow("earlier"), "]": follow("later"), u: follow("up"), g: () => (went = Date.now()), "/": () => $("q")?.select(), j: () => walk(1), k: () => walk(-1), l: () => $("toggle")?.click(), x: () => pick(), "?": () => $("help")?.showModal() };
on("keydown", (event) => {
  const { key, target } = event;
  // These belong to the browser; some keyboards need AltGr for a bracket.
  if ((event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph")) return;
  if (key === "Escape" && target === $("q")) return event.preventDefault(target.blur());
  // A checkbox takes no letters, so the shortcuts work there, too.
  const typing = target.closest("input:not([type=checkbox]), textarea, select, dialog");
  if (typing || !isOn("keys")) return;
  if (Date.now() - went < GO_MS) return page(key, (went = 0));
  if (!keys[key]) return;
  event.preventDefault();
  keys[key]();
});
arrived();
// An address that names no period would show the next reader's own.
const named = document.querySelector("[id^=lens-w-][aria-current]")?.search.match(/days=\w+/);
if (named && !/[?&](days|from)=/.test(location.search)) {
  history.replaceState(history.state, "", `${location.search || "?"}${location.search && "&"}${named}${location.hash}`);
}
restore();
// htmx prepares the page in a timer, and a key may come before that.
htmx.process(document.body);
