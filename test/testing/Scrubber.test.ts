import { assert, describe, it } from "@effect/vitest"
import * as Headers from "effect/http/Headers"
import { MarkedBytes } from "../../src/testing/internal/MarkedBytes.ts"
import { Scrubber } from "../../src/testing/internal/Scrubber.ts"

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

describe("MarkedBytes", () => {
  const cut = (chunks: ReadonlyArray<string>, edit: (bytes: MarkedBytes) => void) => {
    const bytes = new MarkedBytes(chunks.map(encode))
    edit(bytes)
    return bytes.chunks().map(decode)
  }

  it("keeps the cuts around what is replaced, and cuts what replaces it where it was cut", () => {
    const replace = (by: string) => (bytes: MarkedBytes) =>
      bytes.replace(/S+/g, (match) => ({ start: match.index, end: match.index + match[0].length, bytes: by }))
    assert.deepStrictEqual(cut(["ab", "SS", "cd"], replace("<longer>")), ["ab", "<longer>", "cd"])
    assert.deepStrictEqual(cut(["abS", "Scd", "e"], replace("<longer>")), ["ab<", "longer>cd", "e"])
    assert.deepStrictEqual(cut(["aSSS", "SSS", "Sb", "SS"], replace("12")), ["a12", "b", "12"])
    assert.deepStrictEqual(cut(["S", "S", "S", "b"], replace("")), ["b"])
    assert.deepStrictEqual(cut(["a", "b"], replace("x")), ["a", "b"])
  })

  it("holds any bytes, and many of them", () => {
    const all = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256)
    assert.deepStrictEqual(new MarkedBytes([all]).chunks(), [all])
    assert.deepStrictEqual(
      cut(["\ufeffé漢"], () => {}),
      ["\ufeffé漢"]
    )
  })
})

