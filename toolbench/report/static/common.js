"use strict";
/* What all pages share: data files handed over by script, elements made of text and nothing else, hashes of ids.

   Data files are scripts because a page opened from a file may not fetch. Each line of theirs calls `toolbench.data`. */
const toolbench = (() => {
  const held = new Map();
  const loading = new Map();

  /* A data file hands over what belongs to a key; of one kind and key there may be several. */
  function data(kind, key, value) {
    const name = `${kind} ${key}`;
    if (!held.has(name)) held.set(name, []);
    held.get(name).push(value);
  }

  function found(kind, key) {
    return held.get(`${kind} ${key}`) || [];
  }

  /* Load a data file once. It is named by us, never by data: a folder, and a number or a start of ASCII letters. */
  function load(path) {
    if (!/^data\/[a-z]+(\/[a-z]+)?\/[a-z0-9-]+\.js$/.test(path)) return Promise.reject(new Error(`No data file: ${path}`));
    if (!loading.has(path)) {
      loading.set(path, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = path;
        script.onload = () => { script.remove(); resolve(); };
        script.onerror = () => { script.remove(); loading.delete(path); reject(new Error(`${path} cannot be loaded.`)); };
        document.head.append(script);
      }));
    }
    return loading.get(path);
  }

  const TABLE = new Uint32Array(256).map((_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });

  /* CRC-32 of the text as UTF-8, as zlib has it. */
  function crc32(text) {
    let sum = 0xffffffff;
    for (const byte of new TextEncoder().encode(text)) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
    return (sum ^ 0xffffffff) >>> 0;
  }

  /* Load the file of `folder` that holds what belongs to `key`; the page's <main> says how many files there are. */
  function bucket(folder, key) {
    const count = Number(document.getElementById("main").dataset[folder]);
    const number = (crc32(key) & (count - 1)) >>> 0;
    return load(`data/${folder}/${number.toString(16).padStart(4, "0")}.js`);
  }

  /* Control and direction characters could hide text or reorder it. */
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  const visible = (text) => String(text).replace(/\r\n?/g, "\n").replace(HIDDEN, "\ufffd");

  /* An element. `attributes` are ours; what comes from data is given as children, which are text or elements, or as
     `href` made by `link`. */
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, visible(value));
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(visible(child)));
    }
    return node;
  }

  /* A text of a data file: itself, or [its beginning, its length] where it was cut. */
  function text(value) {
    if (!Array.isArray(value)) return [value];
    return [value[0], el("span", { class: "cut" }, ` … ${number(value[1] - value[0].length)} more characters`)];
  }

  const number = (value) => Number(value).toLocaleString("en-US");
  const link = (page, id) => `${page}#${id}`;
  const solution = (id, ...children) => el("a", { href: link("solution.html", encodeURIComponent(id)) }, ...children);
  const api = (id, ...children) => el("a", { href: link("catalogue.html", `api=${encodeURIComponent(id)}`) }, ...children);

  return Object.freeze({ data, found, load, bucket, crc32, el, text, number, solution, api });
})();
