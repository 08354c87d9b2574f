// The page: a conversation, one question at a time.

import { chunks } from "./stream.js";
import { Proposed, Tree, element } from "./tree.js";

const KEY = "toolbench-agent-key";
const at = (id) => document.getElementById(id);
const said = []; // messages so far, as the server is sent them
let running = null; // what stops the question under way

function status(text) {
  at("status").textContent = text;
}

/** The places of one question: what was asked, the answer, the way to it. */
function turn(question) {
  const box = element("article", "turn");
  const asked = element("h2", "", question);
  const answer = element("div", "answer");
  const way = element("section", "way");
  const proposed = new Proposed(), tree = new Tree();
  way.setAttribute("aria-label", "The way to the answer");
  way.append(proposed.box, tree.box);
  const text = element("p", "text");
  const note = element("p", "note quiet", "Searching…");
  answer.append(text, note);
  box.append(asked, answer, way);
  at("turns").append(box);
  at("empty").hidden = true;
  at("again").hidden = false;
  return { box, text, note, proposed, tree };
}

function happened(place, news) {
  if (news.event === "retrieved") place.proposed.add(news.api);
  if (news.event === "step") {
    place.tree.add(news.step);
    place.note.textContent = `Searching… ${steps(place.tree.count)}`;
  }
  if (news.event === "done") {
    place.tree.end(news.path, news.pruned);
    place.box.classList.add(news.outcome);
    place.note.textContent = `${steps(place.tree.count)}, ${news.replies} replies of the model`;
  }
}

function steps(count) {
  return count === 1 ? "1 step" : `${count} steps`;
}

async function ask(question) {
  const place = turn(question);
  running = new AbortController();
  busy(true);
  status("Searching for an answer.");
  place.box.scrollIntoView({ block: "start" });
  const messages = [...said, { role: "user", content: question }];
  let answer = "";
  try {
    for await (const chunk of chunks(messages, sessionStorage.getItem(KEY), running.signal)) {
      if (chunk.toolbench) happened(place, chunk.toolbench);
      answer += chunk.choices[0]?.delta?.content ?? "";
      place.text.textContent = answer;
    }
    said.push(messages.at(-1), { role: "assistant", content: answer });
    status(`Answer: ${answer}`);
  } catch (error) {
    broken(place, error, question);
  } finally {
    running = null;
    busy(false);
  }
}

function broken(place, error, question) {
  place.tree.end([], []);
  const stopped = error.name === "AbortError";
  place.note.textContent = stopped ? "Stopped." : error.message;
  place.note.classList.toggle("error", !stopped);
  status(place.note.textContent);
  at("question").value = question;
  if (error.status === 401) {
    sessionStorage.removeItem(KEY);
    locked(true);
  }
}

function busy(now) {
  const here = document.activeElement;
  // Who reads the tree meanwhile is left there.
  const idle = here === at("stop") || here === document.body;
  at("stop").hidden = !now;
  at("send").hidden = now;
  at("turns").setAttribute("aria-busy", String(now));
  if (now) at("stop").focus();
  else if (idle && at("unlock").hidden) at("question").focus();
}

function locked(now) {
  at("unlock").hidden = !now;
  at("foot").hidden = now;
  if (!running) at(now ? "key" : "question").focus();
}

async function about() {
  const key = sessionStorage.getItem(KEY);
  const answer = await fetch("v1/models", key ? { headers: { Authorization: `Bearer ${key}` } } : {});
  if (!answer.ok) return false;
  const { toolbench } = (await answer.json()).data[0];
  at("about").textContent =
    `${toolbench.apis} APIs (snapshot ${toolbench.snapshot}), model ${toolbench.teacher}, search ${toolbench.method}`;
  return true;
}

async function begin() {
  const health = await (await fetch("health")).json();
  const open = !health.key || sessionStorage.getItem(KEY) !== null;
  locked(!(open && (await about())));
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || running) return;
  at("question").value = "";
  ask(question);
});

at("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("ask").requestSubmit();
});

at("stop").addEventListener("click", () => running?.abort());

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

at("again").addEventListener("click", () => {
  running?.abort();
  said.length = 0;
  at("turns").replaceChildren();
  at("empty").hidden = false;
  at("again").hidden = true;
  status("");
  at("question").focus();
});

at("unlock").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value.trim());
  const known = await about().catch(() => false);
  at("wrong").textContent = known ? "" : "The server does not know this key.";
  if (known) {
    locked(false);
    return;
  }
  sessionStorage.removeItem(KEY);
  at("key").select();
});

begin().catch(() => {
  at("about").textContent = "The server cannot be reached: reload the page when it is back.";
});
