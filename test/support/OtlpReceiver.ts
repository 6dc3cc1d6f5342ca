/**
 * A receiver of OpenTelemetry's protocol over HTTP, on a loopback port: traces, metrics and logs, as JSON
 * and as protobuf, by https://github.com/open-telemetry/opentelemetry-proto. Plain node: it shares no code
 * with what it tests.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Zlib from "node:zlib"

export type Value = string | number | boolean | ReadonlyArray<Value> | undefined
export type Attributes = Readonly<Record<string, Value>>

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 1 internal, 3 client. */
  readonly kind: number
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Attributes
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: Attributes }>
  /** 0 unset, 1 ok, 2 error. */
  readonly status: { readonly code: number; readonly message: string | undefined }
}

export interface Point {
  readonly attributes: Attributes
  readonly count: number
  readonly sum: number
  readonly boundaries: ReadonlyArray<number>
  readonly buckets: ReadonlyArray<number>
}

export interface Metric {
  readonly name: string
  readonly unit: string
  readonly kind: "histogram" | "sum" | "other"
  readonly isMonotonic: boolean | undefined
  readonly points: ReadonlyArray<Point>
}

export interface OtlpReceiver {
  readonly url: string
  /** In the order in which they came. */
  readonly spans: ReadonlyArray<Span>
  /** As last told. */
  readonly metrics: ReadonlyMap<string, Metric>
  /** The attributes of what sends. */
  readonly resources: ReadonlyArray<Attributes>
  /** Content types that came. */
  readonly types: ReadonlySet<string>
  /** All bytes that came, as text. */
  readonly text: () => string
  readonly stop: () => Promise<void>
}

export const start = async (): Promise<OtlpReceiver> => {
  const spans: Array<Span> = []
  const metrics = new Map<string, Metric>()
  const resources: Array<Attributes> = []
  const types = new Set<string>()
  const bodies: Array<string> = []
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const sent = Buffer.concat(chunks)
      const body = request.headers["content-encoding"] === "gzip" ? Zlib.gunzipSync(sent) : sent
      bodies.push(body.toString("latin1"), body.toString("utf8"))
      const type = request.headers["content-type"] ?? ""
      types.add(type)
      const root = { "/v1/traces": "TracesData", "/v1/metrics": "MetricsData" }[request.url ?? ""]
      const read = (name: string): Raw => (type.includes("json") ? JSON.parse(body.toString()) : message(name, body))
      if (root === "TracesData") {
        for (const { resource, scopeSpans } of list(read(root)["resourceSpans"])) {
          resources.push(attributes((resource as Raw)["attributes"]))
          for (const scope of list(scopeSpans)) spans.push(...list(scope["spans"]).map((span) => spanOf(span)))
        }
      } else if (root === "MetricsData") {
        for (const { resource, scopeMetrics } of list(read(root)["resourceMetrics"])) {
          resources.push(attributes((resource as Raw)["attributes"]))
          for (const scope of list(scopeMetrics)) {
            for (const metric of list(scope["metrics"])) metrics.set(String(metric["name"]), metricOf(metric))
          }
        }
      }
      response.writeHead(200, { "content-type": type }).end(type.includes("json") ? "{}" : "")
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    metrics,
    resources,
    types,
    text: () => bodies.join("\n"),
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped())
        server.closeAllConnections()
      })
  }
}

// -----------------------------------------------------------------------------
// of JSON, or of what is read of protobuf in its form
// -----------------------------------------------------------------------------

type Raw = Readonly<Record<string, unknown>>

const list = (value: unknown): ReadonlyArray<Raw> => (value ?? []) as ReadonlyArray<Raw>

const attributes = (value: unknown): Attributes =>
  Object.fromEntries(list(value).map((pair) => [pair["key"], anyValue(pair["value"] as Raw)]))

const anyValue = (value: Raw): Value => {
  const array = value["arrayValue"] as Raw | undefined
  if (array !== undefined) return list(array["values"]).map((one) => anyValue(one))
  const int = value["intValue"]
  return int === undefined
    ? ((value["stringValue"] ?? value["boolValue"] ?? value["doubleValue"]) as Value)
    : Number(int)
}

const spanOf = (span: Raw): Span => ({
  traceId: String(span["traceId"]),
  spanId: String(span["spanId"]),
  parentSpanId: span["parentSpanId"] as string | undefined,
  name: String(span["name"]),
  kind: Number(span["kind"]),
  start: BigInt(String(span["startTimeUnixNano"])),
  end: BigInt(String(span["endTimeUnixNano"])),
  attributes: attributes(span["attributes"]),
  events: list(span["events"]).map((event) => ({
    name: String(event["name"]),
    attributes: attributes(event["attributes"])
  })),
  status: {
    code: Number((span["status"] as Raw | undefined)?.["code"] ?? 0),
    message: (span["status"] as Raw | undefined)?.["message"] as string | undefined
  }
})

