/** By hand over node:http: its `Readable` by `for await`, eventsource-parser, JSON.parse. */
import { once } from "node:events"
import { Agent, type IncomingMessage, request } from "node:http"
import type { Make } from "../../Contestant.ts"
import { requestOf } from "./bodies.ts"
import { feeding } from "./feeding.ts"

const agent = new Agent({ keepAlive: true })

export const make: Make = (target) => async (onText) => {
  const { body, headers, url } = requestOf(target)
  const sent = request(url, { method: "POST", headers, agent })
  sent.end(body)
  const [response] = (await once(sent, "response")) as [IncomingMessage]
  response.setEncoding("utf8")
  const feed = feeding(target.protocol, onText)
  for await (const text of response) {
    const wait = feed(text as string)
    if (wait !== undefined && (await wait)) break
  }
}
