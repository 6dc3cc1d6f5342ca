/**
 * Bad input on every route of one process of `rill serve`. While each piece of it is sent, a good answer is read, and
 * must come whole; the process must live to the end.
 */
import { once } from "node:events"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import * as HttpApp from "../../support/HttpApp.ts"
import * as Serving from "./Serving.ts"

let serving: Serving.Serving
let whole: string
beforeAll(async () => {
  serving = await Serving.start(["--model", "offline"])
  whole = await Serving.reference(serving.url)
  expect(whole.length).toBeGreaterThan(300)
}, 60_000)
afterAll(async () => {
  expect(serving.process.exitCode).toBeNull()
  expect((await fetch(`${serving.url}/health`)).status).toBe(200)
  expect(serving.stderr()).not.toMatch(/fault|defect|Error/)
  // Neither a prompt nor a body is logged.
  expect(serving.stderr()).not.toMatch(/SECRET|whales/)
  await serving[Symbol.asyncDispose]()
})

const patient = { timeout: 60_000 }

/** A good answer comes whole beside what is done. */
const besideAGoodOne = async <A>(act: () => Promise<A>): Promise<A> => {
  const good = await Serving.good(serving.url)
  const result = await act()
  expect(await good.whole()).toBe(whole)
  return result
}

const posts = ["/text", "/sse", "/events", "/ndjson", "/v1/chat/completions", "/api/chat"]
const gets = ["/text", "/sse", "/events", "/ndjson"]
const free = ["/", "/health", "/v1/models"]

/** What is told of a refusal: on every route a reason, or OpenAI's type, and a message that says something. */
const told = (json: unknown): string => {
  const { error } = json as { error: { reason?: string; type?: string; message: string } }
  expect(error.message).toMatch(/^.{10,}$/)
  expect(JSON.stringify(json)).not.toContain("SECRET")
  return error.reason ?? error.type ?? ""
}

const ask = async (path: string, init: RequestInit = {}) => {
  const response = await fetch(serving.url + path, init)
  const text = await response.text()
  expect(response.headers.get("content-type") ?? "application/json").toBe("application/json")
  return { status: response.status, headers: response.headers, json: text === "" ? undefined : JSON.parse(text) }
}

const shapes: ReadonlyArray<readonly [name: string, body: string | Uint8Array<ArrayBuffer>]> = [
  ["nothing", ""],
  ["no JSON", "prompt=SECRET"],
  ["half a JSON", '{"prompt":"SECRET'],
  [
    "no UTF-8",
    Uint8Array.from(
      '{"messages":[{"role":"user","content":"\xff","parts":[{"type":"text","text":"\xff"}]}]}',
      (character) => character.charCodeAt(0)
    )
  ],
  ["null", "null"],
  ["a string", '"SECRET"'],
  ["a list", '[{"role":"user","content":"SECRET"}]'],
  ["no field", "{}"],
  ["a prompt that is none", '{"prompt":["SECRET"]}'],
  ["messages that are none", '{"messages":"SECRET"}'],
  ["no message", '{"messages":[]}'],
  ["a message that is null", '{"messages":[null]}'],
  ["a role that there is not", '{"messages":[{"role":"SECRET","content":"x","parts":[]}]}'],
  ["content that is none", '{"messages":[{"role":"user","content":{"SECRET":1},"parts":7}]}'],
  [
    "a part that there is not",
    '{"messages":[{"role":"user","content":[{"type":"SECRET"}],"parts":[{"type":"SECRET"}]}]}'
  ],
  [
    "a file that is none",
    '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/SECRET"}}],"parts":[{"type":"file","mediaType":"image/png","url":"file:///etc/SECRET"}]}]}'
  ],
  [
    "base64 that is none",
    '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,SECRET!"}}],"parts":[{"type":"file","mediaType":"image/png","url":"data:image/png;base64,SECRET!"}]}]}'
  ],
  ["only a system message", '{"messages":[{"role":"system","content":"SECRET","parts":[]}]}'],
  ["nothing but depth", `{"messages":${"[".repeat(20_000)}${"]".repeat(20_000)}}`]
]