const metricOf = (metric: Raw): Metric => {
  const { histogram, sum } = metric as { readonly histogram?: Raw; readonly sum?: Raw }
  return {
    name: String(metric["name"]),
    unit: String(metric["unit"]),
    kind: histogram === undefined ? (sum === undefined ? "other" : "sum") : "histogram",
    isMonotonic: sum?.["isMonotonic"] as boolean | undefined,
    points: list((histogram ?? sum)?.["dataPoints"]).map((point) => ({
      attributes: attributes(point["attributes"]),
      count: Number(point["count"] ?? 1),
      sum: Number(point["sum"] ?? point["asDouble"] ?? point["asInt"]),
      boundaries: (point["explicitBounds"] ?? []) as ReadonlyArray<number>,
      buckets: list(point["bucketCounts"]).map(Number)
    }))
  }
}

// -----------------------------------------------------------------------------
// protobuf
// -----------------------------------------------------------------------------

/** A field's name and type; a star marks what may come several times. */
type Fields = Readonly<Record<number, readonly [name: string, type: string]>>

/** The fields that are looked at, by their numbers. */
const messages: Readonly<Record<string, Fields>> = {
  TracesData: { 1: ["resourceSpans", "ResourceSpans*"] },
  ResourceSpans: { 1: ["resource", "Resource"], 2: ["scopeSpans", "ScopeSpans*"] },
  Resource: { 1: ["attributes", "KeyValue*"] },
  ScopeSpans: { 2: ["spans", "Span*"] },
  Span: {
    1: ["traceId", "hex"],
    2: ["spanId", "hex"],
    4: ["parentSpanId", "hex"],
    5: ["name", "string"],
    6: ["kind", "int"],
    7: ["startTimeUnixNano", "fixed64"],
    8: ["endTimeUnixNano", "fixed64"],
    9: ["attributes", "KeyValue*"],
    11: ["events", "Event*"],
    15: ["status", "Status"]
  },
  Event: { 2: ["name", "string"], 3: ["attributes", "KeyValue*"] },
  Status: { 2: ["message", "string"], 3: ["code", "int"] },
  KeyValue: { 1: ["key", "string"], 2: ["value", "AnyValue"] },
  AnyValue: {
    1: ["stringValue", "string"],
    2: ["boolValue", "bool"],
    3: ["intValue", "int"],
    4: ["doubleValue", "double"],
    5: ["arrayValue", "ArrayValue"]
  },
  ArrayValue: { 1: ["values", "AnyValue*"] },
  MetricsData: { 1: ["resourceMetrics", "ResourceMetrics*"] },
  ResourceMetrics: { 1: ["resource", "Resource"], 2: ["scopeMetrics", "ScopeMetrics*"] },
  ScopeMetrics: { 2: ["metrics", "Metric*"] },
  Metric: {
    1: ["name", "string"],
    3: ["unit", "string"],
    7: ["sum", "Sum"],
    9: ["histogram", "Histogram"]
  },
  Sum: { 1: ["dataPoints", "NumberDataPoint*"], 3: ["isMonotonic", "bool"] },
  NumberDataPoint: { 4: ["asDouble", "double"], 6: ["asInt", "fixed64"], 7: ["attributes", "KeyValue*"] },
  Histogram: { 1: ["dataPoints", "HistogramDataPoint*"] },
  HistogramDataPoint: {
    4: ["count", "fixed64"],
    5: ["sum", "double"],
    6: ["bucketCounts", "fixed64*"],
    7: ["explicitBounds", "double*"],
    9: ["attributes", "KeyValue*"]
  }
}

const message = (name: string, bytes: Buffer): Raw => {
  const out: Record<string, unknown> = {}
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const wire = tag & 7
    const start = at
    const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : wire === 5 ? 4 : undefined
    const value = length === undefined ? varint() : bytes.subarray(at, at + length)
    if (length !== undefined) at += length
    if (at > bytes.length || at === start) throw new Error(`${name} is cut at byte ${start}`)
    const [field, type] = messages[name]?.[tag >> 3] ?? []
    if (field === undefined || type === undefined) continue
    const read = scalar(type.replace("*", ""), value)
    if (!type.endsWith("*")) out[field] = read
    else out[field] = [out[field] ?? [], read].flat()
  }
  return out
}

const scalar = (type: string, value: bigint | Buffer): unknown => {
  if (typeof value === "bigint") return type === "bool" ? value !== 0n : Number(BigInt.asIntN(64, value))
  switch (type) {
    case "string":
      return value.toString("utf8")
    case "hex":
      return value.toString("hex")
    case "double":
      return numbers(value, (at) => value.readDoubleLE(at))
    case "fixed64":
      return numbers(value, (at) => String(value.readBigUInt64LE(at)))
    default:
      return message(type, value)
  }
}

/** One, or several in one field. */
const numbers = <A>(bytes: Buffer, read: (at: number) => A): A | ReadonlyArray<A> =>
  bytes.length === 8 ? read(0) : Array.from({ length: bytes.length / 8 }, (_, i) => read(i * 8))
