/**
 * Which web pages may connect. Browsers let any page open a WebSocket to any server, with the user's cookies,
 * and say only where the page is from (RFC 6455, section 10.2): it is for the server to look.
 */

export type Origins = "same" | "any" | ReadonlyArray<string>

/** Gives a function from the headers `Origin` and `Host` to whether they may connect; throws on what is no origin. */
export const make = (origins: Origins): ((origin: string | undefined, host: string | undefined) => boolean) => {
  if (origins === "any") return () => true
  // Without an `Origin` it is no page of a browser.
  if (origins === "same") return (origin, host) => origin === undefined || isSame(origin, host)
  const allowed = new Set(origins)
  for (const origin of allowed) {
    if (parse(origin)?.origin !== origin) {
      throw new TypeError(
        `an origin is a scheme, a host and perhaps a port, such as "https://app.example.com", not ${JSON.stringify(origin)}`
      )
    }
  }
  return (origin) => origin === undefined || allowed.has(origin)
}

/** The scheme is not compared: behind a proxy that ends TLS, the server does not know its own. */
const isSame = (origin: string, host: string | undefined): boolean => {
  const page = parse(origin)
  if (page === undefined || host === undefined) return false
  return parse(`${page.protocol}//${host}`)?.host === page.host
}

const parse = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined)
