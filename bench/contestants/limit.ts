/**
 * How little it can be: the bytes of node:http by events, searched for the one field of chat completions.
 * It is no parser, and knows that a delta's text is after `"content":"`.
 */
import { Agent, request } from "node:http"
import type { Make } from "../Contestant.ts"
import { requestOf } from "./hand/bodies.ts"

const agent = new Agent({ keepAlive: true })
const before = '"content":"'

export const make: Make = (target) => (onText) =>
  new Promise((resolve, reject) => {
    const { body, headers, url } = requestOf(target)
    const sent = request(url, { method: "POST", headers, agent }, (response) => {
      let pending = ""
      const read = (text: string): void => {
        pending += text
        let start = 0
        for (let end = pending.indexOf("\n\n"); end >= 0; end = pending.indexOf("\n\n", start)) {
          const from = pending.indexOf(before, start) + before.length
          start = end + 2
          if (from < before.length || from > end) continue
          let to = pending.indexOf('"', from)
          while (pending[to - 1] === "\\" && pending[to - 2] !== "\\") to = pending.indexOf('"', to + 1)
          const raw = pending.slice(from, to)
          const delta = raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw
          const wait = delta === "" ? undefined : onText(delta)
          if (wait === undefined) continue
          response.pause()
          wait.then((stop) => (stop ? response.destroy() : response.resume()), reject)
        }
        pending = pending.slice(start)
      }
      response.setEncoding("utf8")
      response.on("data", read)
      response.on("close", resolve)
    })
    sent.on("error", reject)
    sent.end(body)
  })
