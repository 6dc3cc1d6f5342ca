/**
 * The contract suite fails on providers that are broken on purpose: every check of it on at least one.
 */
import * as Prompt from "effect/ai/Prompt"
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Llm } from "effect-rill/Llm"
import { DeadlineExceeded, Disconnected, LlmError, Malformed, ProviderFailed, RateLimited } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Deadlines from "effect-rill/policy/Deadlines"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as HttpProvider from "effect-rill/provider/HttpProvider"
import * as OpenAiChatDialect from "effect-rill/testing/dialect/OpenAiChat"
import * as StreamResponse from "../../src/testing/internal/StreamResponse.ts"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { describe, expect, it } from "vitest"

type Make = LlmContract.Options["make"]
type Protocol = typeof OpenAiChat.protocol
type Events = Stream.Stream<LlmEvent, LlmError>

const key = "sk-broken-0123456789"

// -----------------------------------------------------------------------------
// where to break it
// -----------------------------------------------------------------------------

const provider = (protocol: Protocol): Make =>
  HttpProvider.make({
    provider: "broken",
    model: "model-1",
    protocol,
    url: "http://localhost/v1/chat/completions",
    key: { header: "authorization", scheme: "Bearer ", value: Redacted.make(key) },
    headers: {}
  })

const sound = provider(OpenAiChat.protocol)

const service = (change: (events: Events) => Events): Make =>
  Effect.map(sound, (llm): Llm["Service"] => ({ events: (request) => change(llm.events(request)) }))

const step = (change: (sound: Protocol["decoder"]["step"]) => Protocol["decoder"]["step"]): Make =>
  provider({
    ...OpenAiChat.protocol,
    // Each frame goes through the step: none is told by what the sound one says of those that repeat.
    decoder: { ...stepwise, step: change(OpenAiChat.decoder.step) }
  })

const { repeats: _, ...stepwise } = OpenAiChat.decoder

const eachEvent = (change: (event: LlmEvent) => ReadonlyArray<LlmEvent>): Make =>
  service((events) => Stream.flatMap(events, (event) => Stream.fromIterable(change(event))))

type Changes = { readonly [K in keyof LlmError]?: LlmError[K] | undefined }

const eachError = (change: (error: LlmError) => Changes): Make =>
  service(
    Stream.mapError((error) => {
      const { emitted, model, phase, reason, requestId, retryAfter, shouldRetry, usage } = error
      const fields = {
        provider: error.provider,
        emitted,
        model,
        phase,
        reason,
        requestId,
        retryAfter,
        shouldRetry,
        usage
      }
      const changed = Object.entries({ ...fields, ...change(error) }).filter(([, value]) => value !== undefined)
      return new LlmError(Object.fromEntries(changed) as unknown as ConstructorParameters<typeof LlmError>[0])
    })
  )

const client = (change: (client: HttpClient.HttpClient) => HttpClient.HttpClient): Make =>
  Effect.flatMap(HttpClient.HttpClient, (client) => Effect.provideService(sound, HttpClient.HttpClient, change(client)))

type Body = Stream.Stream<Uint8Array, HttpClientError.HttpClientError>

const body = (change: (body: Body) => Body): Make =>
  client(
    HttpClient.transformResponse(
      Effect.map((response) =>
        StreamResponse.make(response.request, {
          status: response.status,
          headers: response.headers,
          body: change(response.stream)
        })
      )
    )
  )

const chunks = (change: (chunk: Uint8Array) => Uint8Array): Make => body(Stream.map(change))

// -----------------------------------------------------------------------------
// how
// -----------------------------------------------------------------------------

interface Broken {
  readonly make: Make
  /** The titles of checks that must fail, or their beginnings with `…`. */
  readonly breaks: ReadonlyArray<string>
}

const finished = (reason: "stop" | "other"): LlmEvent => ({
  _tag: "Finished",
  reason,
  usage: { source: "exact", inputTokens: 11, outputTokens: 7 }
})

