"use strict";
/* The catalogue: a list to search, and one API in full behind `#api=<id>`. */
(() => {
  const { el, text, bucket, found } = toolbench;

  /* The address of this list with that API beside it; without an id, of the list alone. */
  function beside(id) {
    const wanted = new URLSearchParams(location.hash.slice(1));
    wanted.delete("api");
    if (id) wanted.set("api", id);
    return `#${wanted}`;
  }

  function row([id, name, tool, category, method, about, heldOut]) {
    return el("tr", {},
      el("th", { scope: "row" }, el("a", { href: beside(id) }, name || id)), el("td", {}, tool), el("td", {}, category), el("td", { class: "short" }, method),
      el("td", { class: "wide about", dir: "auto" }, about, heldOut && [" ", el("span", { class: "tag" }, "held out")]));
  }

  function fact(name, ...value) {
    return value.flat().some((v) => v !== "" && v !== undefined && v !== null) ? [el("dt", {}, name), el("dd", {}, ...value)] : [];
  }

  function pretty(value) {
    try {
      return [JSON.stringify(JSON.parse(value), null, 2)];
    } catch {
      return text(value);
    }
  }

  function parameters(all) {
    if (!all.length) return el("p", { class: "soft" }, "It takes no parameters.");
    const heads = ["Name", "Type", "Where", "Description", "Default"].map((name) => el("th", { scope: "col" }, name));
    const rows = all.map(([name, type, required, where, about, usual]) => el("tr", {},
      el("th", { scope: "row" }, name || "the whole body", " ", required && el("span", { class: "tag" }, "required")), el("td", {}, type),
      el("td", {}, where), el("td", { class: "wide", dir: "auto" }, text(about)), el("td", {}, text(usual))));
    return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Parameters" }, el("table", {},
      el("caption", { class: "sr" }, "Parameters"), el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)));
  }

  function details(id, it) {
    const screened = it.verdict ? [it.verdict[0], it.verdict[1] ? `: ${it.verdict[1]}` : "", it.verdict[2] ? ", retired" : ""] : [];
    const close = el("button", { type: "button" }, "Close");
    close.addEventListener("click", () => { location.hash = beside(); document.getElementById("words").focus(); });
    return [
      el("h2", { tabindex: "-1" }, it.name || id, " ", el("span", { class: "tag" }, it.method)),
      el("p", { class: "text", dir: "auto" }, text(it.description)),
      el("dl", { class: "facts" },
        fact("Tool", it.tool, it.about_tool && [el("br"), el("span", { class: "soft", dir: "auto" }, text(it.about_tool))]),
        fact("Category", it.category), fact("Collections", it.collections.join(", ")), fact("Split", it.split),
        fact("Screening", screened), fact("Address", el("code", {}, text(it.url))),
        fact("Id", el("code", {}, id)), fact("Function", el("code", {}, it.function)),
        it.deprecated ? fact("Note", "deprecated by its source") : []),
      el("h3", {}, "Parameters"), parameters(it.parameters),
      el("h3", {}, "Function definition, as a model sees it"), el("pre", {}, pretty(it.definition)),
      it.example ? [el("h3", {}, "Documented response"), el("pre", {}, pretty(it.example))] : [],
      el("p", {}, close),
    ];
  }

  async function one() {
    const place = document.getElementById("api");
    if (!place) return;
    const id = new URLSearchParams(location.hash.slice(1)).get("api");
    place.hidden = !id;
    if (!id) return place.replaceChildren();
    await bucket("apis", id);
    const [it] = found("api", id);
    place.replaceChildren(...(it ? details(id, it).flat(Infinity) : [el("p", {}, `The catalogue has no API ${id}.`)]));
    place.scrollIntoView();
    const head = place.querySelector("h2");
    if (head) head.focus({ preventScroll: true });
  }

  addEventListener("hashchange", one);
  const heads = [["API"], ["Tool"], ["Category"], ["Method"], ["Description"]];
  new searching.Finder("catalogue", heads, row).open().then(one);
})();