describe("Scrubber", () => {
  const knowing = (headers: Record<string, string>, url = "http://localhost/", custom?: (text: string) => string) => {
    const scrubber = new Scrubber(custom)
    scrubber.learnRequest(url, Headers.fromInput(headers))
    return scrubber
  }

  it("finds the longer of two secrets, and each of them", () => {
    for (const headers of [
      { a: "secret-one", b: "secret-one-and-two" },
      { b: "secret-one-and-two", a: "secret-one" }
    ]) {
      const scrubber = knowing(headers)
      assert.strictEqual(scrubber.text("secret-one-and-two, secret-one."), "<redacted>, <redacted>.")
      assert.strictEqual(scrubber.text("secret-onsecret-one"), "secret-on<redacted>")
    }
  })

  it("learns more as it goes on", () => {
    const scrubber = knowing({ a: "secret-one" })
    assert.strictEqual(scrubber.text("secret-one secret-two"), "<redacted> secret-two")
    scrubber.learnRequest("http://localhost/", Headers.fromInput({ a: "secret-two" }))
    assert.strictEqual(scrubber.text("secret-one secret-two"), "<redacted> <redacted>")
  })

  it("leaves a byte order mark, and finds both alphabets of base64", () => {
    const secret = ">>>???>>>???"
    const scrubber = knowing({ a: secret })
    assert.strictEqual(scrubber.text("\ufeffé"), "\ufeffé")
    const coded = Buffer.from(secret).toString("base64")
    assert.match(coded, /\+.*\//)
    assert.strictEqual(scrubber.text(`(${coded})`), "(<redacted>)")
    assert.strictEqual(scrubber.text(`(${coded.replaceAll("+", "-").replaceAll("/", "_")})`), "(<redacted>)")
    assert.strictEqual(scrubber.text(`(${encodeURIComponent(coded)})`), "(<redacted>)")
  })

  it("leaves what is short, dull or kept", () => {
    const scrubber = knowing({
      "x-short": "1234567",
      "user-agent": "Mozilla/5.0",
      host: "api.example.com",
      accept: "text/event-stream",
      "x-amzn-bedrock-accept": "application/json; charset=utf-8"
    })
    assert.deepStrictEqual(scrubber.responseHeaders(Headers.fromInput({ "content-type": "application/json" })), {
      "content-type": "application/json"
    })
    const text = "1234567 Mozilla/5.0 api.example.com text/event-stream +"
    assert.strictEqual(scrubber.text(text), text)
  })

  it("finds parts of headers: after a scheme, in cookies, in credentials", () => {
    const scrubber = knowing({
      authorization: "Bearer the-bearer-token",
      cookie: "one=first-cookie; two=second-cookie",
      "proxy-authorization": `Basic ${btoa("name:the-password")}`
    })
    assert.strictEqual(
      scrubber.text("the-bearer-token first-cookie second-cookie the-password name"),
      "<redacted> <redacted> <redacted> <redacted> name"
    )
  })

  it("spells characters that escapes begin with", () => {
    for (const secret of ["per%cent%25", "amp&amp;er&sand", "back\\slash\\\\es", "space d out", "quo'te\"d<>"]) {
      const scrubber = knowing({ a: secret })
      for (const spelled of [
        secret,
        encodeURIComponent(secret),
        encodeURIComponent(encodeURIComponent(secret)),
        new URLSearchParams({ a: secret }).toString().slice(2),
        JSON.stringify(secret).slice(1, -1),
        JSON.stringify(JSON.stringify(secret)).slice(3, -3),
        JSON.stringify(JSON.stringify(JSON.stringify(secret))).slice(7, -7)
      ]) {
        const scrubbed = scrubber.text(`(${spelled})`)
        assert.strictEqual(scrubbed, "(<redacted>)", `${secret} as ${spelled}`)
      }
    }
  })

  it("redacts URLs by the names of their parameters, the same way twice", () => {
    const scrubber = knowing({})
    const url =
      "https://user:pass@example.com/a?key=1&apiKey=2&api-key=3&access_token=4&X-Amz-Signature=5&page=6&key=7#h"
    const scrubbed = scrubber.url(url)
    assert.strictEqual(scrubber.url(scrubbed), scrubbed)
    assert.deepStrictEqual(Array.from(new URL(scrubbed).searchParams), [
      ["key", "<redacted>"],
      ["apiKey", "<redacted>"],
      ["api-key", "<redacted>"],
      ["access_token", "<redacted>"],
      ["X-Amz-Signature", "<redacted>"],
      ["page", "6"]
    ])
    assert.isTrue(scrubbed.startsWith("https://example.com/a?"))
    const secret = knowing({ a: "secret-in-path" })
    const path = secret.url("https://example.com/secret-in-path/x")
    assert.strictEqual(path, "https://example.com/%3Credacted%3E/x")
    assert.strictEqual(secret.url(path), path)
  })

  it("finds fields of JSON and of forms", () => {
    const scrubber = knowing({})
    assert.strictEqual(
      scrubber.text('{"client_secret" : "a\\"b","refresh_token":"c","max_tokens":5,"token":"d"}'),
      '{"client_secret" : "<redacted>","refresh_token":"<redacted>","max_tokens":5,"token":"d"}'
    )
    assert.strictEqual(scrubber.text("grant=x&client_secret=a%20b&scope=y"), "grant=x&client_secret=<redacted>&scope=y")
  })

  it("gives the custom function lines, and keeps the cuts of those that it leaves", () => {
    const seen: Array<string> = []
    const scrubber = knowing({ a: "the-secret" }, undefined, (text) => {
      seen.push(text)
      return text.replace("é", "e").replace("Ann", "Somebody")
    })
    const chunks = scrubber.chunks(["one the-se", "cret\ntw", "o Ann", " é\nth", "ree"].map(encode)).map(decode)
    assert.deepStrictEqual(seen, ["one <redacted>", "two Ann é", "three"])
    assert.deepStrictEqual(
      chunks,
      ["one <redac", "ted>\ntw", "o Som", "ebody e\nth", "ree"].map((chunk) => chunk)
    )
    assert.strictEqual(chunks.join(""), "one <redacted>\ntwo Somebody e\nthree")
    assert.deepStrictEqual(scrubber.chunks([Uint8Array.of(0xff, 0x0a, 0x41)]), [Uint8Array.of(0xff, 0x0a, 0x41)])
  })

  it("is linear in what it reads", () => {
    const scrubber = knowing({ a: `Bearer sk-${"abcdefgh".repeat(20)}`, b: "\\\\\\\\\\\\\\\\" })
    const backslashes = "\\".repeat(200_000)
    assert.strictEqual(scrubber.text(`${backslashes}x`).includes("x"), true)
    assert.strictEqual(scrubber.text("%25".repeat(100_000)).length, 300_000)
  })
})
