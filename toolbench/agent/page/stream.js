// What the server sends: events of a stream of chat completions.

/** Asks, and yields each chunk as it comes. Throws an Error whose message can be shown. */
export async function* chunks(messages, key, signal) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const body = JSON.stringify({
    model: "toolbench-agent", messages, stream: true, toolbench: { reasoning: false },
  });
  const answer = await fetch("v1/chat/completions", { method: "POST", headers, body, signal });
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    const error = new Error(told?.error?.message ?? `The server answered with status ${answer.status}.`);
    error.status = answer.status;
    throw error;
  }
  for await (const data of events(answer.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    yield chunk;
  }
  throw new Error("The connection was lost before the answer was complete.");
}

/** The data of each server-sent event; comments are skipped. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) yield part.slice(6);
    }
  }
}
