import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Child<Answer> {
  pid: number
  /** Sends one message and resolves with the answer to it; rejects where the child ends first. */
  ask(message: object): Promise<Answer>
  end(): Promise<void>
}

/** A program of bench/load/ in a process of its own: server and client must not share an event loop. */
export function startChild<Answer>(name: string, nodeFlags: readonly string[] = []): Child<Answer> {
  const child = fork(fileURLToPath(new URL(`load/${name}.ts`, import.meta.url)), { execArgv: [...nodeFlags] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    pid: child.pid ?? -1,
    ask: (message) => ask<Answer>(child, name, message),
    async end() {
      child.kill('SIGTERM')
      await ended
    }
  }
}

async function ask<Answer>(child: ChildProcess, name: string, message: object): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`bench/load/${name}.ts ended (${code})`))
    child.once('exit', onExit)
    child.once('message', (answer: { result: Answer } | { error: string }) => {
      child.off('exit', onExit)
      if ('error' in answer) reject(new Error(answer.error))
      else resolve(answer.result)
    })
    child.send(message)
  })
}

/** The child's side: answers each message with what `serve` gives. */
export function answerParent<Message>(serve: (message: Message) => Promise<unknown>): void {
  process.on('message', (message) => {
    serve(message as Message).then(
      (result) => process.send?.({ result }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    )
  })
  process.on('disconnect', () => process.exit(0))
}
