/** All policies on, as a careful program has them; none has anything to do. Callbacks: none. */
import type * as Layer from "effect/Layer"
import type * as Llm from "../../../src/Llm.ts"
import * as Deadlines from "../../../src/policy/Deadlines.ts"
import * as Retry from "../../../src/policy/Retry.ts"

export const layer = <E, R>(model: Layer.Layer<Llm.Llm, E, R>): Layer.Layer<Llm.Llm, E, R> =>
  model.pipe(
    Retry.layer(),
    Deadlines.layer({ headers: "30 seconds", firstToken: "1 minute", idle: "30 seconds", total: "10 minutes" })
  )
