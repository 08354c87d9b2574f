"use strict";
/* Finds documents by words and facets, and shows them page by page. What is sought stands in the address, so that a
   list can be linked to. */
const searching = (() => {
  const { load, found, el, number } = toolbench;
  const SHOWN = 25;
  const LONGEST = 40;

  function tokens(text) {
    const all = text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
    return [...new Set(all.map((word) => [...word].slice(0, LONGEST).join("")))];
  }

  function start(word, width) {
    const begin = [...word].slice(0, width).join("");
    return /^[a-z0-9]*$/.test(begin) ? `w-${begin}` : `x-${String(toolbench.crc32(begin) & 63).padStart(2, "0")}`;
  }

  function sums(differences) {
    let at = 0;
    return differences.map((step) => (at += step));
  }

  class Finder {
    /* `name`: of the index; `row`: makes a table row of a document; `heads`: of the columns. */
    constructor(name, heads, row, jump) {
      this.name = name;
      this.heads = heads;
      this.row = row;
      this.jump = jump || (() => Promise.resolve(null));
      this.form = document.getElementById("finder");
      this.latest = 0;
    }

    async open() {
      if (!this.form) return;
      await load(`data/${this.name}/index.js`);
      [this.index] = found("index", this.name);
      this.starts = new Set(this.index.starts);
      this.numbers = new Map();
      for (const [facet, values] of Object.entries(this.index.facets)) {
        const select = document.getElementById(`by-${facet}`);
        for (const [value, count] of values) {
          this.numbers.set(`${facet}:${value}`, this.numbers.size);
          select.append(el("option", { value }, `${value} (${number(count)})`));
        }
      }
      this.form.hidden = false;
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("reset", () => setTimeout(() => this.say(1)));
      let waiting = 0;
      this.form.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => this.say(1), 150);
      });
      addEventListener("hashchange", () => this.show());
      await this.show();
    }

    /* Put what the form holds into the address, which shows it. */
    say(page) {
      const wanted = new URLSearchParams();
      for (const [name, value] of new FormData(this.form)) if (value) wanted.set(name, value);
      if (page > 1) wanted.set("page", page);
      history.replaceState(null, "", `#${wanted}`);
      dispatchEvent(new Event("hashchange"));
    }

    async show() {
      const turn = ++this.latest;
      const wanted = new URLSearchParams(location.hash.slice(1));
      for (const field of this.form.elements) {
        if (field.name && field !== document.activeElement) field.value = wanted.get(field.name) || "";
      }
      const page = Math.max(1, Math.floor(Number(wanted.get("page"))) || 1);
      const query = wanted.get("q") || "";
      const direct = await this.jump(query.trim());
      const documents = await this.find(query, wanted);
      const total = documents ? documents.length : this.index.count;
      const last = Math.max(1, Math.ceil(total / SHOWN));
      const first = (Math.min(page, last) - 1) * SHOWN;
      const shown = documents
        ? documents.slice(first, first + SHOWN)
        : Array.from({ length: Math.min(SHOWN, total - first) }, (_, n) => first + n);
      await Promise.all([...new Set(shown.map((n) => Math.floor(n / this.index.page)))].map(
        (n) => load(`data/${this.name}/docs/${n}.js`)));
      if (turn !== this.latest) return;
      const rows = shown.map((n) => found("docs", Math.floor(n / this.index.page))[0][n % this.index.page]);
      this.tell(query, total, direct);
      this.list(rows);
      this.pages(Math.min(page, last), last);
    }

    /* The documents that hold every word and every facet, those with the words in a name first; null: all of them. */
    async find(query, wanted) {
      let kept = null;
      const strong = new Map();
      const lists = [];
      for (const facet of Object.keys(this.index.facets)) {
        const value = wanted.get(facet);
        if (!value) continue;
        const place = this.numbers.get(`${facet}:${value}`);
        if (place === undefined) return [];
        await load(`data/${this.name}/facets/${place}.js`);
        lists.push(sums(found("facet", `${facet}:${value}`)[0]));
      }
      for (const word of tokens(query)) {
        if (this.index.common.includes(word)) continue;
        const hits = await this.of(word);
        for (const hit of hits) if (hit & 1) strong.set(hit >>> 1, (strong.get(hit >>> 1) || 0) + 1);
        lists.push([...new Set(hits.map((hit) => hit >>> 1))]);
      }
      for (const list of lists.sort((a, b) => a.length - b.length)) {
        const these = new Set(list);
        kept = kept === null ? [...these] : kept.filter((n) => these.has(n));
      }
      return kept && kept.sort((a, b) => (strong.get(b) || 0) - (strong.get(a) || 0) || a - b);
    }

    /* All words that begin with this one; a word shorter than what files are named by has to be the whole word. */
    async of(word) {
      const name = start(word, this.index.width);
      if (!this.starts.has(name)) return [];
      await load(`data/${this.name}/words/${name}.js`);
      if ([...word].length < this.index.width) return sums((found("word", word)[0]) || []);
      const hits = [];
      for (const other of found("listed", name)[0]) {
        if (other.startsWith(word)) hits.push(...sums(found("word", other)[0]));
      }
      return hits;
    }

    tell(query, total, direct) {
      const left = tokens(query).filter((word) => this.index.common.includes(word));
      const said = [`${number(total)} of ${number(this.index.count)} found.`];
      if (left.length) said.push(` Nearly everywhere, and left out: ${left.join(", ")}.`);
      document.getElementById("count").replaceChildren(...(direct ? [direct, " "] : []), ...said);
    }

    list(rows) {
      const place = document.getElementById("results");
      if (!rows.length) return place.replaceChildren();
      const heads = this.heads.map(([name, kind]) => el("th", { scope: "col", class: kind, role: "columnheader" }, name));
      const body = el("tbody", { role: "rowgroup" }, rows.map(this.row));
      // On a narrow screen the cells stand below each other, each with its name; roles keep it a table for all that.
      for (const row of body.rows) {
        row.setAttribute("role", "row");
        for (const cell of row.cells) {
          cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
          cell.dataset.head = this.heads[cell.cellIndex][0];
        }
      }
      const table = el("table", { class: "list", role: "table" }, el("caption", { class: "sr" }, "What was found"),
        el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), body);
      return place.replaceChildren(el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "What was found" }, table));
    }

    pages(page, last) {
      const place = document.getElementById("pager");
      place.hidden = last < 2;
      const to = (n, name) => {
        const button = el("button", { type: "button", disabled: n < 1 || n > last || n === page }, name);
        button.addEventListener("click", () => { this.say(n); document.getElementById("count").scrollIntoView(); });
        return button;
      };
      place.replaceChildren(to(1, "First"), to(page - 1, "Back"), el("span", {}, `Page ${number(page)} of ${number(last)}`),
        to(page + 1, "Next"), to(last, "Last"));
    }
  }

  return Object.freeze({ Finder });
})();
