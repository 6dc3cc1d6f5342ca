/** What requests are read as, where a process would only show that they are read. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import * as Body from "../../../src/cli/serve/Body.ts"
import * as ChatCompletions from "../../../src/cli/serve/ChatCompletions.ts"
import { Input } from "../../../src/cli/serve/Input.ts"
import * as Question from "../../../src/cli/serve/Question.ts"
import * as UiChat from "../../../src/cli/serve/UiChat.ts"

const read = <A>(decode: (body: Input) => A, json: unknown): A =>
  Effect.runSync(Body.decoding(() => decode(new Input(json))))

/** Why it is refused. */
const refused = (decode: (body: Input) => unknown, json: unknown) => {
  const { message, param, reason } = Effect.runSync(Effect.flip(Body.decoding(() => decode(new Input(json)))))
  return { reason, param, message }
}

const user = (...content: ReadonlyArray<unknown>) => ({ messages: [{ role: "user", content }] })
const png = "data:image/png;base64,AAEC"
const bytes = new Uint8Array([0, 1, 2])

describe("chat completions", () => {
  it.each([
    [
      { type: "image_url", image_url: { url: png } },
      { type: "file", mediaType: "image/png", data: bytes }
    ],
    [
      { type: "image_url", image_url: { url: "https://example.com/a.png" } },
      { type: "file", mediaType: "image/*", data: new URL("https://example.com/a.png") }
    ],
    [
      { type: "input_audio", input_audio: { data: "AAEC", format: "mp3" } },
      { type: "file", mediaType: "audio/mpeg", data: bytes }
    ],
    [
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAEC" } },
      { type: "file", mediaType: "application/pdf", fileName: "a.pdf", data: bytes }
    ]
  ])("a part %#", (part, expected) => {
    const { request } = read(ChatCompletions.decode, user(part))
    expect(request).toEqual({ prompt: [{ role: "user", content: [expected] }] })
  })

  it("messages, with null for what is not there", () => {
    const { request, stream, usage } = read(ChatCompletions.decode, {
      messages: [
        {
          role: "developer",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" }
          ]
        },
        { role: "assistant", content: null, refusal: null, tool_calls: [] },
        { role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
        { role: "user", name: "me", content: "c" }
      ],
      stream: null,
      n: null,
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: null,
      logprobs: false
    })
    expect({ request, stream, usage }).toEqual({
      request: {
        prompt: [
          { role: "system", content: "ab" },
          { role: "assistant", content: "" },
          { role: "assistant", content: "no" },
          { role: "user", content: "c" }
        ],
        maxTokens: 7
      },
      stream: false,
      usage: false
    })
  })

  it.each([
    [{ n: 2 }, "Unsupported", "n"],
    [{ n: 0 }, "InvalidRequest", "n"],
    [{ tools: [{}] }, "Unsupported", "tools"],
    [{ logprobs: true }, "Unsupported", "logprobs"],
    [{ logit_bias: { 5: 1 } }, "Unsupported", "logit_bias"],
    [{ temperature: 3 }, "InvalidRequest", "temperature"],
    [{ temperature: "1" }, "InvalidRequest", "temperature"],
    [{ top_p: -1 }, "InvalidRequest", "top_p"],
    [{ max_tokens: 1.5 }, "InvalidRequest", "max_tokens"],
    [{ max_completion_tokens: 0 }, "InvalidRequest", "max_completion_tokens"],
    [{ seed: 0.5 }, "InvalidRequest", "seed"],
    [{ stop: [1] }, "InvalidRequest", "stop[0]"],
    [{ stop: 7 }, "InvalidRequest", "stop"],
    [{ stream: "yes" }, "InvalidRequest", "stream"],
    [{ stream_options: true }, "InvalidRequest", "stream_options"],
    [{ reasoning_effort: "most" }, "InvalidRequest", "reasoning_effort"],
    [{ response_format: { type: "xml" } }, "InvalidRequest", "response_format.type"],
    [{ response_format: { type: "json_schema" } }, "InvalidRequest", "response_format.json_schema.schema"],
    [{ messages: [{ role: "tool", content: "x" }] }, "Unsupported", "messages[0].role"],
    [{ messages: [{ role: "assistant", tool_calls: [{}] }] }, "Unsupported", "messages[0].tool_calls"],
    [user({ type: "file", file: { file_id: "file-1" } }), "Unsupported", "messages[0].content[0].file.file_id"],
    [
      user({ type: "image_url", image_url: { url: "data:image/png,AAEC" } }),
      "InvalidRequest",
      "messages[0].content[0].image_url.url"
    ],
    [
      user({ type: "image_url", image_url: { url: "https://" } }),
      "InvalidRequest",
      "messages[0].content[0].image_url.url"
    ]
  ])("%j is refused", (fields, reason, param) => {
    expect(refused(ChatCompletions.decode, { ...user({ type: "text", text: "Hi" }), ...fields })).toMatchObject({
      reason,
      param
    })
  })

  it("a prototype is no field", () => {
    expect(refused(ChatCompletions.decode, Object.create(user({ type: "text", text: "Hi" })))).toMatchObject({
      param: "messages"
    })
  })
})

describe("useChat", () => {
  it("texts and files are read, and what an answer told besides them is not", () => {
    expect(
      read(UiChat.decode, {
        id: "c1",
        trigger: "submit-message",
        messages: [
          { id: "0", role: "system", parts: [{ type: "text", text: "s" }] },
          {
            id: "1",
            role: "user",
            parts: [
              { type: "text", text: "a" },
              { type: "file", mediaType: "image/jpeg", filename: "a.jpg", url: png },
              { type: "data-mood", data: {} }
            ]
          },
          {
            id: "2",
            role: "assistant",
            parts: [
              { type: "step-start" },
              { type: "reasoning", text: "hm" },
              { type: "text", text: "b" },
              { type: "source-url", sourceId: "1", url: "https://example.com" },
              { type: "text", text: "c" }
            ]
          }
        ]
      })
    ).toEqual({
      prompt: [
        { role: "system", content: "s" },
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "file", mediaType: "image/jpeg", fileName: "a.jpg", data: bytes }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "text", text: "b" },
            { type: "text", text: "c" }
          ]
        }
      ]
    })
  })
})

describe("a question", () => {
  it.each([
    ["prompt=Hello%20w%C3%B6rld+%2B%20%26", "Hello wörld + &"],
    ["a=1&prompt=a=b&_=5", "a=b"],
    ["prom%70t=x", "x"],
    ["prompt=%F0%9F%8D%B5", "🍵"]
  ])("?%s", (query, prompt) => {
    expect(Effect.runSync(Question.fromQuery(query))).toEqual({ prompt })
  })

  it("takes one of prompt and messages", () => {
    expect(read(Question.fromBody, { prompt: "a", messages: null })).toEqual({ prompt: "a" })
    expect(refused(Question.fromBody, { prompt: "a", messages: [] }).reason).toBe("InvalidRequest")
    expect(refused(Question.fromBody, { prompt: "a", temperature: 1 }).message).toContain("/v1/chat/completions")
  })
})
