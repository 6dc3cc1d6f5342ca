/** What the compiler knows of `OpenAiCompatible`: every statement here is checked by `tsc`. */
import type * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import { expect, it } from "vitest"

type IsOptions<Given> = Given extends OpenAiCompatible.Options ? true : false
const holds = <Given, _Expected extends IsOptions<Given>>(): void => {}

it("a preset, a base URL, or both, say where the server is", () => {
  holds<{ preset: "groq"; model: string }, true>()
  holds<{ baseUrl: string; model: string }, true>()
  holds<{ preset: "llama.cpp"; baseUrl: string; model: string }, true>()
  holds<{ model: string }, false>()
  holds<{ preset: "groq" }, false>()
  holds<{ preset: "grok"; model: string }, false>()
  holds<{ preset: "groq"; model: string; apiKey: string }, false>()
  expect(holds).toBeTypeOf("function")
})
