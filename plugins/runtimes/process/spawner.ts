import { spawn } from 'node:child_process'
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../../src/contracts/clock.ts'
import { isAlive, type ProcessMark } from './attempt-files.ts'

const script = join(import.meta.dirname, 'shim.sh')
const batchSize = 128
/** Idle slots kept; each is a sh of some 200 KiB of its own. */
const maxIdle = 32

interface Slot { id: string; orders: Socket; mark: ProcessMark | null; openedAt: number; name: string | null }

export interface SpawnerOptions {
  runDir: string
  attemptsDir: string
  shell: string
  graceSeconds: number
  clock: Clock
  warn: (message: string) => void
  /** A line that a shim told: `started NAME PID START`, `ended NAME SLOT …`, `grown NAME`. */
  onNote: (word: string, words: string[]) => void
}

/**
 * The service's side of the shims: one long-lived `sh` that forks for it, and slots, each a `sh` that runs one attempt
 * at a time. Node itself forks once, as its fork costs milliseconds of the main thread (docs/decisions/004-shim.md).
 */
export interface Spawner {
  open(): Promise<void>
  /** Has a slot run `order` (shell text) for the attempt as soon as there is one; `prepare` gets its two pipes. */
  run(name: string, order: string, prepare: (stdoutPipe: string, stderrPipe: string) => void): void
  /** Takes an attempt back that no slot has got yet. */
  withdraw(name: string): boolean
  /** Starts collectors for an attempt that lives on. */
  collect(name: string, capBytes: number): void
  /** Names of attempts whose slot has died since the last call. */
  findOrphans(): string[]
  close(): void
}

