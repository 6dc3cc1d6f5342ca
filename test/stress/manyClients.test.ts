/** A thousand clients of one process at once: each gets every token of its own, in order. */
import * as Http from "node:http"
import { expect, it } from "vitest"
import * as HttpApp from "../support/HttpApp.ts"
import * as SseProcess from "../support/SseProcess.ts"

const clients = 1000
const tokens = 200

/** Reads an answer to its end, and tells the tokens it had, in order. */
const read = (url: string, onHead: () => void): Promise<ReadonlyArray<number>> =>
  new Promise((resolve, reject) => {
    Http.get(url, { agent: false }, (response) => {
      onHead()
      let body = ""
      response.setEncoding("utf8").on("data", (piece: string) => (body += piece))
      response.on("error", reject)
      response.on("end", () => {
        const told = [...body.matchAll(/^id: (\d+)\ndata: {"_tag":"TextDelta","text":"(\d+) x*"}\n\n/gm)]
        if (!body.endsWith("event: done\ndata: [DONE]\n\n")) reject(new Error("the answer has no end"))
        if (told.some(([, id, number]) => Number(id) !== Number(number) + 1)) reject(new Error("an id is wrong"))
        resolve(told.map(([, , number]) => Number(number)))
      })
    }).on("error", reject)
  })

it(`${clients} clients × ${tokens} tokens`, async () => {
  await using server = await SseProcess.start()
  // Warm: what the first of all answers needs is not what each one needs.
  await read(`${server.url}/node/${tokens}/20/paced`, () => {})
  const idle = await server.sample()
  let heads = 0
  const begun = performance.now()
  const answers = Array.from({ length: clients }, () =>
    read(`${server.url}/node/${tokens}/20/paced`, () => void heads++)
  )
  await HttpApp.until("half of the clients are being answered", () => heads > clients / 2, 60)
  const busy = await server.sample()
  const told = await Promise.all(answers)
  const seconds = (performance.now() - begun) / 1000

  const expected = Array.from({ length: tokens }, (_, n) => n)
  for (const one of told) expect(one).toEqual(expected)
  const after = await server.sample()
  expect(after).toMatchObject({ open: 0, pulled: (clients + 1) * tokens })
  const perClient = (from: number, to: number) => ((to - from) / busy.open / 1024).toFixed(1)
  console.log(
    `${clients} clients × ${tokens} tokens in ${seconds.toFixed(1)} s; ${busy.open} open: ${perClient(idle.held, busy.held)} KiB held each (resident: ${perClient(idle.rss, busy.rss)} KiB); after: ${perClient(idle.held, after.held)} KiB each`
  )
}, 120_000)
