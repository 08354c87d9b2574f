"use strict";
/* While `toolbench view` serves the report: says what a night is at, and shows the next snapshot when it is there. */
(() => {
  const place = document.getElementById("live");
  const events = new EventSource("live");
  events.onmessage = (event) => {
    const state = JSON.parse(event.data);
    if (state.report !== Number(place.dataset.snapshot)) return location.reload();
    const parts = state.stages.map(({ stage, done, of }) => `${stage} ${done} of ${of} shards`);
    if (state.building) parts.push(`snapshot ${state.snapshot} is being made into pages`);
    if (state.problem) parts.push(state.problem);
    const said = parts.join(" · ");
    if (place.textContent !== said) place.textContent = said;
    return undefined;
  };
})();
