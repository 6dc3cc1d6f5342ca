/** The bench, as far as it needs no package of its own: its server, what it checks, what it computes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Contestant } from "../bench/Contestant.ts"
import * as arrays from "../bench/contestants/rill/arrays.ts"
import * as async from "../bench/contestants/rill/async.ts"
import * as each from "../bench/contestants/rill/each.ts"
import * as events from "../bench/contestants/rill/events.ts"
import { median, quantile } from "../bench/harness/Statistics.ts"
import { ratio, table } from "../bench/harness/Table.ts"
import { decode, encode, type Plan, type Protocol, protocols } from "../bench/server/Plan.ts"
import { type Abandoned, make, type Server } from "../bench/server/Server.ts"
import * as Stamp from "../bench/server/Stamp.ts"
import { Digest, period, token } from "../bench/server/Text.ts"

let server: Server
let onAbandoned: (abandoned: Abandoned) => void = () => {}

beforeAll(async () => {
  server = await make((abandoned) => onAbandoned(abandoned))
})
afterAll(() => server.close())

const target = (protocol: Protocol, plan: Plan) => ({ protocol, url: `${server.url}/${encode(plan)}` })

const verify = async (contestant: Contestant, tokens: number): Promise<void> => {
  const digest = new Digest()
  await contestant((text) => digest.add(text))
  digest.verify(tokens)
}

const plans: ReadonlyArray<Plan> = [
  { tokens: 100, bytes: 7 },
  { tokens: 500, bytes: 16_384 },
  { tokens: 200, events: 64 },
  { tokens: 50, events: 1 },
  { tokens: 3, every: 1, streams: 2 },
  // The first block twice, and a rest.
  { tokens: 2 * period + 5, bytes: 16_384 }
]

describe.each(protocols)("%s", (protocol) => {
  it.each(plans.map((plan) => [encode(plan), plan] as const))("ours reads all of %s", async (_, plan) => {
    const where = target(protocol, plan)
    await verify(await arrays.make(where, { client: "fetch" }), plan.tokens)
  })

  it.each([
    ["arrays, http", (where) => arrays.make(where, { client: "http" })],
    ["arrays, undici, with policies", (where) => arrays.make(where, { client: "undici", policies: true })],
    ["each", (where) => each.make(where, { client: "fetch" })],
    ["events", (where) => events.make(where, { client: "fetch" })],
    ["async", async.make]
  ] satisfies ReadonlyArray<
    [string, typeof async.make | ((where: Parameters<typeof async.make>[0]) => Promise<Contestant>)]
  >)("%s: reads twice, waits where the reader does, and stops where it wants", async (_, make) => {
    const contestant = await make(target(protocol, { tokens: 40, events: 3 }))
    await verify(contestant, 40)
    const digest = new Digest()
    let isWaiting = false
    await contestant((text) => {
      expect(isWaiting).toBe(false)
      isWaiting = true
      digest.add(text)
      return Promise.resolve().then(() => (isWaiting = false))
    })
    digest.verify(40)

    const long = await make(target(protocol, { tokens: 2000, every: 5 }))
    const abandoned = new Promise<Abandoned>((resolve) => (onAbandoned = resolve))
    let texts = 0
    await long(() => {
      texts++
      return texts < 3 ? undefined : Promise.resolve(true)
    })
    expect(texts).toBe(3)
    expect((await abandoned).sent).toBeGreaterThan(0)
  })
})

it("a connection that closes after its answer abandoned nothing", async () => {
  const abandoned: Array<Abandoned> = []
  onAbandoned = (one) => abandoned.push(one)
  await verify(await arrays.make(target("chat", { tokens: 10, events: 1 }), { client: "http" }), 10)
  server.reset()
  // Once more, after which the server has seen its own close.
  await verify(await arrays.make(target("chat", { tokens: 11, events: 1 }), { client: "http" }), 11)
  expect(abandoned).toEqual([])
})

it("a stamped token tells when it was written", async () => {
  const begin = Stamp.now()
  const contestant = await arrays.make(target("chat", { tokens: 4, every: 1, stamped: 1 }), { client: "http" })
  let text = ""
  await contestant((more) => {
    text += more
    return undefined
  })
  const times = Stamp.read(text)
  expect(times.length).toBe(4)
  const inOrder = [begin, ...times, Stamp.now()]
  expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b))
  expect(() => Stamp.read(" 12")).toThrow("no stamp")
})

it("a plan survives its way through the URL", () => {
  for (const plan of plans) expect(decode(`/${encode(plan)}/v1/chat/completions`)).toEqual(plan)
})

describe("Digest", () => {
  const text = Array.from({ length: 60 }, (_, i) => token(i)).join("")

  it("does not mind how a text is cut", () => {
    for (const size of [1, 2, 7, text.length]) {
      const digest = new Digest()
      for (let i = 0; i < text.length; i += size) digest.add(text.slice(i, i + size))
      digest.verify(60)
    }
  })

  it("finds what is missing, and what is another", () => {
    const short = new Digest()
    short.add(text.slice(1))
    expect(() => short.verify(60)).toThrow(`${text.length - 1} characters, not ${text.length}`)
    const other = new Digest()
    other.add(text.slice(0, 8) + text[9] + text[8] + text.slice(10))
    expect(() => other.verify(60)).toThrow("is another")
  })
})

it("medians are of the middle, quantiles within", () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(quantile([5, 1, 2, 4, 3], 0.5)).toBe(3)
  expect(quantile([1, 2], 1)).toBe(2)
})

describe("Table", () => {
  const outcome = (name: string, ...values: ReadonlyArray<number>) => ({ name, rounds: values.map((cpu) => ({ cpu })) })

  it("compares figures of the same round", () => {
    expect(ratio(outcome("a", 10, 2, 30), outcome("b", 5, 1, 60), "cpu")).toBe(2)
    expect(ratio(outcome("a", 10), outcome("b"), "cpu")).toBeUndefined()
  })

  it("has no column where nobody is compared", () => {
    const columns = [{ key: "cpu", title: "µs", digits: 0, ratio: true }]
    expect(
      table({ columns }, [outcome("ours", 1)], () => undefined)
        .split("\n")[0]!
        .trim()
    ).toBe("µs")
  })

  it("shows medians, ratios, and who failed", () => {
    const outcomes = [
      outcome("hand/fetch", 2, 4, 3),
      outcome("ours", 1, 2, 1.5),
      { name: "theirs", rounds: [], failure: "no text came" }
    ]
    const columns = [{ key: "cpu", title: "µs", digits: 1, ratio: true }]
    const text = table({ columns }, outcomes, (name) => (name === "ours" ? "hand/fetch" : undefined))
    expect(text.split("\n").map((line) => line.trim())).toEqual([
      "µs  × by hand          × beside",
      "hand/fetch  3.0 (2.0–4.0)      1.00×",
      "ours        1.5 (1.0–2.0)      0.50×  0.50× hand/fetch",
      "theirs failed: no text came"
    ])
  })
})
