/** `promise/Rill`: `for await`, no Effect in sight. Over fetch, as it is. */
import * as Rill from "../../../src/promise/Rill.ts"
import { apiKey, type Contestant, model, prompt, type Target } from "../../Contestant.ts"

const clientOf = ({ protocol, url }: Target): Rill.Rill => {
  if (protocol === "anthropic") return Rill.fromAnthropic(model, { apiKey, baseUrl: url })
  if (protocol === "ollama") return Rill.fromOllama(model, { baseUrl: url })
  return Rill.fromOpenAi(model, { apiKey, baseUrl: `${url}/v1`, api: protocol })
}

export const make = (target: Target): Contestant => {
  const rill = clientOf(target)
  return async (onText) => {
    for await (const text of rill.stream(prompt)) {
      const wait = onText(text)
      if (wait !== undefined && (await wait)) break
    }
  }
}
