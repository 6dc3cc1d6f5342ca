/** Spans and metrics as a receiver of OpenTelemetry's protocol gets them, from `effect/observability`. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import * as Telemetry from "effect-rill/policy/Telemetry"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as ChatServer from "../support/ChatServer.ts"
import * as OtlpReceiver from "../support/OtlpReceiver.ts"

const { answer, failure, role, text } = ChatServer
const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

describe.each([
  ["JSON", OtlpSerialization.layerJson, "application/json"],
  ["protobuf", OtlpSerialization.layerProtobuf, "application/x-protobuf"]
] as const)("over OTLP as %s", (_, serialization, contentType) => {
  it("spans and metrics, with their names, units and attributes", async () => {
    const receiver = await OtlpReceiver.start()
    const server = await ChatServer.start([
      answer("one", "two"),
      failure(429, { "retry-after": "2" }),
      [role, text("three"), "hold"]
    ])
    try {
      const exporter = Otlp.layer({
        baseUrl: receiver.url,
        resource: { serviceName: "shop", serviceVersion: "1.2.3" },
        tracerExportInterval: "1 hour",
        metricsExportInterval: "1 hour",
        loggerExportInterval: "1 hour"
      }).pipe(Layer.provide(serialization))
      const model = OpenAi.layer({
        model: "gpt-test",
        api: "chat",
        apiKey: Redacted.make("sk-otlp-0123456789"),
        baseUrl: server.baseUrl
      }).pipe(Telemetry.layer({ model: "gpt-test" }))
      const program = Effect.gen(function* () {
        yield* Llm.run({ prompt: "Hi", temperature: 0.5, stop: ["END"] })
        yield* Effect.exit(Llm.run("Hi"))
        yield* Stream.runDrain(Stream.take(Llm.stream("Hi"), 1))
        yield* (yield* OtlpExporter.Flusher).flush
      }).pipe(Effect.withSpan("checkout"))
      await Effect.runPromise(
        program.pipe(
          Effect.provide(Layer.mergeAll(model, exporter)),
          Effect.provide(FetchHttpClient.layer),
          Effect.provideService(Metric.MetricRegistry, new Map())
        )
      )

      expect([...receiver.types]).toEqual([contentType])
      expect(receiver.resources[0]).toMatchObject({ "service.name": "shop", "service.version": "1.2.3" })
      const { port } = new URL(server.url)
      const names = new Map(receiver.spans.map((span) => [span.spanId, span.name]))
      const client = receiver.spans.filter(({ kind }) => kind === 3)
      const whole = receiver.spans.filter(({ kind, name }) => kind === 1 && name !== "checkout")
      expect(client.map(({ name }) => name)).toEqual(["chat gpt-test", "chat gpt-test", "chat gpt-test"])
      expect(client.map(({ parentSpanId }) => whole.some(({ spanId }) => spanId === parentSpanId))).toEqual(
        client.map(() => true)
      )
      expect(whole.map(({ parentSpanId }) => names.get(parentSpanId ?? ""))).toEqual(whole.map(() => "checkout"))
      expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(1)
      expect(receiver.spans.every(({ end, start }) => end >= start && start > 0n)).toBe(true)

      const [good, limited, left] = client
      expect(good!.status).toEqual({ code: 1, message: undefined })
      expect(good!.attributes).toEqual({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-test",
        "gen_ai.request.stream": true,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ["END"],
        "server.address": "127.0.0.1",
        "server.port": Number(port),
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-test",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": expect.any(Number),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "rill.usage.source": "exact"
      })
      expect(limited!.attributes["error.type"]).toBe("RateLimited")
      expect(limited!.status.code).toBe(2)
      expect(limited!.status.message).toMatch(/^openai\/gpt-test: RateLimited: .*wait 2 s/)
      expect(limited!.events.map(({ name }) => name)).toEqual(["exception"])
      expect(limited!.events[0]!.attributes["exception.type"]).toBe("LlmError")
      expect([left!.status.code, left!.attributes["effect.fiber.interrupted"]]).toEqual([0, true])

      const { metrics } = receiver
      const common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-test",
        "server.address": "127.0.0.1",
        "server.port": port
      }
      const of = (name: string) => {
        const { kind, points, unit } = metrics.get(name)!
        return {
          kind,
          unit,
          points: points.map(({ attributes: { unit: _unit, ...attributes }, boundaries, buckets, count, sum }) => ({
            attributes,
            boundaries,
            buckets,
            count,
            sum
          }))
        }
      }
      const duration = of("gen_ai.client.operation.duration")
      expect([duration.kind, duration.unit]).toEqual(["histogram", "s"])
      expect(duration.points.map(({ attributes, boundaries, count }) => ({ attributes, boundaries, count }))).toEqual([
        { attributes: { ...common, "gen_ai.response.model": "gpt-test" }, boundaries: seconds, count: 2 },
        { attributes: { ...common, "error.type": "RateLimited" }, boundaries: seconds, count: 1 }
      ])
      const tokens = of("gen_ai.client.token.usage")
      expect([tokens.kind, tokens.unit]).toEqual(["histogram", "{token}"])
      expect(tokens.points.map(({ attributes, count, sum }) => [attributes["gen_ai.token.type"], count, sum])).toEqual([
        ["input", 1, 7],
        ["output", 1, 2]
      ])
      expect(tokens.points[0]!.boundaries).toEqual([
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864
      ])
      expect(tokens.points[0]!.buckets).toEqual([0, 0, 1, ...Array.from({ length: 12 }, () => 0)])
      expect(of("gen_ai.client.operation.time_to_first_chunk")).toMatchObject({
        kind: "histogram",
        unit: "s",
        points: [{ count: 2 }]
      })
      expect(of("rill.client.operation.time_per_output_token")).toMatchObject({ kind: "histogram", unit: "s" })
      expect(metrics.get("rill.active_streams")).toMatchObject({ kind: "sum", unit: "{stream}", isMonotonic: false })
      expect(metrics.get("rill.active_streams")!.points.every(({ sum }) => sum === 0)).toBe(true)
      expect(receiver.text()).not.toMatch(/sk-otlp|three|"Hi"/)
      // Nor is the provider told of the trace.
      for (const { headers } of server.requests) expect(Object.keys(headers).join()).not.toMatch(/traceparent|b3/)
    } finally {
      await server.stop()
      await receiver.stop()
    }
  })
})
