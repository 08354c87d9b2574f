// The way to an answer: proposed APIs, and the tree of steps as it grows. All text is set as text.

const SOURCES = {
  live: "live", recorded: "recorded", server: "tool server", simulated: "simulated", none: "",
};
const STATUS = {
  1: "no such function", 2: "bad input", 5: "no answer in time", 6: "not found or not working", 7: "unauthorised",
  8: "not subscribed", 9: "too many requests", 10: "rate limit", 11: "an error", 12: "not sent",
};
const GAVE_UP = 4, FAILED = -1;

/** An element with a class and a text. */
export function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}

/** The list of proposed APIs. */
export class Proposed {
  constructor() {
    this.count = 0;
    this.box = element("details", "proposed");
    this.title = element("summary", "", "APIs");
    this.list = element("ol");
    this.box.append(this.title, this.list);
    this.box.hidden = true;
    this.box.open = matchMedia("(min-width: 52rem)").matches;
  }

  add(api) {
    this.count += 1;
    this.box.hidden = false;
    this.title.textContent = this.count === 1 ? "1 API proposed" : `${this.count} APIs proposed`;
    const row = element("li");
    const score = element("span", "score", api.score.toFixed(3));
    score.title = "How near the API is to the question: -1 to 1";
    row.append(score, element("span", "id", api.id), element("span", "quiet", api.description));
    this.list.append(row);
  }
}

/** The tree: each step stands in the list of its parent; a step that comes again is filled in. */
export class Tree {
  constructor() {
    this.box = element("div", "tree");
    this.root = element("ol");
    this.box.append(this.root);
    this.places = new Map([[0, { list: this.root }]]);
    this.count = 0;
  }

  add(step) {
    let place = this.places.get(step.id);
    if (!place) {
      place = this.grow(step);
      this.count += 1;
    }
    const { item } = place;
    item.classList.toggle("waiting", step.function !== null && step.observation === null);
    item.classList.toggle("given-up", step.pruned || step.status === GAVE_UP);
    item.classList.toggle("failed", isFailed(step));
    place.body.replaceChildren(...parts(step));
  }

  grow(step) {
    const parent = this.places.get(step.parent) ?? this.places.get(0);
    const item = element("li");
    const body = element("div", "step");
    item.append(body);
    const tried = parent.list ? parent.list.childElementCount : 0;
    // What goes on from a step stands below it, without a new margin; tries at the same point stand side by side.
    if (!parent.list) {
      parent.list = element("ol");
      parent.item.append(parent.list);
    }
    if (tried) {
      parent.list.classList.add("branches");
      item.prepend(element("p", "again", `Went back: try ${tried + 1} at this point`));
    }
    parent.list.append(item);
    const place = { item, body, list: null };
    this.places.set(step.id, place);
    return place;
  }

  /** The end: which steps led to the answer, which were given up. */
  end(path, pruned) {
    for (const id of pruned) {
      const place = this.places.get(id);
      if (!place) continue;
      place.item.classList.add("given-up");
      if (!place.body.querySelector(".ending")) place.body.append(element("span", "tag abandoned", "given up"));
    }
    for (const id of path) this.places.get(id)?.item.classList.add("chosen");
    for (const { item } of this.places.values()) item?.classList.remove("waiting");
  }
}

function isFailed(step) {
  return step.status === FAILED || (step.function !== "Finish" && step.status !== null && step.status > 0);
}

function parts(step) {
  const found = [];
  if (step.thought) found.push(element("p", "thought", step.thought));
  if (step.function === "Finish") found.push(element("p", "call ending", ending(step)));
  else if (step.function !== null) found.push(...call(step));
  if (!found.length) found.push(element("p", "thought", "(nothing was said)"));
  return found;
}

function ending(step) {
  if (step.status === GAVE_UP) return "Gave up here";
  if (step.status === null) return "Finishes";
  return step.status === 3 ? "Answered" : "Could not finish";
}

function call(step) {
  const line = element("p", "call");
  line.append(element("span", "", "Called "), element("code", "", step.function));
  const found = [line];
  if (step.arguments && step.arguments !== "{}") found.push(element("code", "arguments", step.arguments));
  if (step.observation === null) return found;
  const box = element("details", "response");
  const title = element("summary");
  title.append(element("span", "", step.status === 0 ? "Response" : `Failed: ${STATUS[step.status] ?? step.status}`));
  if (SOURCES[step.source]) title.append(element("span", `tag ${step.source}`, SOURCES[step.source]));
  box.append(title, text(step.observation));
  box.open = step.status !== 0;
  found.push(box);
  return found;
}

function text(observation) {
  const box = element("pre", "", observation);
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Response");
  return box;
}
