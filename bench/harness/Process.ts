/** A contestant's process, as the harness sees it. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Figures, Job, Report } from "../Scenario.ts"

const file = fileURLToPath(new URL("./Child.js", import.meta.url))

/** No contestant takes longer for one measurement. */
const patience = 240_000

export class ContestantProcess {
  private readonly child: ChildProcess

  constructor(job: Job) {
    this.child = fork(file, [JSON.stringify(job)], {
      execArgv: ["--expose-gc"],
      stdio: ["ignore", "ignore", "pipe", "ipc"]
    })
    this.child.stderr!.on("data", (text) => (this.said = String(text)))
  }

  private said = ""

  /** What a process that is kept says when it is warm. */
  async ready(): Promise<void> {
    await this.next()
  }

  /** One measurement of a process that is kept. */
  async measure(): Promise<Figures> {
    this.child.send("measure")
    return this.figures()
  }

  /** The one measurement of a fresh process. */
  async figures(): Promise<Figures> {
    const report = await this.next()
    if (report._tag !== "Measured") throw new Error("it measured nothing")
    return report.figures
  }

  private next(): Promise<Report> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.child.off("message", onReport)
        this.child.off("exit", onExit)
      }
      const onReport = (report: Report): void => {
        finish()
        if (report._tag === "Failed") reject(new Error(report.message))
        else resolve(report)
      }
      const onExit = (): void => {
        finish()
        reject(
          new Error(
            `its process ended: ${
              this.said
                .trim()
                .split("\n")
                .find((line) => /Error/.test(line)) ?? ""
            }`
          )
        )
      }
      const timer = setTimeout(() => {
        finish()
        reject(new Error(`it took longer than ${patience / 1000} s`))
      }, patience)
      this.child.on("message", onReport)
      this.child.on("exit", onExit)
    })
  }

  end(): void {
    this.child.kill("SIGKILL")
  }
}