describe.concurrent.each(posts)("POST %s", patient, (path) => {
  it.each(shapes)("of %s is a 400", async (_, body) => {
    const { json, status } = await besideAGoodOne(() => ask(path, { method: "POST", body }))
    expect(status).toBe(400)
    expect(told(json)).toMatch(/^(NotJson|InvalidRequest|Unsupported|invalid_request_error)$/)
  })

  it("of 100 MB is a 413 before any of it is read", async () => {
    const text = await besideAGoodOne(async () => {
      const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000000\r\n\r\n`
      return (await Serving.connect(serving.port, head)).closed
    })
    const { json, status } = Serving.parse(text)
    expect(status).toBe(413)
    expect(told(json)).toMatch(/^(BodyTooLarge|invalid_request_error)$/)
  })

  it("of no end is a 413 once it is too large", async () => {
    const { json, sent, status } = await besideAGoodOne(async () => {
      const { closed, socket } = await Serving.connect(
        serving.port,
        `POST ${path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n`
      )
      const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`
      let sent = 0
      const push = () => {
        while (!socket.destroyed && socket.writable && sent < 100e6 && socket.write(chunk)) sent += chunk.length
      }
      socket.on("drain", push)
      push()
      const text = await closed
      socket.destroy()
      return { sent, ...Serving.parse(text) }
    })
    expect(status).toBe(413)
    expect(told(json)).toMatch(/^(BodyTooLarge|invalid_request_error)$/)
    expect(sent).toBeLessThan(20e6)
  })

  it("of what is compressed is a 415", async () => {
    const { json, status } = await besideAGoodOne(() =>
      ask(path, { method: "POST", body: "{}", headers: { "content-encoding": "gzip" } })
    )
    expect(status).toBe(415)
    told(json)
  })

  it("of chunks that are none is a 400", async () => {
    const text = await besideAGoodOne(async () => {
      const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nSECRET\r\n`
      return (await Serving.connect(serving.port, head)).closed
    })
    expect(Serving.parse(text)).toMatchObject({ status: 400, json: { error: { reason: "InvalidRequest" } } })
  })
})

describe.concurrent.each(gets)("GET %s", patient, (path) => {
  it.each([
    "",
    "?",
    "?prompt",
    "?prompt=",
    "?other=x",
    "?prompt=a&prompt=b",
    "?prompt=%zz",
    "?prompt=%ff%fe",
    "?prompt=%E0%A4%A",
    "?%zz=1"
  ])("%s is a 400", async (query) => {
    const { json, status } = await besideAGoodOne(() => ask(path + query))
    expect({ status, told: told(json) }).toEqual({ status: 400, told: "InvalidRequest" })
  })

  it("with a body of 100 MB is a 413", async () => {
    const text = await besideAGoodOne(async () => {
      const head = `GET ${path}?prompt=Hi HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000000\r\n\r\n`
      return (await Serving.connect(serving.port, head)).closed
    })
    expect(Serving.parse(text).status).toBe(413)
  })
})

describe.concurrent("any route", patient, () => {
  const everywhere = [...new Set([...posts, ...gets, ...free, "/ws"])]

  it.each(everywhere)("%s tells which methods it has, and never asks the model for another", async (path) => {
    const allow = (
      path === "/ws"
        ? ["GET"]
        : free.includes(path)
          ? ["GET", "HEAD"]
          : gets.includes(path)
            ? ["GET", "POST"]
            : ["POST"]
    )
      .concat("OPTIONS")
      .join(", ")
    await besideAGoodOne(async () => {
      for (const method of ["PUT", "DELETE", "PATCH", "HEAD", "GET", "POST"]) {
        if (allow.includes(method)) continue
        const { headers, json, status } = await ask(path, { method })
        expect({ method, status, allow: headers.get("allow") }).toEqual({ method, status: 405, allow })
        if (method !== "HEAD") told(json)
      }
      const options = await ask(path, { method: "OPTIONS" })
      expect({ status: options.status, allow: options.headers.get("allow") }).toEqual({ status: 204, allow })
      if (free.includes(path)) {
        const head = await fetch(serving.url + path, { method: "HEAD" })
        expect(head.status).toBe(200)
        expect(Number(head.headers.get("content-length"))).toBeGreaterThan(10)
      }
    })
  })

  it.each([
    "/nix",
    "/text/",
    "/TEXT",
    "/%zz",
    "/../etc/passwd",
    "//",
    "/v1/nix",
    "/constructor",
    `/${"x".repeat(10_000)}`
  ])("%s is a 404", async (path) => {
    for (const method of ["GET", "POST", "HEAD", "OPTIONS"]) {
      const { json, status } = Serving.parse(
        await besideAGoodOne(
          async () =>
            (
              await Serving.connect(
                serving.port,
                `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`
              )
            ).closed
        )
      )
      expect(status).toBe(404)
      if (method !== "HEAD") told(json)
    }
  })

  it.each([
    [
      "headers of 20 KB",
      `GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
      431,
      "HeadersTooLarge"
    ],
    ["headers without an end", `GET /health HTTP/1.1\r\n${"x: y\r\n".repeat(20_000)}`, 431, "HeadersTooLarge"],
    [
      "a URL of 20 KB",
      `GET /text?prompt=${"SECRET".repeat(4000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      431,
      "HeadersTooLarge"
    ],
    ["no HTTP", "SECRET\r\n\r\n", 400, "InvalidRequest"],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "InvalidRequest"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "InvalidRequest"],
    [
      "two lengths",
      "POST /text HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
      400,
      "InvalidRequest"
    ],
    [
      "a length and chunks",
      "POST /text HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
      "InvalidRequest"
    ],
    [
      "a negative length",
      "POST /text HTTP/1.1\r\nhost: localhost\r\ncontent-length: -2\r\n\r\n{}",
      400,
      "InvalidRequest"
    ],
    ["a proxy's request", "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n", 405, "MethodNotAllowed"],
    ["no host", "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", 403, "ForeignHost"],
    ["a foreign host", "GET /health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", 403, "ForeignHost"],
    [
      "a foreign host in the target",
      "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
      403,
      "ForeignHost"
    ],
    [
      "what is expected of nobody",
      "POST /text HTTP/1.1\r\nhost: localhost\r\nexpect: SECRET\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
      400,
      "InvalidRequest"
    ],
    [
      "another upgrade",
      "GET /nix HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
      404,
      "NotFound"
    ]
  ])("%s: %#", async (_, request, status, reason) => {
    const text = await besideAGoodOne(async () => {
      const { closed, socket } = await Serving.connect(serving.port, Buffer.from(request, "latin1"))
      const text = await closed
      socket.destroy()
      return text
    })
    const { json, ...answer } = Serving.parse(text)
    expect(answer.status).toBe(status)
    expect(told(json)).toBe(reason)
  })
})

describe.concurrent("WebSocket", patient, () => {
  const url = () => `${serving.url.replace("http", "ws")}/ws`
  const open = async () => {
    const socket = new WebSocket(url(), { handshakeTimeout: 10_000 })
    await once(socket, "open")
    return socket
  }
  const closing = async (send: (socket: WebSocket) => void) => {
    const socket = await open()
    send(socket)
    const [code] = (await once(socket, "close")) as [number]
    return code
  }
  /** What a handshake with these headers is answered by. */
  const handshake = async (headers: string, method = "GET") =>
    besideAGoodOne(async () => {
      const { closed, socket } = await Serving.connect(
        serving.port,
        `${method} /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n${headers}\r\n\r\n`
      )
      const text = await closed
      socket.destroy()
      return Serving.parse(text)
    })
  const key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="

  it("a binary frame is closed with 1003, one that is too large with 1009, one that is no UTF-8 with 1007", async () => {
    await besideAGoodOne(async () => {
      expect(await closing((socket) => socket.send(new Uint8Array([1, 2, 3])))).toBe(1003)
      expect(await closing((socket) => socket.send("x".repeat(2 ** 20 + 1)))).toBe(1009)
      expect(await closing((socket) => socket.send(new Uint8Array([0xff, 0xfe]), { binary: false }))).toBe(1007)
    })
  })

  it("what is no frame is answered by an error, and the connection goes on", async () => {
    await besideAGoodOne(async () => {
      const socket = await open()
      const frames: Array<{ type: string; error?: { reason: string; message: string } }> = []
      socket.on("message", (data) => frames.push(JSON.parse(String(data))))
      for (const text of ["SECRET", "null", '{"type":"SECRET"}', '{"type":"prompt","id":"1","prompt":7}'])
        socket.send(text)
      socket.send('{"type":"prompt","id":"2","prompt":"Hi"}')
      await HttpApp.until("an answer", () => frames.at(-1)?.type === "done", 20)
      socket.close()
      expect(frames.slice(0, 4).map(({ error }) => error?.reason)).toEqual([
        "NotJson",
        "BadFrame",
        "BadFrame",
        "BadFrame"
      ])
      expect(JSON.stringify(frames.slice(0, 4))).not.toContain("SECRET")
    })
  })

  it("a handshake that is none is refused as JSON, or closed", async () => {
    expect(await handshake("upgrade: h2c")).toMatchObject({ status: 426, json: { error: { reason: "NoWebSocket" } } })
    expect(await handshake(`upgrade: websocket\r\n${key}\r\norigin: http://evil.example`)).toMatchObject({
      status: 403,
      json: { error: { reason: "ForeignOrigin" } }
    })
    expect((await handshake("upgrade: websocket\r\nsec-websocket-version: 13")).status).toBe(400)
    expect((await handshake(`upgrade: websocket\r\n${key}`, "POST")).status).toBe(405)
  })
})

describe.concurrent("connections that are left", patient, () => {
  it("a head that never ends is answered by 408, and one that never begins is closed", async () => {
    await besideAGoodOne(async () => {
      const slow = await Serving.connect(serving.port, "GET /health HTTP/1.1\r\nhost: localhost\r\n")
      const silent = await Serving.connect(serving.port)
      const dripping = setInterval(() => slow.socket.write("x: y\r\n"), 500)
      const text = await slow.closed
      clearInterval(dripping)
      expect(Serving.parse(text)).toMatchObject({ status: 408, json: { error: { reason: "Timeout" } } })
      expect(await silent.closed).toBe("")
      for (const { socket } of [slow, silent]) socket.destroy()
    })
  })

  it("whoever closes one side has left", async () => {
    await besideAGoodOne(async () => {
      const half = await Serving.connect(serving.port, "GET /events?prompt=Hi HTTP/1.1\r\nhost: localhost\r\n\r\n")
      await once(half.socket, "data")
      half.socket.end()
      const text = await half.closed
      expect(text).not.toContain("[DONE]")
      half.socket.destroy()
    })
  })

  it("a hundred of them are in nobody's way", async () => {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => Serving.connect(serving.port, "GET /hea")))
    await besideAGoodOne(async () => expect((await ask("/health")).status).toBe(200))
    for (const { socket } of sockets) socket.destroy()
  })
})
