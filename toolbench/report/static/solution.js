"use strict";
/* The page of the solution that is named behind the #. */
(() => {
  const { el, text, number, api, bucket, found } = toolbench;
  const { tag, seconds } = tree;
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
  const tone = { solved: "good", unsolved: "bad", gave_up: "bad", out_of_budget: "bad", failed: "bad" };
  const word = (name) => name.replaceAll("_", " ");
  const code = (value) => el("code", {}, value);

  function heading(id, it, asked) {
    const times = it.steps.flatMap((step) => [step.seconds || 0, step.reply ? step.reply[0] : 0]);
    const waited = times.reduce((sum, value) => sum + value, 0);
    return [
      el("h1", { tabindex: "-1" }, "Solution ", code(id)),
      asked && el("p", { class: "text quote", dir: "auto" }, asked.text),
      el("dl", { class: "facts" },
        fact("Outcome", tag(tone[it.outcome], word(it.outcome)), " ", text(it.reason)),
        fact("Group", [it.group, it.topic, it.split === "train" ? "train" : `held out: ${it.split}`].filter(Boolean).join(", ")),
        fact("Search", `${it.method}, ${number(it.steps.length)} steps, `,
          it.again ? `went back ${number(it.again)} ${it.again === 1 ? "time" : "times"}` : "without going back"),
        fact("Teacher", `${it.model}: ${number(it.replies)} replies, ${number(it.tokens[0])} tokens in, ${number(it.tokens[1])} out, $${it.cost.toFixed(4)}`),
        waited ? fact("Waiting", `${seconds(waited)} for replies and APIs`) : [],
        fact("Provenance", "instruction ", code(it.instruction), it.spec ? [", shard ", code(it.spec)] : [],
          it.prompts ? [", prompts ", code(it.prompts)] : [], `, seed ${it.seed}`)),
    ];
  }

  function offered(asked) {
    if (!asked || !asked.candidates.length) return [];
    const relevant = new Set(asked.relevant);
    const items = asked.candidates.map((id) => el("li", { class: relevant.has(id) ? "yes" : null },
      el("span", { class: "mark" }, relevant.has(id) && ["✓", el("span", { class: "sr" }, " relevant")]), el("span", {}, api(id, id))));
    return el("details", { class: "offered" }, el("summary", {}, `${number(items.length)} APIs offered, ${number(relevant.size)} of them relevant`),
      el("ul", {}, items));
  }

  function judged(votes) {
    if (!votes.length) return el("p", { class: "soft" }, "It was not judged.");
    return votes.slice().sort((a, b) => a.vote - b.vote).map((vote) => el("p", {}, tag(tone[vote.verdict], vote.verdict), " ",
      el("span", { class: "meta" }, `vote ${vote.vote + 1} by ${vote.model}`), el("br"), el("span", { class: "text", dir: "auto" }, vote.reason)));
  }

  function learned(it, rejected) {
    if (!it) return el("p", { class: "soft" }, rejected ? `None was made from it: ${word(rejected[0])}. ${rejected[1]}` : "None was made from it.");
    const turns = it.messages.map((said) => el("section", { class: `turn${said.learned ? " learned" : ""}` },
      el("h3", {}, said.role, " ", said.learned ? tag("good", "learned") : tag("", "read only")),
      said.content && el("p", { class: "text", dir: "auto" }, text(said.content)),
      (said.calls || []).map(([name, given]) => [el("p", { class: "meta" }, "calls ", code(name)), el("pre", {}, text(given))])));
    const count = it.messages.filter((said) => said.learned).length;
    return [
      el("p", { class: "soft" }, `The loss counts ${number(count)} of ${number(turns.length)} turns: those with a double line and the word “learned”. The others are only read.`),
      el("p", { class: "meta" }, "Offered functions: ", it.functions.map((name, n) => [n ? ", " : "", code(name)])),
      el("details", { class: "sample", open: true }, el("summary", {}, "All turns"), turns),
    ];
  }

  async function show() {
    const place = document.getElementById("solution");
    let id;
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      id = location.hash.slice(1);
    }
    if (!id) return;
    await bucket("trees", id);
    const [it] = found("tree", id);
    if (!it) {
      document.getElementById("said")?.replaceChildren(`There is no solution ${id} in this report: choose one from `,
        el("a", { href: "solutions.html" }, "all solutions"), ".");
      return;
    }
    const [asked] = found("instruction", id);
    const root = tree.draw(it);
    place.replaceChildren(...[
      heading(id, it, asked), offered(asked),
      el("h2", {}, "Final answer"),
      it.answer.length ? el("p", { class: "text", dir: "auto" }, text(it.answer)) : el("p", { class: "soft" }, "There is none."),
      el("h2", {}, "Judgments"), judged(found("judgment", id)),
      el("h2", {}, "Decision tree"),
      el("p", { class: "note" }, "Steps on the chosen path have a solid line and the words “✓ path”; all others a dashed line."),
      tree.tools(root), root,
      el("h2", {}, "Training sample"), learned(found("sample", id)[0], found("reject", id)[0]),
    ].flat(Infinity).filter(Boolean));
    document.title = document.title.replace(/^Solution[^·]*/, `Solution ${id} `);
  }

  addEventListener("hashchange", () => location.reload());
  show();
})();