const broken: Readonly<Record<string, Broken>> = {
  "loses text": {
    make: eachEvent((event) => (event._tag === "TextDelta" && event.text.startsWith(" upon") ? [] : [event])),
    breaks: ["a whole answer succeeds, with its text as it was sent"]
  },
  "has no Started": {
    make: eachEvent((event) => (event._tag === "Started" ? [] : [event])),
    breaks: ["an answer is one Started, its deltas, and one Finished, which is the last"]
  },
  "knows no finish reason": {
    make: eachEvent((event) => (event._tag === "Finished" ? [{ ...event, reason: "other" }] : [event])),
    breaks: [
      "an answer that ends by stop is complete, and says so",
      "an answer that ends by length is complete, and says so",
      "an answer that ends by content-filter is complete, and says so",
      "a tool call ends its turn with tool-calls",
      "an answer that a filter withheld fails the text view"
    ]
  },
  "takes an answer of nothing for an error": {
    make: service((events) =>
      Stream.unwrap(
        Effect.map(Stream.runCollect(events), (all) =>
          all.some((event) => event._tag === "TextDelta")
            ? Stream.fromIterable(all)
            : Stream.fail(
                new LlmError({
                  reason: new Malformed({ message: "empty" }),
                  provider: "broken",
                  phase: "before-output",
                  emitted: 0
                })
              )
        )
      )
    ),
    breaks: ["an answer without any text is complete, and empty", "what has come is told at once, not when more comes"]
  },
  "takes the first frame for the provider's last word": {
    make: step((sound) => (state, frame, out) => {
      const reason = sound(state, frame, out)
      if (state.end === "none") state.end = "semantic"
      return reason
    }),
    breaks: ["a body that ends before the provider's last word, at any byte, is Truncated"]
  },
  "calls a truncated answer disconnected": {
    make: eachError((error) =>
      error.reason._tag === "Truncated" ? { reason: new Disconnected({ message: "gone" }) } : {}
    ),
    breaks: ["a body that ends within the provider's last word is Truncated, or complete with a Finished"]
  },
  "takes a failure before the first token for an empty answer": {
    make: service(
      Stream.catchIf(
        (error) => error.emitted === 0,
        () => Stream.make<[LlmEvent, LlmEvent]>({ _tag: "Started" }, finished("stop"))
      )
    ),
    breaks: [
      "no body at all is a failure",
      "an error before any output fails, as before-output",
      "a connection that breaks after the head is Disconnected, before-output",
      "no connection is Unreachable, in the phase request",
      "a page of a proxy under HTTP 200 is a failure"
    ]
  },
  "knows no end but [DONE]": {
    make: step((sound) => (state, frame, out) => {
      const reason = sound(state, frame, out)
      if (state.end === "semantic") state.end = "none"
      return reason
    }),
    breaks: [
      "the provider's last word, and the end of the body without the wire's, complete the answer",
      "the provider's last word alone completes the answer within 1 s, though the body stays open"
    ]
  },
  "takes the finish reason for the wire's end": {
    make: step((sound) => (state, frame, out) => {
      const reason = sound(state, frame, out)
      if (state.end === "semantic") state.end = "wire"
      return reason
    }),
    breaks: [
      "usage that comes within 1 s of the last word is read",
      "an error after the provider's last word still fails"
    ]
  },
  "skips what it does not understand, errors too": {
    make: step((sound) => (state, frame, out) => {
      sound(state, frame, out)
      return undefined
    }),
    breaks: [
      "an error in the middle of a stream fails it, after what came before",
      "a frame that is broken is Malformed, after what came before",
      "a failure in the stream releases the connection, though the body stays open"
    ]
  },
  "takes a broken connection for the end of the body": {
    make: body(Stream.catchCause(() => Stream.empty)),
    breaks: ["a connection that breaks in the middle is Disconnected, after what came before"]
  },
  "takes every bad status for a fault of the provider's": {
    make: provider({ ...OpenAiChat.protocol, error: () => new ProviderFailed({ message: "failed" }) }),
    breaks: ["HTTP 400 is I…", "HTTP 401 is A…", "HTTP 403 is…", "HTTP 404 is N…", "HTTP 429 is R…", "HTTP 503 is O…"]
  },
  "takes every bad status for a rate limit": {
    make: provider({ ...OpenAiChat.protocol, error: () => new RateLimited({ message: "slow down" }) }),
    breaks: ["HTTP 500 is P…"]
  },
  "answers a request that was made before from an empty cache": {
    make: Effect.map(sound, (llm): Llm["Service"] => {
      let asked = 0
      return {
        events: (request) => Stream.suspend(() => (asked++ === 0 ? llm.events(request) : Stream.make(finished("stop"))))
      }
    }),
    breaks: ["the text-only view fails as the full one does", "a stream that is run again asks again, and ends both"]
  },
  "tells a refusal as text": {
    make: eachEvent((event) => (event._tag === "Refusal" ? [{ _tag: "TextDelta", text: event.text }] : [event])),
    breaks: [
      "a refusal fails the text view, with the model's words",
      "a refusal has its usage, in the error of the views"
    ]
  },
  "quotes the key": {
    make: eachError(() => ({ reason: new ProviderFailed({ message: `the key ${key} was sent` }) })),
    breaks: ["no error quotes a key, not even where the provider does"]
  },
  "waits for the body to end": {
    make: step((sound) => (state, frame, out) => {
      const reason = sound(state, frame, out)
      if (state.end === "wire") state.end = "semantic"
      return reason
    }),
    breaks: [
      "the wire end completes an answer at once, though the body stays open",
      "nothing after the wire end is told",
      "a connection that breaks after the wire end changes nothing"
    ]
  },
  "waits before it fails": {
    make: service(Stream.catchCause((cause) => Stream.fromEffect(Effect.delay(Effect.failCause(cause), "1 minute")))),
    breaks: ["a bad status fails within 5 s and releases the connection, though its body never ends"]
  },
  "reads on by itself, whoever listens": {
    make: client((client) =>
      HttpClient.make((request) =>
        Effect.gen(function* () {
          // Another request object: the scope of the one at hand would close it.
          const detached = HttpClientRequest.setHeader(request, "x-detached", "yes")
          const asked = yield* Effect.forkDetach(client.execute(detached))
          const response = yield* Effect.callback<
            HttpClientResponse.HttpClientResponse,
            HttpClientError.HttpClientError
          >((resume) => void asked.addObserver(resume))
          const queue = yield* Queue.unbounded<Uint8Array, HttpClientError.HttpClientError | Cause.Done>()
          yield* Effect.forkDetach(Stream.runIntoQueue(response.stream, queue))
          return StreamResponse.make(request, {
            status: response.status,
            headers: response.headers,
            body: Stream.fromQueue(queue)
          })
        })
      )
    ),
    breaks: [
      "each connection is ended once",
      "a stalled answer can be stopped, and its connection is closed",
      "take(1) closes the connection",
      "an interruption in the middle closes the connection",
      "an interruption before the head closes the connection",
      "an interruption while a bad status's body is read closes the connection",
      "a consumer that fails closes the connection",
      "break in a `for await` closes the connection",
      "nothing is read after the consumer has stopped",
      "of a hundred answers at once that are stopped, none leaves a connection",
      "a consumer that pauses stops the reading",
      "a slow consumer is read for at its own pace"
    ]
  },
  "tells every frame": {
    make: step((sound) => (state, frame, out) => {
      const before = out.length
      const reason = sound(state, frame, out)
      if (out.length === before) out.push({ _tag: "TextDelta", text: "" })
      return reason
    }),
    breaks: [
      "keep-alives and empty deltas between tokens tell nothing",
      "keep-alives without end are no answer, and set no deadline back"
    ]
  },
  "takes a stall for an end": {
    make: service(Stream.timeout("2 seconds")),
    breaks: [
      "a stall is never an end: it fails as DeadlineExceeded, when the caller's deadline passes and not before",
      "deadlines need not be asked for: a stall fails within two minutes"
    ]
  },
  "keeps no deadlines": {
    make: service(
      Deadlines.within({ headers: "Infinity", firstToken: "Infinity", idle: "Infinity", total: "Infinity" })
    ),
    breaks: [
      "keep-alives without end are no answer, and set no deadline back",
      "a stall is never an end: it fails as DeadlineExceeded, when the caller's deadline passes and not before",
      "the whole of an answer has a deadline where the caller sets one, however steadily it comes",
      "deadlines need not be asked for: a stall fails within two minutes"
    ]
  },
  "keeps deadlines by the wall clock, whoever waits": {
    make: service((events) => {
      const late = new LlmError({
        reason: new DeadlineExceeded({ which: "idle", message: "too late" }),
        provider: "broken",
        phase: "mid-output",
        emitted: 0
      })
      return Stream.interruptWhen(events, Effect.andThen(Effect.sleep("20 seconds"), Effect.fail(late)))
    }),
    breaks: ["the time that a consumer takes is its own"]
  },
  "stops after half a minute": {
    make: service(Stream.interruptWhen(Effect.sleep("30 seconds"))),
    breaks: ["a slow answer is the same answer"]
  },
  "takes what it does not know for broken": {
    make: step(
      (sound) => (state, frame, out) =>
        typeof frame.value === "object" && frame.value !== null && !("choices" in frame.value)
          ? new Malformed({ message: "what is this?" })
          : sound(state, frame, out)
    ),
    breaks: ["frames of a kind that does not exist yet are ignored"]
  },
  "asks before it is run": {
    make: Effect.map(sound, (llm): Llm["Service"] => ({
      events: (request) => {
        Effect.runFork(Stream.runDrain(llm.events(request)))
        return llm.events(request)
      }
    })),
    breaks: ["nothing is sent before a stream is run"]
  },
  "drops what its consumer is too slow for": {
    make: service(Stream.buffer({ capacity: 16, strategy: "sliding" })),
    breaks: ["an answer longer than any buffer comes whole to a consumer that keeps pausing"]
  },
  "reads one frame of a chunk": {
    make: chunks((chunk) => chunk.subarray(0, new TextDecoder().decode(chunk).indexOf("\n\n") + 2 || undefined)),
    breaks: ["an answer in one chunk gives the same events"]
  },
  "decodes every chunk by itself": {
    make: chunks((chunk) => new TextEncoder().encode(new TextDecoder().decode(chunk))),
    breaks: [
      "an answer one byte at a time gives the same events",
      "an answer cut at every byte, in two gives the same events",
      "an answer in pieces of 2, 3, 7 and 61 bytes gives the same events",
      "an answer cut by twenty seeds gives the same events",
      "an answer that fails is the same, and its error too, cut at every byte"
    ]
  },
  "takes an empty chunk for the end": {
    make: body(Stream.takeWhile((chunk) => chunk.length > 0)),
    breaks: ["an answer with empty chunks between gives the same events"]
  },
  "knows no line end but LF, and no byte order mark": {
    make: chunks((chunk) => chunk.map((byte) => (byte === 0x0d || byte === 0xef ? 0x78 : byte))),
    breaks: [
      "lines that end with CR LF change nothing",
      "lines that end with CR change nothing",
      "a byte order mark changes nothing"
    ]
  },
  "tells a call's input as text": {
    make: eachEvent((event) =>
      event._tag === "ToolCalled" ? [{ ...event, input: JSON.stringify(event.input) }] : [event]
    ),
    breaks: [
      "a call comes whole, with its input parsed, directly before Finished",
      "a call for which the model writes no input has the input {}"
    ]
  },
  "tells no deltas of a call": {
    make: eachEvent((event) => (event._tag === "ToolCallDelta" ? [] : [event])),
    breaks: ["its start and its deltas come as they are written"]
  },
  "tells the first call alone, and no text": {
    make: eachEvent((event) =>
      event._tag === "TextDelta" || (event._tag === "ToolCalled" && event.id !== "call_1") ? [] : [event]
    ),
    breaks: ["calls in parallel keep their own input, and their order", "text beside a call is told too"]
  },
  "calls a tool as soon as it is named": {
    make: eachEvent((event) =>
      event._tag === "ToolCallStarted"
        ? [event, { _tag: "ToolCalled", id: event.id, name: event.name, input: {} }]
        : event._tag === "ToolCalled"
          ? []
          : [event]
    ),
    breaks: [
      "an answer that is cut after any frame calls no tool",
      "an answer whose connection breaks calls no tool",
      "an answer that fails after a call calls no tool",
      "an answer that ends by length calls no tool, not even one that looks whole",
      "an answer that ends by content-filter calls no tool, not even one that looks whole"
    ]
  },
  "tries again by itself": {
    make: service((events) => Stream.catchCause(events, () => events)),
    breaks: ["a request is sent once, however it fails"]
  },
  "reads no delay": {
    make: eachError(() => ({ retryAfter: undefined })),
    breaks: [
      "a delay in seconds is read",
      "a delay as an HTTP date is read",
      "a delay in retry-after-ms, which wins is…",
      "a retry asks again after the delay that was asked for, and tells the answer once"
    ]
  },
  "asks for a delay of its own": {
    make: eachError(() => ({ retryAfter: Duration.seconds(1) })),
    breaks: ["a delay in a spelling that means nothing is none"]
  },
  "would try anything again": {
    make: eachError(() => ({ shouldRetry: true })),
    breaks: ["HTTP 400 is not…", "HTTP 401 is not…", "HTTP 404 is not…"]
  },
  "would try nothing again": {
    make: eachError(() => ({ shouldRetry: false })),
    breaks: [
      "HTTP 429 is w…",
      "HTTP 500 is w…",
      "HTTP 503 is w…",
      "a broken connection and a truncated answer are worth another try"
    ]
  },
  "does not count what it delivers": {
    make: eachError(() => ({ emitted: 0 })),
    breaks: ["an error says how many characters had been delivered before it"]
  },
  "takes back what it has told before it fails": {
    make: service((events) =>
      Stream.catch(events, (error) =>
        Stream.concat(Stream.succeed<LlmEvent>({ _tag: "Restarted", error }), Stream.fail(error))
      )
    ),
    breaks: ["after the first output a retry fails, unless told otherwise"]
  },
  "begins with what it had told when it is asked again": {
    make: Effect.map(sound, (llm): Llm["Service"] => {
      let before: ReadonlyArray<LlmEvent> = []
      return {
        events: (request) =>
          Stream.suspend(() => {
            const again = before
            before = []
            const remembered = Stream.tap(llm.events(request), (event) =>
              Effect.sync(() => {
                if (event._tag === "TextDelta") before = [...before, event]
              })
            )
            return Stream.concat(Stream.fromIterable(again), remembered)
          })
      }
    }),
    breaks: ["a retry that restarts comes to the answer once, wherever the first was cut"]
  },
  "sends the first message alone": {
    make: Effect.map(sound, (llm): Llm["Service"] => ({
      events: (request) =>
        llm.events({ ...request, prompt: Prompt.fromMessages(Prompt.make(request.prompt).content.slice(0, 1)) })
    })),
    breaks: ["a retry that goes on shows the model its text, and comes to the answer once"]
  },
  "tells all text so far in every event": {
    make: service((events) =>
      Stream.suspend(() => {
        let all = ""
        return Stream.map(events, (event): LlmEvent => {
          if (event._tag !== "TextDelta") return event
          all += event.text
          return { ...event, text: all }
        })
      })
    ),
    breaks: ["each delta is told once, and no event repeats what came before"]
  },
  "parses every frame again and again": {
    make: step((sound) => (state, frame, out) => {
      if (frame.value !== undefined) for (let again = 0; again < 2; again++) JSON.parse(frame.data)
      return sound(state, frame, out)
    }),
    breaks: ["no text is parsed twice, whatever the chunks"]
  },
  "decodes all bytes so far with every chunk": {
    make: body((body) =>
      Stream.suspend(() => {
        const all: Array<number> = []
        return Stream.tap(body, (chunk) =>
          Effect.sync(() => {
            all.push(...chunk)
            new TextDecoder().decode(Uint8Array.from(all))
          })
        )
      })
    ),
    breaks: ["no byte is decoded twice, even of one long frame in small chunks"]
  },
  "parses a call's input with every delta": {
    make: step((sound) => (state, frame, out) => {
      const [call] = state.toolCalls
      try {
        if (call !== undefined) JSON.parse(call.input.join(""))
      } catch {
        // Not yet whole.
      }
      return sound(state, frame, out)
    }),
    breaks: ["a tool call's input is parsed once, not at each delta"]
  },
  "always estimates usage": {
    make: eachEvent((event) =>
      event._tag === "Finished" ? [{ ...event, usage: { ...event.usage, source: "estimated" } }] : [event]
    ),
    breaks: [
      "the provider's own counts are on Finished, marked exact",
      "an answer that ends by length has its usage",
      "an answer that ends by content-filter has its usage",
      "a turn that calls tools has its usage"
    ]
  },
  "never estimates usage": {
    make: eachEvent((event) =>
      event._tag === "Finished" && event.usage.source === "estimated"
        ? [{ ...event, usage: { source: "exact" } }]
        : [event]
    ),
    breaks: ["where the provider reports none, there is an estimate, marked so"]
  },
  "loses the usage of what fails": {
    make: eachError(() => ({ usage: undefined })),
    breaks: [
      "an answer that breaks off has an estimate of what came, in its error",
      "an answer that fails after its usage came has the exact one, in its error"
    ]
  }
}

