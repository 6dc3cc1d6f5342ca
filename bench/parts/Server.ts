/** Serves made-up chat completions from a process of its own, so that its CPU is not counted. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const chunk = (delta: unknown, finish: string | null, more: object = {}) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0",
    object: "chat.completion.chunk",
    created: 1771434740,
    model: "gpt-4o-mini-2024-07-18",
    service_tier: "default",
    system_fingerprint: "fp_e8236260a9",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage: null,
    ...more
  })}\n\n`

const words = ["The", " river", " ran", ' "fast"', " and", " the", " old", " mill", " turned", ".\n", " naïve", " 雨"]

/** The model's name says how many tokens, and how many events to a write: `20000x1`. */
createServer((request, response) => {
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (text: string) => (body += text))
  request.on("end", async () => {
    const [tokens, burst] = (JSON.parse(body) as { model: string }).model.split("x").map(Number) as [number, number]
    response.socket!.setNoDelay(true)
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(chunk({ role: "assistant", content: "", refusal: null }, null))
    for (let i = 0; i < tokens; i += burst) {
      let events = ""
      for (let j = i; j < Math.min(tokens, i + burst); j++) {
        events += chunk({ content: words[j % words.length] }, null, { obfuscation: "abcdefghijk".slice(0, j % 11) })
      }
      if (!response.write(events)) await new Promise((drained) => response.once("drain", drained))
      else await new Promise((turn) => setImmediate(turn))
    }
    response.write(chunk({}, "stop"))
    response.write(chunk({}, null, { choices: [], usage: { prompt_tokens: 9, completion_tokens: tokens } }))
    response.end("data: [DONE]\n\n")
  })
}).listen(0, "127.0.0.1", function (this: { address: () => unknown }) {
  process.send!(`http://127.0.0.1:${(this.address() as AddressInfo).port}/v1`)
})
