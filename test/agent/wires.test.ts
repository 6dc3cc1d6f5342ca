/** The same agent, with both strategies, over every wire: what it tells, what it asks, and that nothing stays open. */
import { describe, expect, it } from "@effect/vitest"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Agent from "effect-rill/agent/Agent"
import { Llm } from "effect-rill/Llm"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import type { Dialect, Part } from "effect-rill/testing/Dialect"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { checkOrder, collect, errorOf, inShort, seconds } from "../support/agentLaws.ts"

const { chunk, linger, reset, status } = FaultyWire

type Make = Effect.Effect<Llm["Service"], never, HttpClient.HttpClient>
const apiKey = Redacted.make("sk-wires-0123456789")

const wires: ReadonlyArray<readonly [string, Make, Dialect]> = [
  ["openai-chat", OpenAi.make({ model: "model-1", apiKey, api: "chat" }), OpenAiChat.dialect],
  ["openai-responses", OpenAi.make({ model: "model-1", apiKey, api: "responses" }), OpenAiResponses.dialect],
  ["anthropic-messages", Anthropic.make({ model: "model-1", apiKey }), AnthropicMessages.dialect],
  ["google-gemini", Google.make({ model: "model-1", apiKey }), GoogleGemini.dialect],
  ["ollama-chat", Ollama.make({ model: "model-1" }), OllamaChat.dialect]
]

const toolkit = Toolkit.make(
  Tool.make("weather", {
    parameters: Schema.Struct({ city: Schema.String }),
    success: Schema.Struct({ degrees: Schema.Finite }),
    failure: Schema.String
  })
)
const handlers = toolkit.toLayer({
  weather: ({ city }) => (city === "Atlantis" ? Effect.fail("no such city: 雨") : Effect.succeed({ degrees: 20 }))
})

/** What the model wants in a turn, as either strategy has it said. */
interface Said {
  readonly thought?: string
  readonly calls?: ReadonlyArray<readonly [name: string, input: unknown]>
  readonly answer?: string
}

type Strategy = "tools" | "react"

let ids = 0

const partsOf: Readonly<Record<Strategy, (said: Said) => ReadonlyArray<Part>>> = {
  tools: ({ answer, calls = [], thought }) => [
    ...[thought, answer].flatMap((said): ReadonlyArray<Part> =>
      said === undefined ? [] : [{ type: "text", deltas: [said] }]
    ),
    ...calls.map(([name, input]): Part => {
      const json = JSON.stringify(input)
      return { type: "tool-call", id: `call_${++ids}`, name, deltas: [json.slice(0, 5), json.slice(5)] }
    })
  ],
  react: ({ answer, calls = [], thought }) => {
    const text = [
      ...(thought === undefined ? [] : [`Thought: ${thought}`]),
      ...calls.map(([name, input]) => `Action: ${name}\nAction Input: ${JSON.stringify(input)}`),
      ...(answer === undefined ? [] : [`Final Answer: ${answer}`])
    ].join("\n")
    return [{ type: "text", deltas: text.match(/[^]{1,7}/gu) ?? [] }]
  }
}

const usage = { inputTokens: 10, outputTokens: 5 }

const exchange = (dialect: Dialect, strategy: Strategy, said: Said): FaultyWire.Exchange => {
  const parts = partsOf[strategy](said)
  const isCalling = parts.some(({ type }) => type === "tool-call")
  const answer = dialect.answer({ parts, finish: isCalling ? "tool-calls" : "stop", usage })!
  const last = [answer.semanticEnd, answer.usage, answer.wireEnd].filter((frame) => frame !== undefined)
  return [
    status(200, { "content-type": dialect.contentType }),
    ...[...answer.frames, ...last].map((frame) => chunk(frame))
  ]
}

type Options = Omit<Agent.Options<Toolkit.Tools<typeof toolkit>>, "toolkit" | "strategy">

