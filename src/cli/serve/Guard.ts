/**
 * Who may ask: the programs of this machine, and no web page that it happens to have open, since an answer costs
 * money and may be told to nobody else.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import * as origins from "../../delivery/internal/origins.ts"
import { Refusal } from "./Refusal.ts"

/**
 * Options of a guard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether only this machine can connect. */
  readonly loopback: boolean
  /** The host that was asked for, as it was written. */
  readonly host: string
  /** Origins whose pages may ask, besides the server's own. */
  readonly origins: ReadonlyArray<string>
}

/**
 * A guard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard {
  readonly check: (headers: Headers.Headers) => Effect.Effect<void, Refusal>
  /** What a page of an allowed origin must be told to read the answer; nothing for others. */
  readonly cors: (headers: Headers.Headers) => Readonly<Record<string, string>>
}

/**
 * Makes a guard. Throws a `TypeError` on an origin that is none.
 *
 * - `Host`: by DNS rebinding, a foreign page can make its own host mean this machine, and is of the same origin then.
 *   So where only this machine can connect, the host must be one that means it.
 * - `Origin`: the server's own or an allowed one; clients that send none are no browsers, or browsers that get
 *   something without asking for permission, such as an image: those tell it by `Sec-Fetch-Site`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Guard => {
  const isSame = origins.make("same")
  const isListed = origins.make(options.origins)
  return {
    check: (headers) => {
      const { host, origin } = headers
      if (options.loopback && !isThisMachine(host, options.host)) return foreignHost
      const isForeign =
        origin === undefined
          ? foreignSites.has(headers["sec-fetch-site"] ?? "")
          : !isSame(origin, host) && !isListed(origin, host)
      return isForeign ? foreignOrigin : Effect.void
    },
    cors: ({ origin }) => {
      if (options.origins.length === 0) return {}
      // Caches must know that others are answered otherwise.
      if (origin === undefined || !options.origins.includes(origin)) return { vary: "Origin" }
      return {
        vary: "Origin",
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after, x-should-retry"
      }
    }
  }
}

const foreignSites: ReadonlySet<string> = new Set(["cross-site", "same-site"])

const isThisMachine = (host: string | undefined, bound: string): boolean => {
  const name = hostname(host)
  return name !== undefined && (isLoopback(name) || name === hostname(bound) || name === hostname(`[${bound}]`))
}

/**
 * Whether a host means this machine alone: `localhost`, `127.0.0.0/8` or `::1`, as a URL writes them.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host) || /^\[::ffff:7f[0-9a-f]{2}:/.test(host)

const hostname = (host: string | undefined): string | undefined =>
  host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : undefined

const foreignHost = Effect.fail(
  new Refusal({
    reason: "ForeignHost",
    message: "this server answers to 127.0.0.1 and localhost. To serve others, start rill serve with --host."
  })
)

const foreignOrigin = Effect.fail(
  new Refusal({
    reason: "ForeignOrigin",
    message: "pages of this origin may not ask. Start rill serve with --origin and their origin to let them."
  })
)