// -----------------------------------------------------------------------------

const titles = LlmContract.laws.flatMap(({ checks }) => checks)

const expand = (name: string): ReadonlyArray<string> =>
  name.endsWith("…") ? titles.filter((title) => title.startsWith(name.slice(0, -1))) : [name]

describe("a provider that", () => {
  it.each(Object.entries(broken))("%s is found out", async (_, { breaks, make }) => {
    const only = breaks.flatMap(expand)
    for (const title of only) expect(titles).toContain(title)
    const { results } = await Effect.runPromise(
      LlmContract.run({ name: "broken", make, dialect: OpenAiChatDialect.dialect, only })
    )
    expect(results.filter(({ status }) => status !== "failed")).toEqual([])
    expect(results.length).toBe(only.length)
    for (const { message } of results) expect(message).toMatch(/\S/)
  })
})

describe("the contract", () => {
  it("has at least forty checks under eleven laws, each with a name of its own", () => {
    expect(LlmContract.laws.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(titles.length).toBeGreaterThanOrEqual(40)
    expect(new Set(titles).size).toBe(titles.length)
  })

  it("has no check that was not seen to fail", () => {
    const seen = new Set(Object.values(broken).flatMap(({ breaks }) => breaks.flatMap(expand)))
    expect(titles.filter((title) => !seen.has(title))).toEqual([])
  })
})
