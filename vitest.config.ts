import { defineConfig } from "vitest/config"

// The examples import the package by its name, as a user would; this condition of the package's
// own `exports` answers with src instead of dist.
const conditions = ["rill-source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { include: ["test/**/*.test.ts", "examples/*.test.ts"] }
})
