/** What one writes with Effect and nothing else: HttpClient, decodeText, Sse.decode or splitLines, JSON.parse. */
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import type { Contestant, Target } from "../../Contestant.ts"
import { requestOf, textOf } from "../hand/bodies.ts"
import { type Client, clients } from "./clients.ts"
import { deliver, stopped } from "./deliver.ts"

export const make = async (client: Client, target: Target): Promise<Contestant> => {
  const { body, headers, url } = requestOf(target)
  const request = HttpClientRequest.post(url, { headers }).pipe(HttpClientRequest.bodyText(body, "application/json"))
  const read = textOf[target.protocol]
  const texts = Stream.unwrap(Effect.map(HttpClient.execute(request), (response) => response.stream)).pipe(
    Stream.decodeText,
    target.protocol === "ollama"
      ? Stream.splitLines
      : (pieces) => Stream.pipeThroughChannelOrFail(pieces, Sse.decode()).pipe(Stream.map(({ data }) => data)),
    Stream.map((data) => read(data) ?? ""),
    Stream.filter((text) => text !== "")
  )
  const runtime = ManagedRuntime.make(await clients[client]())
  return (onText) =>
    runtime.runPromise(
      Stream.runForEachArray(texts, (texts) => deliver(texts, onText)).pipe(
        Effect.catchIf(
          (error) => error === stopped,
          () => Effect.void
        )
      )
    )
}
