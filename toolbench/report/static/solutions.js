"use strict";
/* The list of solutions. */
(() => {
  const { el, number, solution, bucket, found } = toolbench;
  const tag = (outcome) => el("span", { class: `tag ${outcome === "solved" ? "good" : "bad"}` }, outcome);

  function row([id, text, group, topic, outcome, steps, again, failed]) {
    return el("tr", {},
      el("th", { scope: "row", class: "wide", dir: "auto" }, solution(id, text || id)),
      el("td", { class: "short" }, group), el("td", {}, topic), el("td", {}, tag(outcome)),
      el("td", { class: "num" }, number(steps)),
      el("td", { class: "num" }, again ? number(again) : "–"), el("td", { class: "num" }, failed ? number(failed) : "–"));
  }

  /* What was typed may be an id: then its file says so. */
  async function jump(query) {
    if (!query || /\s/.test(query)) return null;
    await bucket("trees", query);
    const ids = found("tree", query).length ? [query] : (found("solutions", query)[0] || []);
    return ids.length ? el("strong", {}, "By id: ", ids.map((id, n) => [n ? ", " : "", solution(id, id)]), ".") : null;
  }

  const heads = [["Instruction"], ["Group"], ["Category"], ["Outcome"], ["Steps", "num"], ["Went back", "num"],
    ["Failed calls", "num"]];
  new searching.Finder("solutions", heads, row, jump).open();
})();