export function createSpawner({ runDir, attemptsDir, shell, graceSeconds, clock, warn, onNote }: SpawnerOptions): Spawner {
  const nonce = randomBytes(4).toString('hex')
  const notifyFile = join(runDir, 'notify')
  const slots = new Map<string, Slot>()
  const idle: Slot[] = []
  const queue: { name: string; order: string; prepare: (stdoutPipe: string, stderrPipe: string) => void }[] = []
  const pool: string[] = []
  let commands: Socket | null = null
  let notes: Socket | null = null
  let isClosed = false
  let batch = 0
  let batchAskedAt: number | null = null
  let onFirstBatch: (() => void) | null = null

  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const command = (text: string) => void commands?.write(text)

  function spawnShell(): void {
    const child = spawn(shell, ['-s', '--', runDir, attemptsDir, String(graceSeconds), 'spawner'], {
      detached: true, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'], env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }
    })
    child.unref()
    const stdin = child.stdin as Socket
    stdin.unref()
    stdin.on('error', () => {})
    commands = stdin
    let isOver = false
    const respawn = () => {
      if (isOver || isClosed) return
      isOver = true
      warn('the spawner of process jobs ended and is started again')
      commands = null
      batchAskedAt = null
      clock.setTimeout(() => {
        if (isClosed) return
        spawnShell()
        for (const slot of [...slots.values()].filter((s) => s.mark === null)) drop(slot)
        dispatch()
      }, 100)
    }
    child.on('error', respawn)
    child.on('exit', respawn)
    command(`. ${quoted(script)}\nspawner\n`)
  }

  function listen(): void {
    const socket = new Socket({ fd: openSync(notifyFile, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false })
    socket.unref()
    socket.on('error', (error) => warn(`notes of the shims: ${error.message}`))
    let rest = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) hear(line)
      dispatch()
    })
    notes = socket
  }

  function hear(line: string): void {
    const [word = '', ...words] = line.split(' ')
    const [subject = ''] = words
    if (word === 'slot') {
      const slot = slots.get(subject)
      if (slot === undefined) return
      slot.mark = { pid: Number(words[1]), start: words[2] ?? '' }
      idle.push(slot)
    } else if (word === 'pipes') {
      const [asked, count] = [Number(subject.split('.')[1]), batchSize]
      if (asked !== batch || !subject.startsWith(nonce)) return
      for (let i = 0; i < count; i++) pool.push(join(runDir, 'pool', `${subject}.${i}`))
      batchAskedAt = null
      onFirstBatch?.()
    } else if (word === 'free') {
      release(subject)
    } else {
      if (word === 'ended') release(words[1] ?? '')
      onNote(word, words)
    }
  }

  function release(id: string): void {
    const slot = slots.get(id)
    if (slot === undefined) return
    slot.name = null
    if (idle.length >= maxIdle) drop(slot)
    else idle.push(slot)
  }

  /** Closes the slot's pipe: it ends once its job has ended. */
  function drop(slot: Slot): void {
    slots.delete(slot.id)
    const at = idle.indexOf(slot)
    if (at >= 0) idle.splice(at, 1)
    slot.orders.destroy()
    for (const file of [slot.id, `${slot.id}.err`]) rmSync(join(runDir, 'slots', file), { force: true })
  }

  function dispatch(): void {
    if (isClosed) return
    while (queue.length > 0 && idle.length > 0 && pool.length >= 2) {
      const slot = idle.pop()!
      const { name, order, prepare } = queue.shift()!
      prepare(pool.pop()!, pool.pop()!)
      slot.name = name
      slot.openedAt = clock.now()
      slot.orders.write(order)
    }
    const opening = [...slots.values()].reduce((n, slot) => n + (slot.mark === null ? 1 : 0), 0)
    for (let i = opening; i < queue.length && pool.length > 0; i++) openSlot()
    if (pool.length < batchSize / 2) refill()
  }

  function refill(): void {
    // Asked again after a while: the spawner may have died with the first request.
    if (commands === null || (batchAskedAt !== null && clock.now() - batchAskedAt < 5000)) return
    batchAskedAt = clock.now()
    batch++
    command(`make_pipes ${nonce}.${batch} ${batchSize}\n`)
  }

  let slotCount = 0
  function openSlot(): void {
    if (commands === null) return
    const id = `${nonce}.${++slotCount}`
    const file = join(runDir, 'slots', id)
    renameSync(pool.pop()!, file)
    const orders = new Socket({ fd: openSync(file, constants.O_RDWR | constants.O_NONBLOCK), readable: false, writable: true })
    orders.unref()
    orders.on('error', (error) => warn(`orders of a shim: ${error.message}`))
    slots.set(id, { id, orders, mark: null, openedAt: clock.now(), name: null })
    orders.write(`. ${quoted(script)}\nslot\n`)
    command(`open_slot ${id}\n`)
  }

  return {
    async open() {
      for (const folder of ['pool', 'slots']) rmSync(join(runDir, folder), { recursive: true, force: true })
      for (const folder of ['pool', 'slots', 'deadlines']) mkdirSync(join(runDir, folder), { recursive: true, mode: 0o700 })
      const reference = join(runDir, 'reference')
      writeFileSync(reference, '')
      utimesSync(reference, 86_400 * 366, 86_400 * 366)
      spawnShell()
      // The first batch cannot be told over a pipe that is not there yet: its last one becomes the notify pipe.
      if (statSync(notifyFile, { throwIfNoEntry: false })?.isFIFO() !== true) {
        rmSync(notifyFile, { force: true })
        await makeNotifyPipe(shell, notifyFile)
      }
      listen()
      const ready = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`The shim does not answer: ${shell} could not make named pipes in ${runDir}`)), 10_000)
        onFirstBatch = () => { clearTimeout(timer); onFirstBatch = null; resolve() }
      })
      refill()
      await ready
      // Lazy collectors rest on a write to a pipe changing its time; file systems that keep no such times get eager ones.
      const probe = pool.pop()!
      const fd = openSync(probe, constants.O_RDWR | constants.O_NONBLOCK)
      writeSync(fd, 'x')
      const showsWrites = statSync(probe).mtimeMs > statSync(reference).mtimeMs
      closeSync(fd)
      unlinkSync(probe)
      rmSync(join(runDir, 'lazy'), { force: true })
      if (showsWrites) writeFileSync(join(runDir, 'lazy'), '')
    },
    run(name, order, prepare) {
      queue.push({ name, order, prepare })
      dispatch()
    },
    withdraw(name) {
      const at = queue.findIndex((entry) => entry.name === name)
      if (at >= 0) queue.splice(at, 1)
      return at >= 0
    },
    collect(name, capBytes) {
      command(`collect ${name} ${capBytes} &\njobs >/dev/null\n`)
    },
    findOrphans() {
      const names: string[] = []
      for (const slot of [...slots.values()]) {
        const isGone = slot.mark === null ? clock.now() - slot.openedAt > 10_000 : !isAlive(slot.mark)
        if (!isGone) continue
        drop(slot)
        if (slot.name !== null) names.push(slot.name)
      }
      dispatch()
      return names
    },
    close() {
      isClosed = true
      commands?.destroy()
      notes?.destroy()
      for (const slot of slots.values()) slot.orders.destroy()
      if (existsSync(join(runDir, 'pool'))) for (const file of readdirSync(join(runDir, 'pool'))) rmSync(join(runDir, 'pool', file), { force: true })
    }
  }
}

async function makeNotifyPipe(shell: string, file: string): Promise<void> {
  const child = spawn(shell, ['-c', 'exec mkfifo -m 600 -- "$1"', 'sh', file], { stdio: 'ignore' })
  const code = await new Promise<number | null>((resolve, reject) => { child.on('error', reject).on('exit', resolve) })
  if (code !== 0) throw new Error(`mkfifo could not make ${file} (exit ${code}); the data directory must be on a file system with named pipes`)
}
