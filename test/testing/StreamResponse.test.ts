import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as StreamResponse from "../../src/testing/internal/StreamResponse.ts"

const request = HttpClientRequest.get("http://localhost/a?b=c#d")
const respond = (...chunks: ReadonlyArray<string>) => {
  let reads = 0
  const body = Stream.fromIterable(chunks, { chunkSize: 1 }).pipe(
    Stream.map((chunk) => {
      reads++
      return new TextEncoder().encode(chunk)
    })
  )
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "set-cookie": "a=1" }
  return { response: StreamResponse.make(request, { status: 201, headers, body }), reads: () => reads }
}

it.effect("has what a response has, its URL without the hash", () =>
  Effect.gen(function* () {
    const { response } = respond("x=1&", "y=2")
    assert.strictEqual(response.status, 201)
    assert.strictEqual(response.url, "http://localhost/a?b=c")
    assert.strictEqual(response.headers["content-type"], "application/x-www-form-urlencoded")
    assert.strictEqual(Cookies.toCookieHeader(response.cookies), "a=1")
    assert.strictEqual(yield* response.text, "x=1&y=2")
    assert.deepStrictEqual(new Uint8Array(yield* response.arrayBuffer), new TextEncoder().encode("x=1&y=2"))
    assert.deepStrictEqual((yield* response.formData).get("y"), "2")
    assert.deepStrictEqual(Array.from(yield* response.urlParamsBody), [
      ["x", "1"],
      ["y", "2"]
    ])
    assert.strictEqual((yield* Effect.flip(response.json)).reason._tag, "DecodeError")
    assert.deepStrictEqual(yield* respond('{"a":', "1}").response.json, { a: 1 })
    assert.strictEqual(yield* respond().response.json, null)
    assert.strictEqual((yield* Effect.flip(response.upgrade)).reason._tag, "StatusCodeError")
    assert.deepInclude(response.toJSON(), { _id: "HttpClientResponse", status: 201 })
  })
)

it.effect("the body is read as it is pulled, and once for all that want it whole", () =>
  Effect.gen(function* () {
    const one = respond("a", "b", "c")
    yield* Stream.runDrain(Stream.take(one.response.stream, 1))
    assert.strictEqual(one.reads(), 1)
    const whole = respond("a", "b")
    assert.strictEqual((yield* whole.response.text) + (yield* whole.response.text), "abab")
    assert.strictEqual(whole.reads(), 2)
  })
)

it.effect("time is that of Clock", () =>
  Effect.gen(function* () {
    const body = Stream.fromEffect(Effect.as(Effect.sleep("1 hour"), Uint8Array.of(1)))
    const response = StreamResponse.make(request, { status: 200, headers: {}, body })
    const fiber = yield* Effect.forkChild(response.arrayBuffer)
    yield* TestClock.adjust("59 minutes")
    assert.isUndefined(fiber.pollUnsafe())
    yield* TestClock.adjust("1 minutes")
    assert.isDefined(fiber.pollUnsafe())
  })
)
