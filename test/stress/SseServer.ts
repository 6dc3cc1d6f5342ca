/** A server of long answers in a process of its own, that tells what it holds. Run by stalledReader.test.ts and manyClients.test.ts. */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Sse from "effect-rill/delivery/Sse"
import * as HttpApp from "../support/HttpApp.ts"

/** What the server tells when it is asked to. */
export interface Sample {
  /** Tokens that were pulled of all answers. */
  readonly pulled: number
  readonly open: number
  /** Bytes that are held, garbage left out. */
  readonly held: number
  readonly rss: number
}

let pulled = 0
let open = 0

/** Numbered tokens, each of a pull of its own, filled up to a length; with a moment between them where `paced`. */
const tokens = (count: number, length: number, paced: boolean): Stream.Stream<string> =>
  Stream.unwrap(
    Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => void open++),
        () => Effect.sync(() => void open--)
      ),
      Stream.range(0, count - 1).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((n) => {
          pulled++
          const token = `${n} `.padEnd(length, "x")
          // A process of its own, on its own clock: the clients' turns come between.
          return paced ? Effect.as(Effect.sleep(1), token) : Effect.succeed(token)
        })
      )
    )
  )

/** `/node/COUNT/LENGTH/paced`, `/web/…` */
const answer = (pathname: string) => {
  const [, , count, length, pace] = pathname.split("/")
  const paced = pace === "paced"
  return Sse.response(tokens(Number(count), Number(length), paced), {
    format: Sse.json,
    // Often, where it is to be seen that a stalled client gets none.
    heartbeat: paced ? "15 seconds" : "50 millis"
  })
}

const app = await HttpApp.start(
  Layer.mergeAll(
    HttpRouter.add("GET", "/node/*", (request) => answer(request.url)),
    HttpRouter.add(
      "GET",
      "/web/*",
      HttpEffect.fromWebHandler(({ signal, url }) =>
        Effect.runPromise(HttpResponse.toWeb(answer(new URL(url).pathname), { signal }))
      ).pipe(Effect.orDie)
    )
  )
)

process.on("message", () => {
  globalThis.gc!()
  const { arrayBuffers, heapUsed, rss } = process.memoryUsage()
  process.send!({ pulled, open, held: heapUsed + arrayBuffers, rss } satisfies Sample)
})
process.on("disconnect", () => process.exit(0))
process.send!({ url: app.url })
