/** The fault matrix under a hedge. */
import { describeFaults } from "../support/describeFaults.ts"

describeFaults(["hedge"])