describe.each(wires)("%s", (name, make, dialect) => {
  describe.each(["tools", "react"] as const)("%s", (strategy) => {
    const agentOn = Effect.fnUntraced(function* (script: ReadonlyArray<FaultyWire.Exchange>, options: Options = {}) {
      const { client, wire } = yield* FaultyWire.make(script)
      const llm = yield* Effect.provideService(make, HttpClient.HttpClient, client)
      const fiber = yield* collect(Agent.make({ toolkit, strategy, ...options }).stream("Hi")).pipe(
        Effect.provide(handlers),
        Effect.provideService(Llm, llm),
        Effect.provideService(EventStream.Settling, Duration.zero),
        Effect.forkChild
      )
      yield* seconds(2)
      const told = yield* Fiber.join(fiber)
      checkOrder(told)
      expect(yield* wire.open, "open connections").toBe(0)
      return { ...told, requests: yield* wire.requests, trace: yield* wire.trace }
    })
    const say = (said: Said) => exchange(dialect, strategy, said)

    const script = [
      say({ thought: "I look.", calls: [["weather", { city: "Bern" }]] }),
      say({ thought: "And there.", calls: [["weather", { city: "Atlantis" }]] }),
      say({ calls: [["wether", { city: "Bern" }]] }),
      say({ calls: [["weather", { town: "Bern" }]] }),
      say({ answer: "It is warm: 雨 😀." })
    ]

    it.effect("calls, failures, mistakes and an answer, however the bytes are cut", () =>
      Effect.gen(function* () {
        const cuts = [
          (one: FaultyWire.Exchange) => one,
          (one: FaultyWire.Exchange) => FaultyWire.cutEvery(one, 1),
          (one: FaultyWire.Exchange) => FaultyWire.cutBySeed(one, 7),
          (one: FaultyWire.Exchange) => FaultyWire.cutEvery(one, 1_000_000)
        ]
        for (const cut of cuts) {
          const { events, requests } = yield* agentOn(script.map(cut))
          const told = inShort(events).filter((line) => !/^(thought|answer) token /.test(line))
          expect(told).toEqual([
            "thought I look.",
            'action weather {"city":"Bern"}',
            'observation {"degrees":20}',
            "thought And there.",
            'action weather {"city":"Atlantis"}',
            "error no such city: 雨",
            'action wether {"city":"Bern"}',
            "error There is no such tool. The tools are: weather.",
            'action weather {"town":"Bern"}',
            `error Invalid parameters for tool 'weather': Missing key\n  at ["city"]`,
            "final It is warm: 雨 😀."
          ])
          // Each turn shows the model all that it was told before.
          const shown = ["degrees", "no such city: 雨", "There is no such tool", "Missing key"]
          requests.forEach(({ body }, index) => {
            shown.forEach((words, i) => expect(body.includes(words), `${words} in request ${index}`).toBe(i < index))
          })
          expect(requests.length).toBe(5)
          if (strategy === "tools") {
            expect(events.at(-1)).toMatchObject({
              usage: { source: "exact", inputTokens: 50, outputTokens: 25 },
              steps: 5
            })
          }
        }
      })
    )

    if (strategy === "tools") {
      it.effect("calls side by side, and an input that is no JSON", () =>
        Effect.gen(function* () {
          const calls = ["Bern", "Atlantis", "Basel"].map((city) => ["weather", { city }] as const)
          const two = [say({ thought: "I look.", calls }), say({ answer: "Warm." })]
          const { events, requests } = yield* agentOn(two)
          expect(inShort(events).filter((line) => /^(obs|err)/.test(line))).toEqual([
            'observation {"degrees":20}',
            "error no such city: 雨",
            'observation {"degrees":20}'
          ])
          expect(requests.length).toBe(2)
          // Google's and Ollama's wires carry inputs as values: they have none that is not JSON.
          if (name === "google-gemini" || name === "ollama-chat") return
          const broken: Part = { type: "tool-call", id: "call_x", name: "weather", deltas: ['{"city": '] }
          const answer = dialect.answer({ parts: [broken], finish: "tool-calls", usage })!
          const last = [answer.semanticEnd, answer.usage, answer.wireEnd].filter((frame) => frame !== undefined)
          const head = status(200, { "content-type": dialect.contentType })
          const first = [head, ...[...answer.frames, ...last].map((frame) => chunk(frame))]
          const mended = yield* agentOn([first, say({ answer: "Sorry." })])
          expect(inShort(mended.events)).toEqual([
            'action weather "{\\"city\\": "',
            "error Invalid parameters for tool 'weather': Expected object",
            "answer token Sorry.",
            "final Sorry."
          ])
        })
      )
    } else {
      it.effect("is cut off before its fiction: the connection is closed, and no more is read", () =>
        Effect.gen(function* () {
          const fiction = say({
            calls: [["weather", { city: "Bern" }]],
            answer: `Observation: ${"it is night. ".repeat(50)}`
          })
          const { requests, trace } = yield* agentOn([[...fiction.slice(0, -2), linger], say({ answer: "Warm." })])
          const first = trace.filter(({ request }) => request === 0)
          expect(first.at(-1)?.what).toBe("Closed")
          expect(first.filter(({ what }) => what === "Read").length).toBeLessThan(fiction.length / 2)
          expect(requests[1]!.body).not.toContain("night")
        })
      )
    }

    it.effect("a last turn without tools", () =>
      Effect.gen(function* () {
        const call = say({ calls: [["weather", { city: "Bern" }]] })
        const { events, requests } = yield* agentOn([call, say({ answer: "Enough." })], {
          maxSteps: 1,
          onLimit: "answer"
        })
        expect(events.at(-1)).toMatchObject({ content: "Enough.", steps: 2 })
        expect(requests[1]!.body).toContain(strategy === "react" ? "Final Answer now" : "Answer now")
      })
    )

    it.effect("a turn that breaks: no tool runs, and the run can go on from its transcript", () =>
      Effect.gen(function* () {
        const [first, second, ...rest] = script
        // A model that writes has asked for nothing yet; one that calls lacks only its good end.
        const broken = [...second!.slice(0, strategy === "react" ? 3 : -2), reset()]
        const { events, exit } = yield* agentOn([first!, broken])
        const error = errorOf({ events, exit })
        expect(error.reason).toMatchObject({ _tag: "ModelFailed", error: { reason: { _tag: "Disconnected" } } })
        expect(events.filter(({ _tag }) => _tag === "Action").length).toBe(1)
        const { client } = yield* FaultyWire.make([second!, ...rest])
        const llm = yield* Effect.provideService(make, HttpClient.HttpClient, client)
        const { content } = yield* Agent.make({ toolkit, strategy })
          .run(error.transcript)
          .pipe(
            Effect.provide(handlers),
            Effect.provideService(Llm, llm),
            Effect.provideService(EventStream.Settling, Duration.zero)
          )
        expect(content).toBe("It is warm: 雨 😀.")
      })
    )
  })
})
