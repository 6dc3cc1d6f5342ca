/** By hand: fetch, eventsource-parser, JSON.parse. What all others are compared with. */
import type { Make } from "../../Contestant.ts"
import { requestOf } from "./bodies.ts"
import { feeding } from "./feeding.ts"

export const make: Make = (target) => async (onText) => {
  const { body, headers, url } = requestOf(target)
  const response = await fetch(url, { method: "POST", headers, body })
  const feed = feeding(target.protocol, onText)
  const utf8 = new TextDecoder()
  for await (const bytes of response.body!) {
    const wait = feed(utf8.decode(bytes, { stream: true }))
    if (wait !== undefined && (await wait)) break
  }
}
