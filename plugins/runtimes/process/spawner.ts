import { spawn } from 'node:child_process'
import {
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { createHash, randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../../src/contracts/clock.ts'
import { closing } from './inherited.ts'
import { makePipe, showsWrites } from './pipes.ts'
import { isAlive, messageOf, streams, type ProcessMark } from './attempt-files.ts'

const script = join(import.meta.dirname, 'shim.sh')
const batchSize = 64
/** Idle slots kept; each is a sh of some 200 KiB of its own. */
const maxIdle = 32
const askAgainMs = 5000

interface Slot {
  id: string
  orders: Socket
  mark: ProcessMark | null
  openedAt: number
  name: string | null
}

/** Work for a slot. `prepare` is called when the slot is there: `place` makes its pipes, and its folder if asked; it returns the order, or null to give up. */
interface Pending {
  name: string
  prepare: (place: (withFolder: boolean) => void) => string | null
}

export interface SpawnerOptions {
  runDir: string
  attemptsDir: string
  outputDir: string
  /** Where the named pipes are: in memory where that can be, as a journal would time each write (openPipeDir). */
  pipeDir: string
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
  /** Rejects where the shell does not answer within 10 s. */
  open(): Promise<void>
  /** Has a slot run the attempt as soon as there is one. */
  run(name: string, prepare: Pending['prepare']): void
  /** Takes an attempt back that no slot has got yet. */
  withdraw(name: string): boolean
  /** Starts collectors for an attempt that lives on. */
  collect(name: string, capBytes: number): void
  /** Removes the folders of attempts; many at once share one process. */
  remove(name: string): Promise<void>
  /** Names of attempts whose slot has died; eight calls look at every slot. */
  findOrphans(): string[]
  close(): void
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

export function createSpawner({
  runDir,
  attemptsDir,
  outputDir,
  pipeDir,
  shell,
  graceSeconds,
  clock,
  warn,
  onNote
}: SpawnerOptions): Spawner {
  const nonce = randomBytes(4).toString('hex')
  const notifyFile = join(pipeDir, 'notify')
  const slots = new Map<string, Slot>()
  const idle: Slot[] = []
  const queue: Pending[] = []
  // Made many at a time by the shell, as each exec costs as much as a job. The members are paths.
  const pipes = {
    verb: 'make_pipes',
    folder: join(pipeDir, 'pool'),
    ready: [] as string[],
    batch: 0,
    askedAt: null as number | null
  }
  const folders = {
    verb: 'make_folders',
    folder: join(runDir, 'folders'),
    ready: [] as string[],
    batch: 0,
    askedAt: null as number | null
  }
  let onPipes: (() => void) | null = null
  const removal = {
    batch: 0,
    names: [] as string[],
    waiters: [] as (() => void)[],
    next: new Map<string, () => void>()
  }
  let commands: Socket | null = null
  const notes: Socket[] = []
  let isRepairing = false
  let isClosed = false
  let slotCount = 0
  let turn = 0

  const command = (text: string) => void commands?.write(text)

  function spawnShell(): void {
    const shim = [shell, '-s', '--', runDir, attemptsDir, outputDir, pipeDir, String(graceSeconds), 'spawner']
    const [program = shell, ...args] = [...closing(shell, warn), ...shim]
    const child = spawn(program, args, {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }
    })
    child.unref()
    let isOver = false
    const respawn = () => {
      if (isOver || isClosed) return
      isOver = true
      warn('the spawner of process jobs ended and is started again')
      commands = null
      clock.setTimeout(() => {
        if (isClosed) return
        try {
          spawnShell()
        } catch (error) {
          // No process or descriptor is free.
          warn(`the spawner of process jobs: ${messageOf(error)}`)
          isOver = false
          return respawn()
        }
        // What it had not done yet is asked for again.
        pipes.askedAt = folders.askedAt = null
        for (const slot of [...slots.values()].filter((s) => s.mark === null)) drop(slot)
        if (removal.names.length > 0) sendRemoval()
        dispatch()
      }, 100)
    }
    child.on('error', respawn)
    child.on('exit', respawn)
    // There is none where it could not be started, which is told by `error`.
    const stdin = child.stdin as Socket | undefined
    if (stdin === undefined) return
    stdin.unref()
    // Its end is told by `exit`.
    stdin.on('error', () => {})
    commands = stdin
    command(`. ${quoted(script)}\nspawner\n`)
  }

  function listen(): void {
    const socket = new Socket({
      fd: openSync(notifyFile, constants.O_RDWR | constants.O_NONBLOCK),
      readable: true,
      writable: false
    })
    socket.unref()
    socket.on('error', (error) => warn(`notes of the shims: ${error.message}`))
    let rest = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) hear(line)
      dispatch()
    })
    notes.push(socket)
  }

  function makeFolders(): void {
    for (const folder of [
      folders.folder,
      pipes.folder,
      join(pipeDir, 'slots'),
      join(pipeDir, 'live'),
      join(runDir, 'deadlines')
    ]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    }
  }

  /**
   * Memory may be cleared under us (systemd's RemoveIPC at a log-out). Shims at work hold what they need open; for new
   * ones all is made again.
   */
  async function repair(): Promise<void> {
    if (isRepairing || isClosed || existsSync(notifyFile)) return
    isRepairing = true
    try {
      warn(`${pipeDir} was removed from outside and is made again`)
      makeFolders()
      await makePipe(shell, notifyFile)
      if (isClosed) return
      listen()
      for (const slot of [...slots.values()].filter((s) => s.mark === null)) drop(slot)
      pipes.ready = []
      pipes.askedAt = null
    } catch (error) {
      warn(`${pipeDir} could not be made again: ${messageOf(error)}`)
    } finally {
      isRepairing = false
      dispatch()
    }
  }

  function hear(line: string): void {
    const [word = '', ...words] = line.split(' ')
    const [subject = ''] = words
    if (word === 'slot') {
      const slot = slots.get(subject)
      if (slot === undefined) return
      slot.mark = { pid: Number(words[1]), start: words[2] ?? '' }
      idle.push(slot)
    } else if (word === 'folders' || word === 'pipes') {
      const pool = word === 'folders' ? folders : pipes
      if (subject !== `${nonce}.${pool.batch}`) return
      for (let i = 0; i < batchSize; i++) pool.ready.push(join(pool.folder, `${subject}.${i}`))
      pool.askedAt = null
      if (word === 'pipes') onPipes?.()
    } else if (word === 'removed') {
      if (subject !== `${nonce}.${removal.batch}`) return
      for (const resolve of removal.waiters) resolve()
      removal.names = []
      sendRemoval()
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
    rmSync(join(pipeDir, 'slots', slot.id), { recursive: true, force: true })
  }

  function dispatch(): void {
    if (isClosed) return
    // Between its loss and its repair nothing starts.
    if (isRepairing) return
    while (queue.length > 0 && idle.length > 0 && pipes.ready.length > 0 && folders.ready.length > 0) {
      const { name, prepare } = queue.shift()!
      const order = prepare((withFolder) => place(name, withFolder))
      if (order === null) continue
      const slot = idle.pop()!
      slot.name = name
      slot.orders.write(order)
    }
    let opening = 0
    if (queue.length > 0) for (const slot of slots.values()) opening += slot.mark === null ? 1 : 0
    try {
      for (; opening < queue.length && pipes.ready.length > 0 && commands !== null; opening++) openSlot()
    } catch (error) {
      // No descriptor is free: `findOrphans` comes by again.
      warn(`no shim can be opened now: ${messageOf(error)}`)
    }
    for (const pool of [pipes, folders]) {
      const isAsking = pool.askedAt !== null && clock.now() - pool.askedAt < askAgainMs
      if (pool.ready.length >= batchSize / 2 || isAsking || commands === null) continue
      pool.askedAt = clock.now()
      command(`${pool.verb} ${nonce}.${++pool.batch} ${batchSize} &\njobs >/dev/null\n`)
    }
  }

  /** The one change on disk that the service makes for a start: a folder that is ready moves to its name. */
  function place(name: string, withFolder: boolean): void {
    const pipe = pipes.ready.pop()!
    for (const stream of streams) renameSync(`${pipe}.${stream}`, join(pipeDir, 'live', `${name}.${stream}`))
    // It may be there already: an earlier service was killed between this and the order.
    if (withFolder && !existsSync(join(attemptsDir, name)))
      renameSync(folders.ready.pop()!, join(attemptsDir, name))
  }

  function isGone({ mark, openedAt }: Slot): boolean {
    if (mark === null) return clock.now() - openedAt > 2 * askAgainMs
    try {
      return !isAlive(mark)
    } catch {
      // Not known now is not gone: the next look will tell.
      return false
    }
  }

  function openSlot(): void {
    const id = `${nonce}.${++slotCount}`
    const folder = join(pipeDir, 'slots', id)
    mkdirSync(folder, { mode: 0o700 })
    renameSync(`${pipes.ready.pop()!}.stdout`, join(folder, 'orders'))
    // Read and write: it opens without the slot, and when this service dies the slot finds the end of its orders.
    const fd = openSync(join(folder, 'orders'), constants.O_RDWR | constants.O_NONBLOCK)
    const orders = new Socket({ fd, readable: false, writable: true })
    orders.unref()
    orders.on('error', (error) => warn(`orders of a shim: ${error.message}`))
    slots.set(id, { id, orders, mark: null, openedAt: clock.now(), name: null })
    orders.write(`. ${quoted(script)}\nslot\n`)
    command(`open_slot ${quoted(shell)} ${id}\njobs >/dev/null\n`)
  }

  function sendRemoval(): void {
    removal.names = [...removal.names, ...removal.next.keys()]
    removal.waiters = [...removal.next.values()]
    removal.next = new Map()
    if (removal.names.length === 0) return
    command(`remove_folders ${nonce}.${++removal.batch} ${removal.names.join(' ')} &\njobs >/dev/null\n`)
  }

  return {
    async open() {
      makeFolders()
      // What an earlier service left; its spawner may still be at work, so the folders themselves stay.
      for (const folder of [folders.folder, pipes.folder, join(pipeDir, 'slots')]) {
        for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true, force: true })
      }
      const reference = join(runDir, 'reference')
      writeFileSync(reference, '')
      utimesSync(reference, 86_400 * 366, 86_400 * 366)
      if (statSync(notifyFile, { throwIfNoEntry: false })?.isFIFO() !== true) {
        rmSync(notifyFile, { force: true })
        await makePipe(shell, notifyFile)
      }
      listen()
      spawnShell()
      const ready = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () =>
            reject(new Error(`The shim does not answer: ${shell} could not make named pipes in ${runDir}`)),
          10_000
        )
        onPipes = () => {
          clearTimeout(timer)
          onPipes = null
          resolve()
        }
      })
      dispatch()
      await ready
      rmSync(join(runDir, 'lazy'), { force: true })
      if (showsWrites(`${pipes.ready.pop()!}.stdout`, reference)) writeFileSync(join(runDir, 'lazy'), '')
    },
    run(name, prepare) {
      queue.push({ name, prepare })
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
    remove(name) {
      return new Promise((resolve) => {
        const other = removal.next.get(name)
        removal.next.set(name, () => {
          other?.()
          resolve()
        })
        // One process at a time: what comes meanwhile shares the next.
        if (removal.names.length === 0) sendRemoval()
      })
    },
    findOrphans() {
      void repair()
      const names: string[] = []
      // A part of them each time, as a look costs some 30 us.
      turn = (turn + 1) % 8
      let index = 0
      for (const slot of slots.values()) {
        if (index++ % 8 !== turn) continue
        if (!isGone(slot)) continue
        drop(slot)
        if (slot.name !== null) names.push(slot.name)
      }
      dispatch()
      return names
    },
    close() {
      isClosed = true
      for (const resolve of [...removal.waiters, ...removal.next.values()]) resolve()
      commands?.end()
      for (const socket of notes) socket.destroy()
      for (const slot of slots.values()) slot.orders.destroy()
      // Memory is given back once no attempt has pipes in it.
      try {
        if (pipeDir !== runDir && readdirSync(join(pipeDir, 'live')).length === 0)
          rmSync(pipeDir, { recursive: true, force: true })
      } catch {
        // The spawner made some more just now: the watchdog or the next `open` clears them.
      }
    }
  }
}

/**
 * A folder in memory of this data folder's own, or `runDir` where there is none. On a disk each write to a pipe would
 * note its time in the journal, and wait there for the fsyncs of others.
 */
export function openPipeDir(runDir: string, memoryDir = '/dev/shm'): string {
  const folder = join(memoryDir, `roost-${createHash('sha256').update(runDir).digest('hex').slice(0, 16)}`)
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return runDir
  }
  // Anybody may make a folder of that name there: only our own will do.
  const { uid, mode } = lstatSync(folder)
  return uid === process.getuid?.() && (mode & 0o170_077) === 0o040_000 ? folder : runDir
}
