/** Deadlines on real sockets that stall: the error comes, and the connection is closed. */
import { describe, expect, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Stream from "effect/Stream"
import * as Layer from "effect/Layer"
import * as Llm from "effect-rill/Llm"
import * as Deadlines from "effect-rill/policy/Deadlines"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as ChatServer from "../support/ChatServer.ts"

const clients = [
  ["fetch", FetchHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp]
] as const

const never = new Promise<never>(() => {})

const stalls: ReadonlyArray<readonly [which: string, Deadlines.Options, ChatServer.Answer, text: string]> = [
  ["headers", { headers: "300 millis" }, { before: never }, ""],
  ["first-token", { firstToken: "1 second" }, [{ raw: ": ping\n\n" }, "hold"], ""],
  [
    "idle",
    { idle: "300 millis" },
    [ChatServer.text("Hel"), ChatServer.text("lo"), { raw: ": ping\n\n" }, "hold"],
    "Hello"
  ],
  ["total", { total: "1 second" }, [ChatServer.text("Hello"), "hold"], "Hello"]
]

describe.each(clients)("over %s", (_, client) => {
  it.live.each(stalls)("%s", ([which, options, answer, text]) =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => ChatServer.start([answer])),
        (server) => Effect.promise(() => server.stop())
      )
      let got = ""
      const error = yield* Llm.stream("Hi").pipe(
        Deadlines.within(options),
        Stream.runForEach((text) => Effect.sync(() => void (got += text))),
        Effect.flip,
        Effect.provide(OpenAi.layer({ model: "m", api: "chat", baseUrl: server.baseUrl }).pipe(Layer.provide(client)))
      )
      expect(error.reason).toMatchObject({ _tag: "DeadlineExceeded", which })
      expect([got, error.emitted]).toEqual([text, text.length])
      const ended = yield* Effect.promise(() => server.requests[0]!.ended).pipe(Effect.timeout("5 seconds"))
      expect(ended).toBe("closed")
    }).pipe(Effect.scoped)
  )
})
