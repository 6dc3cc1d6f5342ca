/** Reads server-sent events by the letter of the specification, plainly: it shares no code with what it tests. */
export interface ServerSentEvent {
  readonly id: string
  readonly event: string
  readonly data: string
}

export interface Parsed {
  readonly events: ReadonlyArray<ServerSentEvent>
  readonly comments: ReadonlyArray<string>
  readonly retry: number | undefined
}

export const parse = (body: string): Parsed => {
  const events: Array<ServerSentEvent> = []
  const comments: Array<string> = []
  let retry: number | undefined
  let [id, event] = ["", ""]
  let data: Array<string> = []
  // What follows the last line end is no line.
  for (const line of body.split(/\r\n|\n|\r/).slice(0, -1)) {
    if (line === "") {
      if (data.length > 0) events.push({ id, event: event === "" ? "message" : event, data: data.join("\n") })
      event = ""
      data = []
      continue
    }
    const colon = line.indexOf(":")
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "")
    if (colon === 0) comments.push(value)
    else if (field === "data") data.push(value)
    else if (field === "event") event = value
    else if (field === "id") id = value
    else if (field === "retry") retry = Number(value)
  }
  return { events, comments, retry }
}
