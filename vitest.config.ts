import { defineConfig } from "vitest/config"

// The examples import the package by its name, as a user would; this condition of the package's
// own `exports` answers with src instead of dist.
const conditions = ["rill-source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  // Only what hangs takes so long, however busy the machine is.
  test: { include: ["test/**/*.test.ts", "examples/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 }
})
