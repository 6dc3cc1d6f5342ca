import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import { inBand, fromHttpFailure, retryAfterInWords } from "effect-rill/protocol/HttpError"
import type { HttpFailure } from "effect-rill/wire/Http"

const failure = (status: number, body: unknown, retryAfter?: Duration.Duration): HttpFailure => ({
  _tag: "HttpFailure",
  status,
  headers: Headers.empty,
  body: typeof body === "string" ? body : JSON.stringify(body),
  requestId: undefined,
  retryAfter,
  shouldRetry: undefined
})

/** The words of providers, as users have met them. */
describe("what providers say", () => {
  it.each([
    // The context is full.
    [
      "Groq",
      400,
      {
        error: {
          message: "Please reduce the length of the messages or completion.",
          type: "invalid_request_error",
          code: "context_length_exceeded"
        }
      },
      "ContextTooLong"
    ],
    ["Groq, words alone", 400, { error: { message: "Please reduce the length of the messages" } }, "ContextTooLong"],
    [
      "Groq, more than a minute's tokens",
      413,
      {
        error: {
          message:
            "Request too large for model `openai/gpt-oss-20b` in organization `org_1` on tokens per minute (TPM): Limit 8000, Requested 9000, please reduce your message size and try again.",
          type: "tokens",
          code: "rate_limit_exceeded"
        }
      },
      "ContextTooLong"
    ],
    [
      "xAI",
      400,
      {
        code: "Client specified an invalid argument",
        error: "This model's maximum prompt length is 131072 but the request contains 537812 tokens."
      },
      "ContextTooLong"
    ],
    [
      "Together",
      400,
      { error: { message: "The input (150000 tokens) is longer than the model's context length (131072 tokens)." } },
      "ContextTooLong"
    ],
    [
      "vLLM",
      400,
      {
        object: "error",
        message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        type: "BadRequestError",
        code: 400
      },
      "ContextTooLong"
    ],
    [
      "vLLM, the prompt alone",
      400,
      { error: { message: "The decoder prompt (length 5000) is longer than the maximum model length of 4096." } },
      "ContextTooLong"
    ],
    [
      "llama.cpp",
      400,
      {
        error: {
          code: 400,
          message: "the request exceeds the available context size, try increasing it",
          type: "exceed_context_size_error",
          n_prompt_tokens: 5000,
          n_ctx: 4096
        }
      },
      "ContextTooLong"
    ],
    [
      "LM Studio",
      400,
      { error: "The number of tokens to keep from the initial prompt is greater than the context length." },
      "ContextTooLong"
    ],
    [
      "LM Studio, loaded small",
      400,
      { error: "Trying to keep the first 5000 tokens when context the overflows." },
      "ContextTooLong"
    ],
    [
      "Mistral",
      400,
      {
        object: "error",
        message: "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        type: "invalid_request_prompt",
        code: "3051"
      },
      "ContextTooLong"
    ],
    [
      "Moonshot",
      400,
      {
        error: {
          message: "Invalid request: Your request exceeded model token limit: 8192",
          type: "invalid_request_error"
        }
      },
      "ContextTooLong"
    ],
    ["Zhipu", 400, { error: { code: "1261", message: "Prompt exceeds max length" } }, "ContextTooLong"],
    [
      "DashScope",
      400,
      {
        error: {
          code: "invalid_parameter_error",
          message: "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]"
        }
      },
      "ContextTooLong"
    ],
    [
      "Hugging Face",
      422,
      { error: "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000" },
      "ContextTooLong"
    ],
    [
      "GitHub Models",
      413,
      {
        error: {
          code: "tokens_limit_reached",
          message: "Request body too large for gpt-4o model. Max size: 8000 tokens."
        }
      },
      "ContextTooLong"
    ],
    [
      "Cohere",
      400,
      { message: "too many tokens: total number of tokens in the prompt cannot exceed 4081" },
      "ContextTooLong"
    ],
    [
      "OpenRouter, of the provider behind it",
      400,
      {
        error: {
          message: "Provider returned error",
          code: 400,
          metadata: { raw: '{"error":{"message":"This endpoint\'s maximum context length is 131072 tokens."}}' }
        }
      },
      "ContextTooLong"
    ],
    // Money.
    ["DeepSeek", 402, { error: { message: "Insufficient Balance", code: "invalid_request_error" } }, "QuotaExhausted"],
    [
      "Moonshot",
      429,
      { error: { message: "Your account is suspended", type: "exceeded_current_quota_error" } },
      "QuotaExhausted"
    ],
    [
      "Zhipu",
      429,
      { error: { code: "1113", message: "Insufficient balance or no resource package. Please recharge." } },
      "QuotaExhausted"
    ],
    [
      "xAI",
      403,
      { code: "permission-denied", error: "Your newly created team doesn't have any credits yet." },
      "QuotaExhausted"
    ],
    ["OpenRouter", 402, { error: { code: 402, message: "Insufficient credits. Add more." } }, "QuotaExhausted"],
    ["OpenRouter, the key's limit", 403, { error: { code: 403, message: "Key limit exceeded" } }, "QuotaExhausted"],
    [
      "DashScope",
      400,
      { error: { code: "Arrearage", message: "Access denied, please make sure your account is in good standing." } },
      "QuotaExhausted"
    ],
    // The key.
    [
      "xAI",
      400,
      { code: "invalid-argument", error: "Incorrect API key provided. You can obtain one from https://console.x.ai." },
      "Authentication"
    ],
    ["Mistral", 401, { detail: "Unauthorized" }, "Authentication"],
    ["NVIDIA", 403, { status: 403, title: "Forbidden", detail: "Authorization failed" }, "Authentication"],
    ["GitHub Models", 401, { error: { code: "unauthorized", message: "Bad credentials" } }, "Authentication"],
    // The model.
    ["Mistral", 400, { object: "error", message: "Invalid model: mistral-tiny-9", code: "1500" }, "NotFound"],
    ["DeepSeek", 400, { error: { message: "Model Not Exist", type: "invalid_request_error" } }, "NotFound"],
    ["OpenRouter", 400, { error: { message: "foo/bar is not a valid model ID", code: 400 } }, "NotFound"],
    ["Zhipu", 400, { error: { code: "1211", message: "Unknown Model, please check the model code." } }, "NotFound"],
    ["GitHub Models", 400, { error: { code: "unknown_model", message: "Unknown model: gpt-9" } }, "NotFound"],
    // The filter.
    ["DeepSeek", 400, { error: { message: "Content Exists Risk" } }, "ContentFiltered"],
    ["xAI", 403, { code: "permission-denied", error: "Content violates usage guidelines." }, "ContentFiltered"],
    [
      "DashScope",
      400,
      { error: { code: "data_inspection_failed", message: "Input data may contain inappropriate content." } },
      "ContentFiltered"
    ],
    // The load.
    ["Mistral", 429, { message: "Service tier capacity exceeded for this model.", code: "3505" }, "Overloaded"],
    [
      "Moonshot",
      429,
      { error: { message: "The engine is currently overloaded", type: "engine_overloaded_error" } },
      "Overloaded"
    ],
    ["OpenRouter", 429, { error: { code: 429, message: "Rate limit exceeded: free-models-per-day" } }, "RateLimited"],
    ["Mistral", 429, { message: "Requests rate limit exceeded" }, "RateLimited"],
    // And what is none of these, though its words are near.
    [
      "a token limit that is too high",
      400,
      { error: { message: "max_tokens must be at most 8192", type: "invalid_request_error" } },
      "InvalidRequest"
    ],
    ["a tool that is not there", 400, { error: { message: "Invalid modelOutput" } }, "InvalidRequest"],
    ["too many tokens a minute", 429, { message: "too many tokens this minute" }, "RateLimited"]
  ] as const)("%s (%i): %j is %s", (_, status, body, tag) => {
    expect(fromHttpFailure(failure(status, body))).toMatchObject({ _tag: tag, status })
  })

  it("a code that stands beside a text is kept", () =>
    expect(fromHttpFailure(failure(400, { code: "invalid-argument", error: "No." }))).toMatchObject({
      code: "invalid-argument",
      message: "No."
    }))

  it("a text under `error` is the error, whatever stands beside it", () =>
    expect(fromHttpFailure(failure(500, { message: { content: "secret" }, error: "out of memory" })).message).toMatch(
      /^out of memory\. /
    ))

  it("an error in an error is read", () =>
    expect(fromHttpFailure(failure(400, { error: { error: "No." } })).message).toBe("No."))

  it("codes may be numbers", () =>
    expect(fromHttpFailure(failure(401, { error: { code: 401, message: "User not found." } }))).toMatchObject({
      code: "401"
    }))

  it("complaints about fields say which one, and not its value", () => {
    const detail = [
      { type: "extra_forbidden", loc: ["body", "seed"], msg: "Extra inputs are not permitted", input: "secret" },
      { loc: ["body", "top_p"], msg: "Too large" }
    ]
    const said = "body.seed: Extra inputs are not permitted; body.top_p: Too large."
    for (const body of [{ detail }, { object: "error", message: { detail }, type: "invalid_request_error" }]) {
      expect(fromHttpFailure(failure(422, body))).toMatchObject({ _tag: "InvalidRequest", message: said })
    }
    expect(fromHttpFailure(failure(422, { message: { detail: "No." } })).message).toBe("No.")
    expect(fromHttpFailure(failure(422, { detail: [{ odd: 1 }] })).message).toBe('[{"odd":1}].')
  })

  it("a router's error has the words of the provider behind it, in a stream too", () => {
    const body = { error: { message: "Provider returned error", code: 429, metadata: { raw: "slow down" } } }
    const said = "Provider returned error: slow down. Wait, then ask again, or ask less often."
    expect(fromHttpFailure(failure(429, body)).message).toBe(said)
    expect(inBand(body, (text) => text)).toMatchObject({ _tag: "RateLimited", message: said })
    expect(inBand(body, (text) => text.replace("slow", "***")).message).toContain("***")
    const asJson = { error: { ...body.error, metadata: { raw: JSON.stringify({ detail: "slow down" }) } } }
    expect(fromHttpFailure(failure(429, asJson)).message).toBe(said)
    for (const metadata of [{ raw: " " }, { raw: 7 }, {}, null]) {
      const { message } = fromHttpFailure(failure(429, { error: { ...body.error, metadata } }))
      expect(message).toMatch(/^Provider returned error\. /)
    }
  })
})

describe("a delay in words", () => {
  it.each([
    ["Please try again in 7.66s. Need more tokens?", 7660],
    ["Please try again in 2m28.608s.", 148_608],
    ["Please try again in 1h2m3s", 3_723_000],
    ["Please try again in 350ms.", 350],
    ["Please try again in 6m0s.", 360_000],
    ["Try again in 20 seconds", 20_000],
    ["retry after 1 minute", 60_000],
    ["Please try again in 0.1ms", 1],
    ["try again in 2 more hours", undefined],
    ["Limit 200000, Used 199773. Slow down.", undefined],
    ["try again in 5 minimums", undefined]
  ] as const)("%s", (message, milliseconds) => {
    const delay = retryAfterInWords(failure(429, { error: { message } }))
    expect(delay && Duration.toMillis(delay)).toBe(milliseconds)
  })

  it("gives way to the headers', and is none of a good answer", () => {
    const body = { error: { message: "Please try again in 7s" } }
    expect(retryAfterInWords(failure(429, body, Duration.seconds(2)))).toBeUndefined()
    expect(retryAfterInWords(failure(200, body))).toBeUndefined()
    expect(retryAfterInWords(failure(429, "Please try again in 7s"))).toBeUndefined()
  })
})
