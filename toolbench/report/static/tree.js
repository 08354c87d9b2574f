"use strict";
/* A decision tree as nested <details>: a chain of steps is a list, and only a fork opens a level. Which is opened by
   key and told by screen readers without a word of ours. */
const tree = (() => {
  const { el, text, number, api } = toolbench;

  const seconds = (value) => `${value < 0.01 ? value.toFixed(3) : value.toFixed(2)} s`;
  const tag = (kind, ...said) => el("span", { class: `tag ${kind || ""}` }, ...said);

  function block(name, value, kind) {
    if (value === undefined) return [];
    return [el("h3", {}, name), el(kind || "pre", { class: kind ? "text" : null, dir: kind ? "auto" : null }, text(value))];
  }

  function facts(step) {
    const said = [`turn ${step.turn}`, `depth ${step.depth}`];
    if (step.source && step.source !== "none") said.push(`source: ${step.source}`);
    if (step.seconds !== undefined) said.push(`API answered in ${seconds(step.seconds)}`);
    if (step.reply) {
      const [time, read, written] = step.reply;
      said.push(`teacher replied in ${seconds(time)}, ${number(read)} tokens in, ${number(written)} out`);
    }
    return el("p", { class: "meta" }, said.join(" · "), step.api ? [" · ", api(step.api, el("code", {}, step.api))] : []);
  }

  function view(step) {
    const head = el("summary", {},
      el("span", { class: "meta" }, step.id), " ",
      el("span", { class: "name" }, step.function === undefined ? "thought" : step.function || "no name"), " ",
      step.status && tag(step.tone === "plain" ? "" : step.tone, step.status),
      step.pruned && tag("bad", "pruned"), step.chosen && tag("path", "✓ path"),
      step.seconds !== undefined && el("span", { class: "meta" }, ` ${seconds(step.seconds)}`));
    const body = el("div", { class: "body" },
      block("Reasoning", step.reasoning, "p"), block("Thought", step.thought, "p"),
      block("Arguments", step.arguments), block("Arguments as sent", step.sent),
      block(step.response === undefined ? "Response" : "Response as the model saw it", step.observation),
      step.response === undefined ? [] : el("details", { class: "whole" }, el("summary", {}, "Response before it was cut"),
        el("pre", {}, text(step.response))),
      facts(step));
    return el("details", { class: `step${step.chosen ? " chosen" : ""}${step.failed ? " failed" : ""}`, open: Boolean(step.chosen),
      id: `step-${step.id}` }, head, body);
  }

  function branch([at, of, size, fate, chosen], from, open) {
    const back = at > 1 ? `↩ back to ${from > 0 ? `step ${from}` : "the start"} · ` : "";
    return el("details", { class: `branch${chosen ? " chosen" : ""}`, open }, el("summary", {},
      `Try ${at} of ${of} `, el("span", { class: "meta" }, `· ${back}${number(size)} ${size === 1 ? "step" : "steps"} · ${fate}`)));
  }

  /* The tree of `it`, as a data file hands it over. */
  function draw(it) {
    const root = el("div", { class: "tree", id: "tree" });
    const open = [root];
    let next = 0;
    for (const event of it.order) {
      const top = open[open.length - 1];
      if (event === 0) {
        top.append(view(it.steps[next]));
        next += 1;
      } else if (event === -1) {
        open.pop();
      } else {
        const made = branch(event, it.steps[next].parent, Boolean(event[4]) || !it.picked);
        top.append(made);
        open.push(made);
      }
    }
    if (!it.steps.length) root.append(el("p", { class: "soft" }, "The search made no step."));
    return root;
  }

  /* Open what a step stands in, and go to it. */
  function show(step) {
    for (let at = step; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    const head = step.querySelector("summary");
    head.scrollIntoView({ block: "center" });
    head.focus({ preventScroll: true });
  }

  function tools(root) {
    const button = (name, act) => {
      const made = el("button", { type: "button" }, name);
      made.addEventListener("click", act);
      return made;
    };
    const all = (open) => () => { for (const one of root.querySelectorAll("details")) one.open = open; };
    const failed = [...root.querySelectorAll(".step.failed")];
    let at = -1;
    const next = button(`Next failed call (${failed.length})`, () => { at = (at + 1) % failed.length; show(failed[at]); });
    next.disabled = !failed.length;
    return el("p", { class: "tools" }, button("Expand all", all(true)), button("Collapse all", all(false)), next);
  }

  return Object.freeze({ draw, tools, tag, seconds });
})();
