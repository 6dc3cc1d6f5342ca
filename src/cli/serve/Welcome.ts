/**
 * What the server says of itself: its routes, each with a line for a shell.
 *
 * @since 0.1.0
 */

/**
 * The text, in lines of 80 columns at most. `base` is the server's URL.
 *
 * @category rendering
 * @since 0.1.0
 */
export const make = (model: string, base: string): string => {
  const query = (title: string, path: string) => [title, [`curl -N "${base}${path}?prompt=Hello"`]] as const
  const post = (title: string, path: string, body: string) =>
    [title, [`curl -N ${base}${path} \\`, `  -d '${body}'`]] as const
  const routes = [
    query("The text", "/text"),
    query("The text, as server-sent events", "/sse"),
    query("All events, as server-sent events", "/events"),
    query("All events, a line of JSON each", "/ndjson"),
    post(
      `Chat completions, as OpenAI has them: a client takes ${base}/v1`,
      "/v1/chat/completions",
      '{"stream":true,"messages":[{"role":"user","content":"Hello"}]}'
    ),
    post("useChat of the AI SDK", "/api/chat", '{"messages":[{"role":"user","parts":[{"type":"text","text":"Hi"}]}]}'),
    [
      "WebSocket",
      [
        `node -e 'const ws = new WebSocket("${base.replace("http", "ws")}/ws")`,
        `  const ask = { type: "prompt", id: "1", prompt: "Hello" }`,
        `  ws.onopen = () => ws.send(JSON.stringify(ask))`,
        `  ws.onmessage = ({ data }) => {`,
        `    console.log(data)`,
        `    if (/^{"type":"(done|error)"/.test(data)) ws.close()`,
        `  }'`
      ]
    ] as const,
    ["Health", [`curl ${base}/health`]] as const
  ]
  const sections = routes.map(([title, lines]) => `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`)
  return [
    `${model} answers at ${base}\n`,
    ...sections,
    `The first four take a POST too: {"prompt":"Hello"} or {"messages":[…]}.\nAn EventSource is to be closed at its event done.\n`
  ].join("\n")
}
