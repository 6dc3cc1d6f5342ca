// Answers over HTTP without Effect: a handler of web requests, as Hono, Next, Bun, Deno and workers take it.
// `deno serve` and `bun` serve this file as it is. A client that leaves stops the model.
import * as Rill from "effect-rill/promise/Rill"

const rill = Rill.fromOpenAi("gpt-4o-mini", { timeout: "5 minutes" })

const fetch = (request: Request): Response | Promise<Response> => {
  const { pathname, searchParams } = new URL(request.url)
  const prompt = searchParams.get("prompt") ?? "Tell me a story"
  const { signal } = request
  switch (pathname) {
    case "/story": // for EventSource, and curl -N
      return rill.stream(prompt).toResponse({ signal })
    case "/text":
      return rill.stream(prompt).toResponse({ format: "text", signal })
    case "/api/chat": // for useChat of the AI SDK
      return rill.events(prompt).toResponse({ format: "ui-messages", signal })
    default:
      return new Response("There are /story, /text and /api/chat.\n", { status: 404 })
  }
}

export default { fetch }
